"""From samples to utterances of at most 30 s, what the model sees at a time.

A cut is made in a pause if there is one. If speech goes on without any, both sides hear the seam:
the utterances overlap, and `core.transcript.seams` merges what they heard.
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
"""Parakeet TDT drops whole spans of speech from inputs much longer than its training utterances."""
_AIM_FRAMES = 22.5 * _FRAMES_PER_S
_CUT_FRAMES = (12 * _FRAMES_PER_S, 28 * _FRAMES_PER_S)
"""Where a pause is looked for."""
_FORCED_FRAMES = (20 * _FRAMES_PER_S, 25 * _FRAMES_PER_S)
"""Where speech is cut that has no pause."""
_PAUSE_FRAMES = 24
"""A pause is at least this long: between the words of fluent speech there is less."""
_OVERLAP_FRAMES = int(2.5 * _FRAMES_PER_S)

_PAUSE_DB = -18.0
"""A pause is this much below the loud parts around."""
_SILENCE_DB = -60.0
"""Below this there is nothing, whatever is around."""
_AIM_DB_PER_FRAME = 0.5 / _FRAMES_PER_S
"""How much quieter a place must be to be worth a cut farther from the aim."""
_SLAB_SAMPLES = 10 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the model sees at a time. Neighbours overlap where there was no pause to cut in."""

    samples: Samples
    """float32, shape (samples,), 16 kHz mono, -1..1; at most 30 s."""
    start: float
    """Seconds from the start of the file to the first sample."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the file to behind the last sample."""
        return self.start + self.duration

    @property
    def span(self) -> Span:
        """From `start` to `end`."""
        return Span(self.start, self.end)


def utterances(
    blocks: Iterable[Samples], *, start_s: float = 0.0, piece_s: float = 500.0
) -> Generator[Utterance]:
    """Cut samples, float32, shape (samples,), that come in blocks of any length, into utterances
    that cover every one of them.

    `start_s` is the time of the first sample. Little more than `piece_s` seconds are held at once,
    unless one block is longer; where the cuts lie depends on neither. The utterances of one block
    are views of it.
    """
    held: Samples = np.empty(0, np.float32)
    first = 0  # index of held[0] in all samples
    for piece in _pieces(blocks, int(piece_s * SAMPLE_RATE)):
        held = _one([held, *piece])
        energy = _energy(held)
        begin = 0
        while len(held) - begin > _MAX_FRAMES * _HOP:
            cut = _find_cut(energy[begin // _HOP :][:_MAX_FRAMES])
            yield Utterance(
                held[begin : begin + cut.end * _HOP], start_s + (first + begin) / SAMPLE_RATE
            )
            begin += cut.resume * _HOP
        first, held = first + begin, held[begin:]
    if len(held):
        yield Utterance(held, start_s + first / SAMPLE_RATE)


def _pieces(blocks: Iterable[Samples], least: int) -> Iterator[list[Samples]]:
    """Gather blocks until there are `least` samples."""
    gathered: list[Samples] = []
    for block in blocks:
        gathered.append(block)
        if sum(map(len, gathered)) >= least:
            yield gathered
            gathered = []
    yield gathered


def _one(blocks: Iterable[Samples]) -> Samples:
    parts = [block for block in blocks if len(block)]
    return parts[0] if len(parts) == 1 else np.concatenate((*parts, np.empty(0, np.float32)))


def _energy(samples: Samples) -> NDArray[np.float64]:
    """Mean square of each whole frame, float64, shape (frames,). What is not a number counts as
    silence.

    A frame's energy depends on its own samples alone, to the last bit: so cuts do not depend on how
    the samples came.
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
    """Where an utterance ends and the next one begins, in frames from the utterance's start."""

    end: int
    resume: int


def _find_cut(energy: NDArray[np.float64]) -> _Cut:
    """Find the quietest place near the aim, given the energies of the 30 s that an utterance may
    have, shape (frames,).
    """
    level = _smooth(energy)
    quiet = level <= max(_SILENCE_DB, float(np.percentile(level, 95)) + _PAUSE_DB)
    badness = level + _AIM_DB_PER_FRAME * np.abs(np.arange(len(level)) - _AIM_FRAMES)
    pause = _lowest(np.where(quiet, badness, np.inf), *_CUT_FRAMES)
    if quiet[pause]:
        return _Cut(pause, pause)
    forced = _lowest(badness, *_FORCED_FRAMES)
    return _Cut(forced + _OVERLAP_FRAMES // 2, forced - _OVERLAP_FRAMES // 2)


def _lowest(values: NDArray[np.float64], begin: int, end: int) -> int:
    return begin + int(np.argmin(values[begin:end]))


def _smooth(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the level around the start of each frame, in dB of full scale, averaged over the length
    of a pause; shape (frames,).
    """
    half = _PAUSE_FRAMES // 2
    total = np.concatenate(([0.0], np.cumsum(energy)))
    frame = np.arange(len(energy))
    left, right = np.maximum(frame - half, 0), np.minimum(frame + half, len(energy))
    level: NDArray[np.float64] = 10 * np.log10(
        np.maximum((total[right] - total[left]) / (right - left), 1e-10)
    )
    return level
