"""Thousands of damaged clips through the decoder: each is read, or refused with a code, in time.

    python -m bench.attacks [--count 10000] [--seed 12] [--keep FOLDER]

Short clips in every format that is supported are damaged at random: bits, cuts, repetitions, wrong
lengths, parts of other formats. The command fails if one of them ends in anything but samples or
one of the errors of recordings, or takes more than 5 s of a processor, or if memory grows. `--keep`
keeps those clips.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from core.domain.request import Recording, Source
from core.domain.watch import Watch
from core.errors import AudioError
from core.flows.recording import Reader
from core.settings import Settings
from tests import media

MOST_S = 5.0
MOST_CHILD_MB = 600.0
MOST_GROWTH_MB = 100.0
CLIP_S = 0.5
LONGEST_S = 600.0

Damage = Callable[[bytearray, random.Random, list[bytes]], None]


def bits(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Turn a few bits over."""
    for _turn in range(chance.choice((1, 1, 2, 8, 64))):
        clip[chance.randrange(len(clip))] ^= 1 << chance.randrange(8)


def head_bits(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Turn bits over where the lengths and formats are."""
    for _turn in range(chance.choice((1, 2, 4, 8))):
        clip[chance.randrange(min(256, len(clip)))] ^= 1 << chance.randrange(8)


def number(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Put an extreme number in the place of four bytes."""
    at = chance.randrange(max(1, min(len(clip) - 4, chance.choice((64, 512, len(clip))))))
    values = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
    clip[at : at + 4] = chance.choice(values).to_bytes(4, chance.choice(("little", "big")))


def cut(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Leave the end out."""
    del clip[chance.randrange(1, len(clip)) :]


def hole(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Leave something out."""
    start = chance.randrange(len(clip))
    del clip[start : start + chance.choice((1, 2, 16, 256, 4096))]


def twice(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Repeat a stretch."""
    start = chance.randrange(len(clip))
    part = clip[start : start + chance.choice((1, 16, 256, 4096))]
    clip[start:start] = part * chance.choice((1, 2, 50))


def noise(clip: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Put noise in the place of a stretch."""
    start = chance.randrange(len(clip))
    size = min(chance.choice((4, 64, 1024)), len(clip) - start)
    clip[start : start + size] = chance.randbytes(size)


def stranger(clip: bytearray, chance: random.Random, others: list[bytes]) -> None:
    """Put a part of another format in, or behind."""
    other = chance.choice(others)
    start = chance.choice((0, chance.randrange(len(clip)), len(clip)))
    clip[start:start] = other[: chance.choice((16, 256, len(other)))]


DAMAGES: tuple[Damage, ...] = (bits, head_bits, number, cut, hole, twice, noise, stranger)


def seeds(folder: Path) -> dict[str, bytes]:
    """Return a clip in each format, by the ending of its name."""
    found = {}
    for suffix in media.CODECS:
        path = media.encode(folder / f"seed.{suffix}", media.tone(CLIP_S))
        found[suffix] = path.read_bytes()
    for suffix in ("mp4", "mkv"):
        found[suffix] = media.film(folder / f"seed.{suffix}", media.tone(CLIP_S)).read_bytes()
    return found


def clips(known: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged clips, and what each of them was; a seed makes the same ones again."""
    chance = random.Random(seed)
    others = list(known.values())
    for index in range(count):
        suffix = list(known)[index % len(known)]
        clip = bytearray(known[suffix])
        done = chance.choices(DAMAGES, k=chance.choice((1, 1, 1, 2, 3)))
        for damage in done:
            if clip:
                damage(clip, chance, others)
        names = "+".join(damage.__name__ for damage in done)
        yield f"{index:05d}-{names}.{suffix}", bytes(clip)


@dataclass(slots=True)
class Outcome:
    """What became of all clips."""

    ended: Counter[str] = field(default_factory=Counter)
    """How often each code came, or `read`."""
    wrong: list[str] = field(default_factory=list)
    """The clips that broke a promise, each with the promise."""
    slowest_s: float = 0.0
    longest_s: float = 0.0

    def add(self, name: str, ended: str, took_s: float, length_s: float) -> bool:
        """Count one clip; return whether it kept the promises."""
        self.ended[ended] += 1
        self.slowest_s = max(self.slowest_s, took_s)
        self.longest_s = max(self.longest_s, length_s)
        faults = [
            *([f"ended with {ended}"] if ended not in CODES else []),
            *([f"took {took_s:.1f} s"] if took_s > MOST_S else []),
        ]
        self.wrong += [f"{name}: {fault}" for fault in faults]
        return not faults


CODES = {kind.code for kind in AudioError.__subclasses__()} - {"decoding_timed_out"} | {"read"}
"""How a clip may end."""


def processor_s() -> float:
    """Return the processor time of this process and of its children that have ended.

    By the clock, a busy machine would be blamed on clips.
    """
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def outcome(reader: Reader, path: Path) -> tuple[str, float]:
    """Decode a file; return how that ended, and how many seconds there were."""
    try:
        waveform = reader.stream(path, Recording(Source("")), Watch()).read()
    except AudioError as error:
        return error.code, 0.0
    except Exception as error:
        return type(error).__name__, 0.0
    is_sound = bool(np.isfinite(waveform.samples).all())
    return "read" if is_sound else "samples that are no numbers", waveform.duration


def attack(folder: Path, count: int, seed: int, keep: Path | None = None) -> Outcome:
    """Decode so many damaged clips, one after the other."""
    reader = Reader(Settings(max_audio_duration=LONGEST_S))
    result = Outcome()
    for index, (name, clip) in enumerate(clips(seeds(folder), count, seed)):
        path = folder / "clip"
        path.write_bytes(clip or b"\0")
        before_s = processor_s()
        ended, length_s = outcome(reader, path)
        is_right = result.add(name, ended, processor_s() - before_s, length_s)
        if index % 1000 == 999:
            print(f"{index + 1} clips, {len(result.wrong)} wrong", file=sys.stderr, flush=True)
        if keep and not is_right:
            (keep / name).write_bytes(clip)
    return result


def memory_mb() -> float:
    """Return what this process holds."""
    return float(psutil.Process().memory_info().rss / 1e6)


def main() -> None:
    """Attack, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        attack(Path(folder), 50, seed=0)  # everything is imported
        before_mb = memory_mb()
        result = attack(Path(folder), options.count, options.seed, options.keep)
    grown_mb = memory_mb() - before_mb
    child_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    for ended, times in result.ended.most_common():
        print(f"{times:7} {ended}")
    print(f"slowest {result.slowest_s:.2f} s; longest sound {result.longest_s:.1f} s")
    print(f"a child's peak {child_mb:.0f} MB; this process grew by {grown_mb:.1f} MB")
    print(*result.wrong, sep="\n")
    is_bounded = child_mb <= MOST_CHILD_MB and grown_mb <= MOST_GROWTH_MB
    sys.exit(0 if is_bounded and not result.wrong else 1)


if __name__ == "__main__":
    main()
