"""From samples to utterances of at most 30 s, what the model sees at a time, and from their words back to one sequence.

A cut is made in a pause where there is one. Where speech goes on without any, both sides hear the seam: the utterances overlap, and
`join_words` merges what they heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.audio import SAMPLE_RATE, Samples
from core.timeline import Character, Span, Word

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


class Heard(Protocol):
    """What the model heard in one utterance; all times are seconds from the start of the file."""

    @property
    def span(self) -> Span:
        """That of the utterance."""
        ...

    @property
    def words(self) -> tuple[Word, ...]:
        """In the order in which they were said."""
        ...

    @property
    def characters(self) -> tuple[tuple[Character, ...], ...]:
        """Those of each word, one tuple per word; or none at all."""
        ...


def utterances(blocks: Iterable[Samples], *, start_s: float = 0.0, piece_s: float = 500.0) -> Iterator[Utterance]:
    """Cut samples, float32, shape (samples,), that come in blocks of any length, into utterances that cover every one of them.

    `start_s` is the time of the first sample. Little more than `piece_s` seconds are held at once, unless one block is longer; where the
    cuts lie depends on neither. The utterances of one block are views of it.
    """
    held: Samples = np.empty(0, np.float32)
    first = 0  # index of held[0] in all samples
    for piece in _pieces(blocks, int(piece_s * SAMPLE_RATE)):
        held = _one([held, *piece])
        energy = _energy(held)
        begin = 0
        while len(held) - begin > _MAX_FRAMES * _HOP:
            cut = _find_cut(energy[begin // _HOP :][:_MAX_FRAMES])
            yield Utterance(held[begin : begin + cut.end * _HOP], start_s + (first + begin) / SAMPLE_RATE)
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
    """Mean square of each whole frame, float64, shape (frames,). What is not a number counts as silence.

    A frame's energy depends on its own samples alone, to the last bit: so cuts do not depend on how the samples came.
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
    """Find the quietest place near the aim, given the energies of the 30 s that an utterance may have, shape (frames,)."""
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
    """Give the level around the start of each frame, in dB of full scale, averaged over the length of a pause; shape (frames,)."""
    half = _PAUSE_FRAMES // 2
    total = np.concatenate(([0.0], np.cumsum(energy)))
    frame = np.arange(len(energy))
    left, right = np.maximum(frame - half, 0), np.minimum(frame + half, len(energy))
    level: NDArray[np.float64] = 10 * np.log10(np.maximum((total[right] - total[left]) / (right - left), 1e-10))
    return level


_PAIR_S = 0.5
"""Two sides that hear the same word differ by less than this in when."""
_UNPAIRED = 1.0
"""What a word that only one side heard costs in an alignment; a pair of the same words costs its distance in seconds."""
_UNPAIRED_AT_EDGE = 0.1
"""The same, where one side has only a part of it or nothing."""
_EDGE_S = 0.2
_RENAMED = 1.5
"""What a pair of different words costs: less than two words that only one side heard."""


def join_words(heard: Sequence[Heard]) -> tuple[tuple[Word, ...], tuple[Character, ...]]:
    """Merge what was heard in consecutive utterances into one sequence, each word, with its characters, once.

    In an overlap each side is right about the words on its side of the middle: nearer to its end it may have heard half a word. Which
    words of the two are the same is found by aligning them, so that a word in the middle is neither lost nor doubled where the sides
    differ about its times.
    """
    first = [0] * len(heard)
    end = [len(piece.words) for piece in heard]
    for index, (left, right) in enumerate(pairwise(heard)):
        if left.span.overlap(right.span) > _HOP / SAMPLE_RATE:
            end[index], first[index + 1] = _seam(left, right)
    kept = [(piece, slice(*bounds)) for piece, *bounds in zip(heard, first, end, strict=True)]
    words = (word for piece, own in kept for word in piece.words[own])
    characters = (character for piece, own in kept for spelled in piece.characters[own] for character in spelled)
    return tuple(words), tuple(characters)


def _seam(left: Heard, right: Heard) -> tuple[int, int]:
    """Return how many of the left's words to take, and from which one on to take the right's."""
    middle = (right.span.start + left.span.end) / 2
    left_end = len(list(takewhile(lambda word: word.end < right.span.start - _PAIR_S, left.words)))
    right_begin = 0
    head = tuple(takewhile(lambda word: word.start < left.span.end + _PAIR_S, right.words))
    both = Span(right.span.start + _EDGE_S, left.span.end - _EDGE_S)
    for here, there in _align(left.words[left_end:], head, both):
        sides = (*here, *there)
        if sum(word.midpoint for word in sides) / len(sides) >= middle:
            break
        left_end, right_begin = left_end + len(here), right_begin + len(there)
    return left_end, right_begin


_Maybe = tuple[Word, ...]
"""One word, or none."""


def _align(left: Sequence[Word], right: Sequence[Word], both: Span) -> Iterator[tuple[_Maybe, _Maybe]]:
    """Pair what is the same in two sequences, in order; the cheapest alignment of all (Needleman & Wunsch, 1970).

    What lies within `both`, each side should have heard.
    """
    costs = {(len(left), len(right)): 0.0}

    def steps(i: int, j: int) -> Iterator[tuple[float, float, int, int]]:
        # Of equal cost, the earlier word goes first.
        if i < len(left):
            yield costs[i + 1, j] + _single_cost(left[i], both), left[i].midpoint, 1, 0
        if j < len(right):
            yield costs[i, j + 1] + _single_cost(right[j], both), right[j].midpoint, 0, 1
        if i < len(left) and j < len(right):
            yield costs[i + 1, j + 1] + _pair_cost(left[i], right[j]), -np.inf, 1, 1

    for i in range(len(left), -1, -1):
        for j in range(len(right), -1, -1):
            costs.setdefault((i, j), min(steps(i, j), default=(0.0,))[0])
    i = j = 0
    while i < len(left) or j < len(right):
        _, _, di, dj = min(steps(i, j))
        yield tuple(left[i : i + di]), tuple(right[j : j + dj])
        i, j = i + di, j + dj


def _single_cost(word: Word, both: Span) -> float:
    return _UNPAIRED if both.start <= word.start and word.end <= both.end else _UNPAIRED_AT_EDGE


def _pair_cost(left: Word, right: Word) -> float:
    distance_s = abs(left.midpoint - right.midpoint)
    if _letters(left.text) == _letters(right.text):
        return distance_s if distance_s < _PAIR_S else np.inf
    shorter_s = min(left.duration, right.duration)
    return _RENAMED + distance_s if left.overlap(right) > shorter_s / 2 else np.inf


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
