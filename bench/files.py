"""Sixty files that hold the same words: codec × container × rate × channels × level × damage.

    python -m bench.files [--count 60]

Each line is one file: the words of the plain recording that are heard in it, in order, the same for
what the ffmpeg program makes of it, and what the decoder warns of. The embedded model loses words
by lossy codecs alone; the ffmpeg column tells that from a decoder's losses. In the end: how many
whole files keep at least 98 % of the words, or as many as with ffmpeg; how many lost sound without
a word of it; and how many were warned of though nothing is missing. The variations are drawn with a
seed, so that every run has the same ones.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.listening import RECORDING, ffmpeg, kept, words
from core.errors import WorkerError
from core.media.audio import SAMPLE_RATE, Stream, Waveform

KEPT = 0.98
SEED = 10

_CODECS: dict[str, tuple[str, ...]] = {
    "wav": ("-c:a", "pcm_s16le"), "24.wav": ("-c:a", "pcm_s24le"), "f32.wav": ("-c:a", "pcm_f32le"),
    "w64": ("-c:a", "pcm_s16le"), "aiff": ("-c:a", "pcm_s16be"), "caf": ("-c:a", "pcm_s16le"),
    "flac": ("-c:a", "flac"), "alac.m4a": ("-c:a", "alac"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "128k"),
    "m4a": ("-c:a", "aac", "-b:a", "128k"), "aac": ("-c:a", "aac", "-b:a", "128k", "-f", "adts"),
    "mov": ("-c:a", "aac", "-b:a", "128k"), "mkv": ("-c:a", "aac", "-b:a", "128k"),
    "ogg": ("-c:a", "libvorbis", "-q:a", "6"), "opus": ("-c:a", "libopus", "-b:a", "64k"),
    "webm": ("-c:a", "libopus", "-b:a", "64k"), "mka": ("-c:a", "flac"),
    "wma": ("-c:a", "wmav2", "-b:a", "128k"), "ac3": ("-c:a", "ac3", "-b:a", "192k"),
}  # fmt: skip
_RATES = {"opus": (48_000,), "webm": (48_000,), "ac3": (32_000, 44_100, 48_000)}
_ANY_RATE = (16_000, 22_050, 32_000, 44_100, 48_000)
_CHANNELS = {
    "mono": "pan=mono|c0=c0",
    "both": "pan=stereo|c0=c0|c1=c0",
    "left": "pan=stereo|c0=c0|c1=0*c0",
    "upside down": "pan=stereo|c0=c0|c1=-1*c0",
    "third of four": "pan=4c|c0=0*c0|c1=0*c0|c2=c0|c3=0*c0",
    "fourth of eight": "pan=8c|c0=0*c0|c1=0*c0|c2=0*c0|c3=c0|c4=0*c0|c5=0*c0|c6=0*c0|c7=0*c0",
}
_MANY = {"wav", "24.wav", "f32.wav", "w64", "caf"}
_LEVELS_DB = (-20, -10, 0)
_FAR_LEVELS_DB = (-66, -50, 12, 20)
_DAMAGES = ("none", "none", "hole", "cut", "twice")
_UNTOLD = {
    "hole": {"wav", "24.wav", "w64", "aiff", "caf"},  # noise is as good a number as any other
    "cut": {"ac3", "aac", "mov"},  # no length, no end; and a mov without its index is refused
}
_JOINABLE = {"wav", "mp3", "aac", "ogg", "opus", "webm", "mkv", "ac3"}


@dataclass(frozen=True, slots=True)
class Variation:
    """One file."""

    suffix: str
    rate: int
    channels: str
    level_db: int
    damage: str

    @property
    def is_whole(self) -> bool:
        """Nothing was taken out of it."""
        return self.damage in ("none", "twice")

    def __str__(self) -> str:
        return (
            f"{self.suffix:9} {self.rate:6} {self.channels:15} {self.level_db:4} dB  "
            f"{self.damage:6}"
        )


def variations(count: int) -> Iterator[Variation]:
    """Draw so many; every format comes in turn."""
    rng = random.Random(SEED)
    suffixes = list(_CODECS)
    for number in range(count):
        suffix = suffixes[number % len(suffixes)]
        channels = rng.choice(list(_CHANNELS if suffix in _MANY else list(_CHANNELS)[:4]))
        levels = _LEVELS_DB + (_FAR_LEVELS_DB if suffix == "f32.wav" else ())
        damage = rng.choice(_DAMAGES)
        if (damage == "twice" and suffix not in _JOINABLE) or suffix in _UNTOLD.get(damage, ()):
            damage = "none"
        rate = rng.choice(_RATES.get(suffix, _ANY_RATE))
        yield Variation(suffix, rate, channels, rng.choice(levels), damage)


def make(folder: Path, variation: Variation) -> Path:
    """Write the file."""
    path = folder / f"a.{variation.suffix}"
    volume = f"aformat=sample_fmts=flt,volume={variation.level_db}dB:precision=float"
    filters = f"{volume},{_CHANNELS[variation.channels]}"
    options = ("-af", filters, "-ar", str(variation.rate), *_CODECS[variation.suffix])
    ffmpeg("-i", RECORDING, *options, path)
    content = path.read_bytes()
    if variation.damage == "hole":
        begin, end = len(content) * 45 // 100, len(content) * 55 // 100
        content = content[:begin] + random.Random(SEED).randbytes(end - begin) + content[end:]
    elif variation.damage == "cut":
        content = content[: len(content) * 6 // 10]
    elif variation.damage == "twice":
        content *= 2
    path.write_bytes(content)
    return path


@dataclass(slots=True)
class Tally:
    """What the table comes to."""

    whole: int = 0
    kept: int = 0
    as_good: int = 0
    """Not that many, but no fewer than with ffmpeg."""
    silent_losses: int = 0
    false_warnings: int = 0

    def add(
        self, variation: Variation, share: float, other: float, warnings: tuple[str, ...]
    ) -> None:
        """Count a file that was decoded; `other` is the share with ffmpeg."""
        if variation.is_whole:
            self.whole += 1
            self.kept += share >= KEPT
            self.as_good += other <= share < KEPT
            self.false_warnings += bool(warnings)
        elif share < KEPT and not warnings:
            self.silent_losses += 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=60)
    asked = parser.parse_args()
    plain = words(Stream(RECORDING, max_duration_s=600).read())
    print(f"{RECORDING}: {len(plain)} words\n")
    tally = Tally()
    with TemporaryDirectory() as folder:
        for variation in variations(asked.count):
            expected = plain * 2 if variation.damage == "twice" else plain
            path = make(Path(folder), variation)
            try:
                waveform = Stream(path, max_duration_s=600).read()
            except WorkerError as error:
                print(f"{variation} refused: {error.code}", flush=True)
                continue
            other = kept(expected, words(by_ffmpeg(path)))
            _show(variation, expected, (waveform, other), tally)
    print(
        f"\nwhole files: {tally.kept} of {tally.whole} keep at least {KEPT:.0%} of the words, "
        f"{tally.as_good} more as many as with ffmpeg; "
        f"silent losses: {tally.silent_losses}; false warnings: {tally.false_warnings}"
    )


def by_ffmpeg(path: Path) -> Waveform:
    """Decode as the ffmpeg program does by itself."""
    plain = path.with_name("by-ffmpeg.wav")
    with contextlib.suppress(subprocess.CalledProcessError):
        ffmpeg("-i", path, "-map", "0:a:0", "-ac", "1", "-ar", str(SAMPLE_RATE), plain)
    return Stream(plain, max_duration_s=600).read()


def _show(
    variation: Variation, expected: list[str], found: tuple[Waveform, int], tally: Tally
) -> None:
    waveform, other = found
    count = kept(expected, words(waveform))
    total = len(expected)
    tally.add(variation, count / total, other / total, waveform.warnings)
    said = "; ".join(waveform.warnings)[:90]
    print(
        f"{variation} {count:3} ({other:3}) of {total:3}  {waveform.duration:6.2f} s  {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
