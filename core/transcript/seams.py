"""The words of consecutive utterances as one sequence.

In an overlap both sides heard the same words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, dropwhile, pairwise, takewhile
from typing import NamedTuple

from core.domain.timeline import Character, Span, Word

_PAIR_S = 0.5
"""Two sides that hear the same word place it less than this far apart."""
_UNPAIRED = 1000
"""Cost of a word that only one side heard; a pair of equal words costs its distance in ms.

Costs are integers, for sums of fractions depend on their order, and equal ones must be equal.
"""
_UNPAIRED_AT_EDGE = 100
"""Cost of an unpaired word at the edge, which one side may have heard only in part."""
_RENAMED = 1500
"""Cost of a pair of different words, besides its distance: less than that of two unpaired words."""
_EDGE_S = 0.2
TOUCH_S = 0.01
"""Spans that overlap by no more than a frame of the cutter only touch."""


@dataclass(frozen=True, slots=True)
class UtteranceWords:
    """The words of one utterance; all times are seconds from the start of the file."""

    span: Span
    """The span of the utterance."""
    words: tuple[Word, ...]
    """In the order in which they were said."""
    characters: tuple[tuple[Character, ...], ...] = ()
    """One tuple per word; or none at all."""


def join_words(heard: Sequence[UtteranceWords]) -> tuple[tuple[Word, ...], tuple[Character, ...]]:
    """Merge the words of consecutive utterances into one sequence, each word once.

    In an overlap each side is right about the words on its side of the middle: nearer to its end
    it may have heard half a word. An alignment finds the words that both sides heard, so that a
    word in the middle is neither lost nor doubled if the sides differ about its times.
    """
    words: list[Word] = []
    characters: list[Character] = []
    for piece, kept in zip(heard, _kept(heard), strict=True):
        words += piece.words[kept]
        characters += chain.from_iterable(piece.characters[kept])
    return tuple(words), tuple(characters)


def _kept(heard: Sequence[UtteranceWords]) -> list[slice]:
    """Return which words of each utterance to keep."""
    first = [0] * len(heard)
    end = [len(piece.words) for piece in heard]
    for index, (left, right) in enumerate(pairwise(heard)):
        if left.span.overlap(right.span) > TOUCH_S:
            end[index], first[index + 1] = _seam(left, right)
    return [slice(*bounds) for bounds in zip(first, end, strict=True)]


def _seam(left: UtteranceWords, right: UtteranceWords) -> tuple[int, int]:
    """Return how many words of the left to keep, and how many of the right to drop."""
    overlap = Span(right.span.start, left.span.end)
    tail = list(dropwhile(lambda word: word.end < overlap.start - _PAIR_S, left.words))
    head = list(takewhile(lambda word: word.start < overlap.end + _PAIR_S, right.words))
    both = Span(overlap.start + _EDGE_S, overlap.end - _EDGE_S)
    kept, dropped = len(left.words) - len(tail), 0
    for here, there in _aligned(tail, head, both):
        sides = [word for word in (here, there) if word is not None]
        if sum(word.midpoint for word in sides) / len(sides) >= overlap.midpoint:
            break
        kept += 1 if here else 0
        dropped += 1 if there else 0
    return kept, dropped


def _aligned(
    left: Sequence[Word], right: Sequence[Word], both: Span
) -> Iterator[tuple[Word | None, Word | None]]:
    """Pair the words of two sequences, in order, at the least cost (Needleman & Wunsch, 1970).

    Both sides should have heard the words within `both`.
    """
    costs = _Costs(left, right, both)
    i = j = 0
    while i < len(left) or j < len(right):
        step = min(costs.steps(i, j))
        yield left[i] if step.left else None, right[j] if step.right else None
        i, j = i + step.left, j + step.right


class JoinedSoFar:
    """Joins the words of utterances that come one by one, in order, as `join_words` does."""

    def __init__(self, overlap_s: float) -> None:
        """`overlap_s` is the longest overlap of two utterances, in seconds."""
        self._overlap_s = overlap_s
        self._last: UtteranceWords | None = None
        self._begin = 0  # the first word of the last utterance that may still be dropped

    def add(self, piece: UtteranceWords) -> tuple[Word, ...]:
        """Return the words that are certain now and were not before."""
        before, first = self._before(piece)
        unsure = piece.span.end - self._overlap_s - _PAIR_S
        sure = next((i for i, word in enumerate(piece.words) if word.end >= unsure), None)
        end = max(first, len(piece.words) if sure is None else sure)
        self._last, self._begin = piece, end
        return before + piece.words[first:end]

    def rest(self) -> tuple[Word, ...]:
        """Return the words that are certain because no utterance follows."""
        return () if self._last is None else self._last.words[self._begin :]

    def _before(self, piece: UtteranceWords) -> tuple[tuple[Word, ...], int]:
        """Return the words of the last utterance that this one makes certain, and how many of its
        own to drop.
        """
        if self._last is None:
            return (), 0
        if self._last.span.overlap(piece.span) <= TOUCH_S:
            return self.rest(), 0
        end, first = _seam(self._last, piece)
        return self._last.words[self._begin : end], first


class _Step(NamedTuple):
    """A possible next step of an alignment; the least of several is the best."""

    cost: int
    """The cost of this step and of all that follow it."""
    at: float
    """Decides between steps of equal cost: a pair comes first, then the earlier word."""
    left: int
    """How many words the step takes from the left: 0 or 1."""
    right: int
    """How many words the step takes from the right: 0 or 1."""


class _Costs:
    """The least costs of aligning two sequences from any two places on."""

    def __init__(self, left: Sequence[Word], right: Sequence[Word], both: Span) -> None:
        self._left = left
        self._right = right
        self._both = both
        self._from = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
        for i in range(len(left), -1, -1):
            for j in range(len(right), -1, -1):
                self._from[i][j] = min((step.cost for step in self.steps(i, j)), default=0)

    def steps(self, i: int, j: int) -> list[_Step]:
        """Return the possible steps after the first `i` and `j` words."""
        steps = []
        if i < len(self._left):
            cost = self._from[i + 1][j] + _single_cost(self._left[i], self._both)
            steps.append(_Step(cost, self._left[i].midpoint, 1, 0))
        if j < len(self._right):
            cost = self._from[i][j + 1] + _single_cost(self._right[j], self._both)
            steps.append(_Step(cost, self._right[j].midpoint, 0, 1))
        if i < len(self._left) and j < len(self._right):
            pair_cost = _pair_cost(self._left[i], self._right[j])
            if pair_cost is not None:
                steps.append(_Step(self._from[i + 1][j + 1] + pair_cost, -math.inf, 1, 1))
        return steps


def _single_cost(word: Word, both: Span) -> int:
    return _UNPAIRED if both.start <= word.start and word.end <= both.end else _UNPAIRED_AT_EDGE


def _pair_cost(left: Word, right: Word) -> int | None:
    """Return the cost of a pair; None if the two cannot be one word."""
    distance_s = abs(left.midpoint - right.midpoint)
    if left.letters == right.letters:
        return round(1000 * distance_s) if distance_s < _PAIR_S else None
    shorter_s = min(left.duration, right.duration)
    is_one = left.overlap(right) > shorter_s / 2
    return _RENAMED + round(1000 * distance_s) if is_one else None
