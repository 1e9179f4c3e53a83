"""From words and turns to who said each word.

A word goes to the speaker whose turns cover most of it. If none does, it goes to the speaker of the
nearest turn, and is marked, or to nobody. Ends of words are capped before they are compared: see
`core.transcript.word_spans`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, groupby, pairwise
from math import inf

from core.domain.timeline import Diarization, Span, Turn, Word
from core.domain.watch import IsCancelled
from core.errors import Cancelled
from core.transcript.sentences import BRIEF_PAUSE_S, ends_sentence
from core.transcript.word_spans import spoken_end

NEAREST_TURN_S = 0.5
"""The farthest, from edge to edge, that a turn may be from a word it does not cover."""

STRAY_WORDS = 2
"""The most words in a row that may go to the speaker around them."""

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
    labels = _Labels(words)
    turns = _united(diarization.exclusive_turns or diarization.turns)
    _choose_speakers(labels, turns, cancelled)
    _absorb_strays(labels, turns)
    return labels.labelled(_crowded(_united(diarization.turns)))


class _Labels:
    """The speakers found so far for words, as lists by the word's index.

    An object for each word and its span would take half of the time of the whole.
    """

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self.starts = [word.start for word in words]
        self.ends = [spoken_end(word) for word in words]
        """From a word's start to here is the time in which it can have been spoken."""
        self.speakers: list[str | None] = [None] * len(words)
        self.covered_s = [0.0] * len(words)
        """Seconds of the word's time that the speaker's turns cover."""
        self.nearest = [False] * len(words)
        """True if no turn covers the word and the speaker is that of the nearest one."""

    def span(self, index: int) -> Span:
        """Return the time in which a word can have been spoken."""
        return Span(self.starts[index], self.ends[index])

    def labelled(self, crowded: Sequence[Span]) -> tuple[Word, ...]:
        """Return the words with their speakers."""
        if crowded:
            overlapped = [_meets(self.span(index), crowded) for index in range(len(self.words))]
        else:
            overlapped = [False] * len(self.words)
        return tuple(
            map(
                _labelled,
                self.words,
                self.speakers,
                self._confidences(),
                overlapped,
                self.nearest,
            )
        )

    def _confidences(self) -> Iterator[float | None]:
        told = zip(self.speakers, self.covered_s, self.starts, self.ends, strict=True)
        for speaker, covered_s, start, end in told:
            yield None if speaker is None else min(1.0, covered_s / (end - start))


def _labelled(
    word: Word, speaker: str | None, confidence: float | None, overlapped: bool, nearest: bool
) -> Word:
    # `replace` takes half as long again.
    return Word(
        word.start,
        word.end,
        word.text,
        word.confidence,
        speaker,
        confidence,
        overlapped,
        nearest,
    )


def _choose_speakers(labels: _Labels, turns: Sequence[Turn], cancelled: IsCancelled) -> None:
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


def _absorb_strays(labels: _Labels, turns: Sequence[Turn]) -> None:
    """Give one or two words inside a sentence to the speaker on both their sides.

    People change after a pause or a sentence. A run so short, with neither on either side, is the
    blurred edge of a turn.
    """
    lengths = [len(list(run)) for _, run in groupby(labels.speakers)]
    own = _by_speaker(turns)
    first = 0
    for index, length in enumerate(lengths):
        after = first + length
        has_neighbours = 0 < index < len(lengths) - 1
        if length <= STRAY_WORDS and has_neighbours and _is_enclosed(labels, first, after):
            speaker = labels.speakers[first - 1]
            for stray in range(first, after):
                labels.speakers[stray], labels.nearest[stray] = speaker, False
                labels.covered_s[stray] = _covered_s(labels.span(stray), own.get(speaker or "", []))
        first = after


def _by_speaker(turns: Iterable[Turn]) -> dict[str, list[Turn]]:
    own: dict[str, list[Turn]] = {}
    for turn in turns:
        own.setdefault(turn.speaker, []).append(turn)
    return own


def _covered_s(span: Span, turns: Sequence[Turn]) -> float:
    """Return the seconds of the span that one speaker's united turns cover."""
    first = bisect_left(turns, span.start, key=lambda turn: turn.end)
    after = bisect_left(turns, span.end, key=lambda turn: turn.start)
    return next(iter(_covered(span, turns[first:after]).values()), 0.0)


def _is_enclosed(labels: _Labels, first: int, after: int) -> bool:
    """Tell whether one speaker surrounds the words without a pause or the end of a sentence."""
    around = labels.speakers[first - 1]
    if around is None or labels.speakers[first] is None or around != labels.speakers[after]:
        return False
    pause_s = max(
        labels.starts[first] - labels.ends[first - 1], labels.starts[after] - labels.ends[after - 1]
    )
    return pause_s < BRIEF_PAUSE_S and not any(
        ends_sentence(word, following)
        for word, following in pairwise(labels.words[first - 1 : after + 1])
    )


def _united(turns: Iterable[Turn]) -> list[Turn]:
    """Merge the overlapping turns of each speaker, and sort by start.

    Turns that start together stay in the order given.
    """
    united: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda turn: turn.start):
        own = united.setdefault(turn.speaker, [])
        if own and turn.start <= own[-1].end:
            own[-1] = replace(own[-1], end=max(own[-1].end, turn.end))
        elif turn.duration > 0:
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
        covered = _covered(Span(start, end), running)
        speaker = max(covered, key=covered.__getitem__, default=None)
        return speaker, covered[speaker] if speaker else 0.0

    def nearest(self, span: Span) -> Turn | None:
        """Return the turn nearest to a span that none covers; None if all are too far.

        Of two that are equally near, return the earlier one.
        """
        after = bisect_left(self._turns, span.end, key=lambda turn: turn.start)
        near = [*self._last_to_end[:after][-1:], *self._turns[after : after + 1]]
        turn = min(near, key=span.gap, default=None)
        return turn if turn is not None and span.gap(turn) <= NEAREST_TURN_S else None


def _covered(span: Span, turns: Iterable[Turn]) -> dict[str, float]:
    """Return the seconds of the span that each speaker covers, for those who cover some of it."""
    covered: dict[str, float] = {}
    for turn in turns:
        if (overlap_s := span.overlap(turn)) > 0:
            covered[turn.speaker] = covered.get(turn.speaker, 0.0) + overlap_s
    return covered
