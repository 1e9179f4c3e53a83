"""From samples to utterances of at most 30 s, which the model sees one at a time.

Cut in a pause if there is one. If speech goes on without any, both sides hear the seam: the
utterances overlap, and `core.transcript.seams` merges their words.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain.timeline import Span
from core.media.audio import SAMPLE_RATE, Samples

_HOP = SAMPLE_RATE // 100
"""Samples per frame, 10 ms. Cuts lie between frames."""
_FRAMES_PER_S = SAMPLE_RATE // _HOP
_MAX_FRAMES = 30 * _FRAMES_PER_S
"""Parakeet TDT drops whole stretches of speech from inputs much longer than it was trained on."""
_PAUSE_FRAMES = 24
"""The shortest pause, longer than the gaps between the words of fluent speech."""
OVERLAP_S = 2.5
"""How long the utterances at a forced cut overlap."""
_OVERLAP_FRAMES = int(OVERLAP_S * _FRAMES_PER_S)

_PAUSE_DB = -18.0
"""A pause is this much quieter than the loud stretches around it."""
_SILENCE_DB = -60.0
"""Anything quieter is silence, whatever is around it."""
_SLAB_SAMPLES = 10 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Aim:
    """Where an utterance should end; all times are seconds from its start."""

    best_s: float
    pause_s: tuple[float, float]
    """The range in which to look for a pause."""
    forced_s: tuple[float, float]
    """The range in which to cut speech without a pause."""
    db_per_s: float
    """How much quieter a place must be to justify a cut a second farther from the best."""
    quiet_db: float = -100.0
    """Quieter places are no better, in dB of full scale."""


AIM = Aim(22.5, (12.0, 28.0), (20.0, 25.0), 0.5)
FULL = Aim(29.5, (14.0, 29.5), (23.0, 28.5), 1.0, -70.0)
"""For models to which every utterance costs as much as one of 30 s: few, and nearly full."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Silence that was left out of an utterance."""

    at_s: float
    """Seconds of the utterance's samples before it."""
    length_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch that the model sees at a time; it overlaps the next if no pause lies between."""

    samples: Samples
    """float32, shape (samples,), 16 kHz mono, -1..1; at most 30 s."""
    start: float
    """Seconds from the start of the file to the first sample."""
    skips: tuple[Skip, ...] = ()
    """In order."""

    @property
    def duration(self) -> float:
        """Length of the samples in seconds."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the file to the end of the last sample."""
        return self.at(self.duration)

    @property
    def span(self) -> Span:
        """From `start` to `end`."""
        return Span(self.start, self.end)

    def at(self, time_s: float) -> float:
        """Return the time in the file of a time in the samples, both in seconds."""
        return self.start + time_s + sum(one.length_s for one in self.skips if one.at_s < time_s)


def utterances(
    blocks: Iterable[Samples], *, start_s: float = 0.0, piece_s: float = 500.0, aim: Aim = AIM
) -> Generator[Utterance]:
    """Cut blocks of samples, float32, shape (samples,), into utterances that cover all of them.

    Blocks may have any length. `start_s` is the time of the first sample. At most little more than
    `piece_s` seconds are held at once, unless one block is longer. The cuts depend on neither. The
    utterances of one block are views of it.
    """
    held: Samples = np.empty(0, np.float32)
    first = 0  # index of held[0] in all samples
    for piece in _pieces(blocks, int(piece_s * SAMPLE_RATE)):
        held = _joined([held, *piece])
        energy = _energy(held)
        begin = 0
        while len(held) - begin > _MAX_FRAMES * _HOP:
            cut = _find_cut(energy[begin // _HOP :][:_MAX_FRAMES], aim)
            samples = held[begin : begin + cut.end * _HOP]
            yield Utterance(samples, start_s + (first + begin) / SAMPLE_RATE)
            begin += cut.resume * _HOP
        first, held = first + begin, held[begin:]
    if len(held):
        yield Utterance(held, start_s + first / SAMPLE_RATE)


def _pieces(blocks: Iterable[Samples], least: int) -> Iterator[list[Samples]]:
    """Group blocks into pieces of at least `least` samples; the last may be shorter."""
    gathered: list[Samples] = []
    for block in blocks:
        gathered.append(block)
        if sum(map(len, gathered)) >= least:
            yield gathered
            gathered = []
    yield gathered


def _joined(blocks: Iterable[Samples]) -> Samples:
    parts = [block for block in blocks if len(block)]
    return parts[0] if len(parts) == 1 else np.concatenate((*parts, np.empty(0, np.float32)))


def _energy(samples: Samples) -> NDArray[np.float64]:
    """Return the mean square of each whole frame, float64, shape (frames,); NaN counts as silence.

    A frame's energy depends on its own samples alone, to the last bit. So cuts do not depend on the
    blocks in which the samples came.
    """
    energy = np.empty(len(samples) // _HOP, np.float64)
    for begin in range(0, len(energy) * _HOP, _SLAB_SAMPLES):
        slab = samples[begin : begin + _SLAB_SAMPLES]
        frames = slab[: len(slab) // _HOP * _HOP].reshape(-1, _HOP)
        with np.errstate(over="ignore", invalid="ignore"):
            energy[begin // _HOP :][: len(frames)] = np.square(frames).mean(axis=1)
    return np.nan_to_num(energy, nan=0.0, posinf=1.0)


@dataclass(frozen=True, slots=True)
class _Cut:
    """The end of an utterance and the start of the next, in frames from the utterance's start."""

    end: int
    resume: int


def _find_cut(energy: NDArray[np.float64], aim: Aim) -> _Cut:
    """Return the quietest place near the aim, given the energies of 30 s, shape (frames,)."""
    level = _smooth(energy)
    quiet = level <= max(_SILENCE_DB, float(np.percentile(level, 95)) + _PAUSE_DB)
    distance = np.abs(np.arange(len(level)) - aim.best_s * _FRAMES_PER_S)
    badness = np.maximum(level, aim.quiet_db) + aim.db_per_s / _FRAMES_PER_S * distance
    pause = _lowest(np.where(quiet, badness, np.inf), *aim.pause_s)
    if quiet[pause]:
        return _Cut(pause, pause)
    forced = _lowest(badness, *aim.forced_s)
    return _Cut(forced + _OVERLAP_FRAMES // 2, forced - _OVERLAP_FRAMES // 2)


def _lowest(values: NDArray[np.float64], begin_s: float, end_s: float) -> int:
    begin, end = round(begin_s * _FRAMES_PER_S), round(end_s * _FRAMES_PER_S)
    return begin + int(np.argmin(values[begin:end]))


def _smooth(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the level around the start of each frame, in dB of full scale, shape (frames,).

    Average it over the length of a pause.
    """
    half = _PAUSE_FRAMES // 2
    total = np.concatenate(([0.0], np.cumsum(energy)))
    frame = np.arange(len(energy))
    left, right = np.maximum(frame - half, 0), np.minimum(frame + half, len(energy))
    level: NDArray[np.float64] = 10 * np.log10(
        np.maximum((total[right] - total[left]) / (right - left), 1e-10)
    )
    return level
