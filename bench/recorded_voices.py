"""Voices of people in ordinary packages of Debian, for measuring who is taken for whom.

The packages are fetched by `apt-get download` and used as data; nothing of them is installed. Each
of their folders is read by one person, as far as we can hear:

- KLettres (klettres-data): letters and syllables, in a language each
- KTuberling (ktuberling-data): names of things, in a language each
- Asterisk's prompts, for telephones; Allison reads English and Spanish

Two folders of one language may be one person's, so their voices are never compared.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from core.media.audio import SAMPLE_RATE, Samples

PACKAGES = (
    "klettres-data",
    "ktuberling-data",
    *(f"asterisk-core-sounds-{language}-wav" for language in ("en", "es", "fr", "it", "ru")),
    "asterisk-prompt-it-menardi-wav",
)
_ROOT = "usr/share"
_FOLDERS = {
    "klettres": "klettres/*",
    "ktuberling": "ktuberling/sounds/*",
    "asterisk": "asterisk/sounds/*_*_*",
}
_SOUNDS = (".ogg", ".wav", ".mp3")
_ALLISON = "allison"
_MOST_S = 150.0
"""Seconds that are kept of one person."""
_LEAST_S = 9.0
_QUIET_DB = 35.0
_FRAME = SAMPLE_RATE // 50
_SHORTEST_S = 0.25


@dataclass(frozen=True, slots=True)
class Recorded:
    """One person's recordings."""

    name: str
    group: str
    """People of one group may be one person."""
    pieces: tuple[Samples, ...]
    """Each float32 (n,), 16 kHz, without the silence around it."""


def recorded(folder: Path) -> list[Recorded]:
    """Return everybody of whom there is enough; fetch the packages into the folder before."""
    if not folder.exists():
        fetch(folder)
    people = [
        Recorded(f"{source}-{place.name}", _group(place.name), tuple(_pieces(place)))
        for source, pattern in _FOLDERS.items()
        for place in sorted((folder / _ROOT).glob(pattern))
        if "@" not in place.name  # the same recordings in other spellings
    ]
    enough = _LEAST_S * SAMPLE_RATE
    return [one for one in people if sum(map(len, one.pieces)) >= enough]


def fetch(folder: Path) -> None:
    """Download and unpack the packages, 180 MB. Raises CalledProcessError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        subprocess.run(["apt-get", "--quiet", "download", *PACKAGES], cwd=work, check=True)
        made = Path(work, "made")
        for archive in Path(work).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", archive, made], check=True)
        made.rename(folder)


def _group(name: str) -> str:
    return _ALLISON if _ALLISON in name.lower() else name.split("_", maxsplit=1)[0]


def _pieces(place: Path) -> Iterator[Samples]:
    left = _MOST_S * SAMPLE_RATE
    for path in sorted(place.rglob("*")):
        if path.suffix in _SOUNDS and "silence" not in path.parts and left > 0:
            piece = _trimmed(_decoded(path))
            if len(piece) >= _SHORTEST_S * SAMPLE_RATE:
                left -= len(piece)
                yield piece


def _decoded(path: Path) -> Samples:
    """Return a file's samples; none of one that FFmpeg does not know."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces = []
    with (
        contextlib.suppress(av.FFmpegError),
        av.open(str(path), metadata_errors="replace") as container,
    ):
        for frame in (*container.decode(audio=0), None):
            pieces += [one.to_ndarray()[0] for one in resampler.resample(frame)]
    return np.concatenate(pieces).astype(np.float32) if pieces else np.empty(0, np.float32)


def _trimmed(samples: Samples) -> Samples:
    """Return the samples from the first to the last 20 ms that are loud, at a peak of 0.5."""
    count = len(samples) // _FRAME
    if not count:
        return samples[:0]
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    level_db = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-10)
    loud = np.flatnonzero(level_db > level_db.max() - _QUIET_DB)
    kept = samples[loud[0] * _FRAME : (loud[-1] + 1) * _FRAME]
    return kept * np.float32(0.5 / max(float(np.abs(kept).max()), 1e-6))
