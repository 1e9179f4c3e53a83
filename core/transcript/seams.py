"""The words of consecutive utterances as one sequence: in an overlap both sides heard the same
words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from core.domain.timeline import Character, Span, Word

_PAIR_S = 0.5
"""Two sides that hear the same word differ by less than this in when."""
_UNPAIRED = 1.0
"""What a word that only one side heard costs in an alignment; a pair of the same words costs its
distance in seconds.
"""
_UNPAIRED_AT_EDGE = 0.1
"""The same, where one side has only a part of it or nothing."""
_EDGE_S = 0.2
_TOUCH_S = 0.01
"""Spans that share no more than a frame of the cutter touch, and do not overlap."""
_RENAMED = 1.5
"""What a pair of different words costs: less than two words that only one side heard."""


@dataclass(frozen=True, slots=True)
class UtteranceWords:
    """The words of one utterance; all times are seconds from the start of the file."""

    span: Span
    """That of the utterance."""
    words: tuple[Word, ...]
    """In the order in which they were said."""
    characters: tuple[tuple[Character, ...], ...] = ()
    """Those of each word, one tuple per word; or none at all."""


def join_words(heard: Sequence[UtteranceWords]) -> tuple[tuple[Word, ...], tuple[Character, ...]]:
    """Merge what was heard in consecutive utterances into one sequence, each word, with its
    characters, once.

    In an overlap each side is right about the words on its side of the middle: nearer to its end it
    may have heard half a word. Which words of the two are the same is found by aligning them, so
    that a word in the middle is neither lost nor doubled where the sides differ about its times.
    """
    first = [0] * len(heard)
    end = [len(piece.words) for piece in heard]
    for index, (left, right) in enumerate(pairwise(heard)):
        if left.span.overlap(right.span) > _TOUCH_S:
            end[index], first[index + 1] = _seam(left, right)
    kept = [(piece, slice(*bounds)) for piece, *bounds in zip(heard, first, end, strict=True)]
    words = (word for piece, own in kept for word in piece.words[own])
    characters = (
        character
        for piece, own in kept
        for spelled in piece.characters[own]
        for character in spelled
    )
    return tuple(words), tuple(characters)


def _seam(left: UtteranceWords, right: UtteranceWords) -> tuple[int, int]:
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


def _align(
    left: Sequence[Word], right: Sequence[Word], both: Span
) -> Iterator[tuple[_Maybe, _Maybe]]:
    """Pair what is the same in two sequences, in order; the cheapest alignment of all (Needleman &
    Wunsch, 1970).

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
            yield costs[i + 1, j + 1] + _pair_cost(left[i], right[j]), -math.inf, 1, 1

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
    if left.letters == right.letters:
        return distance_s if distance_s < _PAIR_S else math.inf
    shorter_s = min(left.duration, right.duration)
    return _RENAMED + distance_s if left.overlap(right) > shorter_s / 2 else math.inf
