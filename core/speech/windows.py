"""Full windows, for models to which every utterance costs as much as one of 30 s.

Long silences are left out, and what remains is cut as late as possible. So a channel of a call, of
which half is silence, takes half as many windows; and the models, which leave out what follows a
long pause, hear none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import FULL, Skip, Utterance, utterances
from core.speech.sound import FRAME_S, SILENCE_DBFS, levels, runs

_FRAME = round(FRAME_S * SAMPLE_RATE)
_SLAB_SAMPLES = 20 * SAMPLE_RATE
"""Silence is measured against the loud parts of so much sound."""
_LOUD_PERCENTILE = 95
_BELOW_LOUD_DB = 40.0
"""What is so much quieter than the loud parts is silence: `core.speech.heard` believes no word
there.
"""
_LONG_S = 1.0
"""Shorter silences stay."""
_EDGE_S = 0.3
"""So much of a longer one stays on both sides: a pause as between two sentences."""


def windows(
    blocks: Iterable[Samples], *, start_s: float = 0.0, piece_s: float = 500.0
) -> Generator[Utterance]:
    """Cut blocks as `core.media.cutting.utterances` does, but full and without long silences.

    What is cut does not depend on the lengths of the blocks.
    """
    kept = _Kept()
    for one in utterances(kept.of(blocks), piece_s=piece_s, aim=FULL):
        yield kept.placed(one, start_s)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Silence that was left out of all samples."""

    at: int
    """How many samples were kept before it."""
    length: int


class _Kept:
    """The samples that are left, and where they were."""

    def __init__(self) -> None:
        self._cuts: list[_Cut] = []
        self._count = 0
        self._skipped_s = 0.0  # before the first of `_cuts`

    def of(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yield what is left of blocks."""
        for samples, left_out in _sifted(_slabs(blocks)):
            self._count += len(samples)
            if left_out:
                self._cuts.append(_Cut(self._count, left_out))
            yield samples

    def placed(self, one: Utterance, start_s: float) -> Utterance:
        """Return an utterance of what is left where it was. They must come in order."""
        first = round(one.start * SAMPLE_RATE)
        last = first + len(one.samples)
        while self._cuts and self._cuts[0].at <= first:
            self._skipped_s += self._cuts.pop(0).length / SAMPLE_RATE
        skips = tuple(
            Skip((cut.at - first) / SAMPLE_RATE, cut.length / SAMPLE_RATE)
            for cut in self._cuts
            if cut.at <= last
        )
        return replace(one, start=start_s + self._skipped_s + one.start, skips=skips)


def _slabs(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield all samples in arrays of equal length; the last is shorter."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= _SLAB_SAMPLES:
            joined = held[0] if len(held) == 1 else np.concatenate(held)
            whole = count // _SLAB_SAMPLES * _SLAB_SAMPLES
            for first in range(0, whole, _SLAB_SAMPLES):
                yield joined[first : first + _SLAB_SAMPLES]
            held, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(held)


def _sifted(slabs: Iterable[Samples]) -> Iterator[tuple[Samples, int]]:
    """Yield samples to keep, and how many to leave out after them."""
    held: Samples = np.empty(0, np.float32)  # the silence with which the last slab ended
    is_cut = False  # and whether some of it was left out
    for slab in slabs:
        samples = np.concatenate([held, slab])
        silent = np.concatenate([np.ones(len(held) // _FRAME, np.bool_), _silent(slab)])
        end = 0
        for first, last in _silences(silent, is_cut):
            yield samples[end:first], last - first
            end = last
        pause = (len(silent) - _trailing(silent)) * _FRAME
        is_cut = pause <= end and end > 0
        yield samples[end : max(end, pause)], 0
        held = samples[max(end, pause) :]
    yield held, 0


def _silent(slab: Samples) -> NDArray[np.bool_]:
    """Tell which frames are silence; bool, shape (frames,)."""
    level = levels(slab)
    loud = float(np.percentile(level, _LOUD_PERCENTILE))
    found: NDArray[np.bool_] = level <= max(SILENCE_DBFS, loud - _BELOW_LOUD_DB)
    return found


def _silences(silent: NDArray[np.bool_], is_cut: bool) -> Iterator[tuple[int, int]]:
    """Yield the first and the last sample to leave out, given which frames are silent.

    `is_cut` says that the silence in the first frames goes on with one that was cut before.
    """
    for run in runs(silent, closed_s=FRAME_S):
        goes_on = is_cut and run.start == 0.0
        first = run.start if goes_on else run.start + _EDGE_S
        last = run.end - _EDGE_S
        if last - first > (0.0 if goes_on else _LONG_S - 2 * _EDGE_S):
            yield _samples(first), _samples(last)


def _samples(time_s: float) -> int:
    return round(time_s / FRAME_S) * _FRAME


def _trailing(silent: NDArray[np.bool_]) -> int:
    """Return how many of the last frames are silent."""
    return int(np.argmin(silent[::-1])) if not silent.all() else len(silent)
