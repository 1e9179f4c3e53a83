"""From words and turns to who said each word.

A word goes to the speaker whose turns cover most of it. If none does, it goes to the speaker of the
nearest turn, and is marked, or to nobody. Ends of words are capped before they are compared: see
`core.transcript.word_spans`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from math import inf

from core.domain.timeline import Diarization, Span, Turn, Word
from core.domain.watch import IsCancelled
from core.errors import Cancelled
from core.transcript.labels import Labels, shares_s
from core.transcript.smoothing import smooth

NEAREST_TURN_S = 0.5
"""The farthest, from edge to edge, that a turn may be from a word it does not cover."""

_NEVER = Turn(inf, inf, "")


def label_words(
    words: Sequence[Word], diarization: Diarization, *, cancelled: IsCancelled = lambda: False
) -> tuple[Word, ...]:
    """Name the speaker of each word; leave the words' order, times and texts as they are.

    The exclusive turns decide, or the ordinary ones if there are no exclusive ones. The ordinary
    turns tell which words are in overlapped speech. Time is O((W + D) log(W + D)) for W words and
    D turns, if only a few turns overlap at any time; memory is O(W + D) in any case.

    Raise Cancelled soon after `cancelled` returns True.
    """
    turns = _united(diarization.exclusive_turns or diarization.turns)
    labels = Labels(words, turns)
    _choose_speakers(labels, turns, cancelled)
    smooth(labels)
    return labels.labelled(_overlapped(labels, _crowded(_united(diarization.turns))))


def _choose_speakers(labels: Labels, turns: Sequence[Turn], cancelled: IsCancelled) -> None:
    """Choose the speaker of each word by the united turns alone."""
    sweep = _Sweep(turns)
    starts, ends = labels.starts, labels.ends
    for index in sorted(range(len(starts)), key=starts.__getitem__):
        if cancelled():
            raise Cancelled("the job was cancelled while its words were given to speakers")
        speaker, covered_s = sweep.main_speaker(starts[index], ends[index])
        if speaker is not None:
            labels.speakers[index], labels.covered_s[index] = speaker, covered_s
        elif (turn := sweep.nearest(labels.span(index))) is not None:
            labels.speakers[index], labels.nearest[index] = turn.speaker, True


def _united(turns: Iterable[Turn]) -> list[Turn]:
    """Merge the overlapping turns of each speaker, and sort by start.

    Turns that start together stay in the order given.
    """
    united: dict[str, list[Turn]] = {}
    lasting = (turn for turn in turns if turn.duration > 0)
    for turn in sorted(lasting, key=lambda turn: turn.start):
        own = united.setdefault(turn.speaker, [])
        if own and turn.start <= own[-1].end:
            own[-1] = replace(own[-1], end=max(own[-1].end, turn.end))
        else:
            own.append(turn)
    return sorted((turn for own in united.values() for turn in own), key=lambda turn: turn.start)


def _crowded(turns: Sequence[Turn]) -> list[Span]:
    """Return the spans in which several of the united turns run at once; sorted, disjoint."""
    changes = sorted([(turn.start, 1) for turn in turns] + [(turn.end, -1) for turn in turns])
    talking = accumulate(change for _, change in changes)
    spans = [
        Span(start, end)
        for ((start, _), (end, _)), count in zip(pairwise(changes), talking, strict=False)
        if count > 1
    ]
    return [span for span in spans if span.duration > 0]


def _overlapped(labels: Labels, crowded: Sequence[Span]) -> list[bool]:
    if not crowded:
        return [False] * len(labels.words)
    return [_meets(labels.span(index), crowded) for index in range(len(labels.words))]


def _meets(span: Span, others: Sequence[Span]) -> bool:
    """Tell whether the span overlaps one of the sorted, disjoint others."""
    first = bisect_left(others, span.start, key=lambda other: other.end)
    return any(span.overlap(other) > 0 for other in others[first : first + 2])


class _Sweep:
    """Finds which of the united turns, sorted by start, cover a span or are near it."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._last_to_end = list(accumulate(turns, partial(max, key=lambda turn: turn.end)))
        self._coming = iter(turns)
        self._next = next(self._coming, _NEVER)
        self._running: list[Turn] = []
        self._first_end = inf

    def main_speaker(self, start: float, end: float) -> tuple[str | None, float]:
        """Return who covers most of a span, and how many seconds of it; (None, 0) is nobody.

        Of two who cover the same time, it is the one who began first. Spans must come in order of
        their starts.
        """
        while self._next.start < end:
            self._running.append(self._next)
            self._first_end = min(self._first_end, self._next.end)
            self._next = next(self._coming, _NEVER)
        if self._first_end <= start:
            self._running = [turn for turn in self._running if turn.end > start]
            self._first_end = min((turn.end for turn in self._running), default=inf)
        running = self._running
        if not running:
            return None, 0.0
        if len(running) == 1:
            turn = running[0]
            covered_s = min(turn.end, end) - max(turn.start, start)
            return (turn.speaker, covered_s) if covered_s > 0 else (None, 0.0)
        covered = shares_s(Span(start, end), running)
        speaker = max(covered, key=covered.__getitem__, default=None)
        return speaker, covered[speaker] if speaker else 0.0

    def nearest(self, span: Span) -> Turn | None:
        """Return the turn nearest to a span that none covers; None if all are too far.

        Of two that are equally near, return the earlier one.
        """
        after = bisect_left(self._turns, span.end, key=lambda turn: turn.start)
        near = [*self._last_to_end[max(0, after - 1) : after], *self._turns[after : after + 1]]
        turn = min(near, key=span.gap, default=None)
        return turn if turn is not None and span.gap(turn) <= NEAREST_TURN_S else None
