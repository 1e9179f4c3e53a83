"""From words and turns to who said each word.

A word goes to the speaker whose turns cover most of it. If none does, it goes to the speaker of the
nearest turn, and is marked, or to nobody. Ends of words are capped before they are compared: see
`core.transcript.word_spans`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby, pairwise

from core.domain.timeline import Diarization, Span, Turn, Word
from core.domain.watch import IsCancelled
from core.errors import Cancelled
from core.transcript.sentences import BRIEF_PAUSE_S, ends_sentence
from core.transcript.word_spans import spoken_span

NEAREST_TURN_S = 0.5
"""The farthest, from edge to edge, that a turn may be from a word it does not cover."""

STRAY_WORDS = 2
"""The most words in a row that may go to the speaker around them."""


def label_words(
    words: Sequence[Word], diarization: Diarization, *, cancelled: IsCancelled = lambda: False
) -> tuple[Word, ...]:
    """Name the speaker of each word; leave the words' order, times and texts as they are.

    The exclusive turns decide, or the ordinary ones if there are no exclusive ones. The ordinary
    turns tell which words are in overlapped speech. Time is O((W + D) log(W + D)) for W words and
    D turns, if only a few turns overlap at any time; memory is O(W + D) in any case.

    Raise Cancelled soon after `cancelled` returns True.
    """
    labels = [_Label(word, spoken_span(word)) for word in words]
    turns = _united(diarization.exclusive_turns or diarization.turns)
    _choose_speakers(labels, turns, cancelled)
    _absorb_strays(labels, turns)
    crowded = _crowded(_united(diarization.turns))
    return tuple(label.labelled(overlapped=_meets(label.span, crowded)) for label in labels)


@dataclass(slots=True)
class _Label:
    """A word, and the speaker found for it so far."""

    word: Word
    span: Span
    """The time in which the word can have been spoken."""
    speaker: str | None = None
    covered_s: float = 0.0
    """Seconds of the span that the speaker's turns cover."""
    nearest: bool = False
    """True if no turn covers the word and the speaker is that of the nearest one."""

    def labelled(self, *, overlapped: bool) -> Word:
        """Return the word with its speaker."""
        return replace(
            self.word,
            speaker=self.speaker,
            speaker_confidence=self._confidence,
            overlapped=overlapped,
            nearest=self.nearest,
        )

    @property
    def _confidence(self) -> float | None:
        return None if self.speaker is None else min(1.0, self.covered_s / self.span.duration)


def _choose_speakers(
    labels: Sequence[_Label], turns: Sequence[Turn], cancelled: IsCancelled
) -> None:
    """Choose the speaker of each word by the united turns alone."""
    sweep = _Sweep(turns)
    in_order = sorted(labels, key=lambda label: label.span.start)
    coverage = sweep.coverage(label.span for label in in_order)
    for label, covered in zip(in_order, coverage, strict=True):
        if cancelled():
            raise Cancelled("the job was cancelled while its words were given to speakers")
        if covered:
            # Of two who cover the same time, the one who began first.
            label.speaker = max(covered, key=covered.__getitem__)
            label.covered_s = covered[label.speaker]
        elif (turn := sweep.nearest(label.span)) is not None:
            label.speaker, label.nearest = turn.speaker, True


def _absorb_strays(labels: Sequence[_Label], turns: Sequence[Turn]) -> None:
    """Give one or two words inside a sentence to the speaker on both their sides.

    People change after a pause or a sentence. A run so short, with neither on either side, is the
    blurred edge of a turn.
    """
    runs = [list(run) for _, run in groupby(labels, key=lambda label: label.speaker)]
    own = _by_speaker(turns)
    for before, run, after in zip(runs, runs[1:], runs[2:], strict=False):
        speaker = before[-1].speaker
        if len(run) <= STRAY_WORDS and _is_enclosed(before[-1], run, after[0]):
            for label in run:
                label.speaker, label.nearest = speaker, False
                label.covered_s = _covered_s(label.span, own.get(speaker or "", []))


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


def _is_enclosed(before: _Label, run: Sequence[_Label], after: _Label) -> bool:
    """Tell whether one speaker surrounds the words without a pause or the end of a sentence."""
    if before.speaker is None or run[0].speaker is None or before.speaker != after.speaker:
        return False
    pause_s = max(run[0].span.start - before.span.end, after.span.start - run[-1].span.end)
    return pause_s < BRIEF_PAUSE_S and not any(
        ends_sentence(label.word, following.word)
        for label, following in pairwise((before, *run, after))
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

    def coverage(self, spans: Iterable[Span]) -> Iterator[dict[str, float]]:
        """Yield for each span, in order of start, the seconds that each speaker covers of it."""
        running: list[Turn] = []
        coming = 0
        for span in spans:
            while coming < len(self._turns) and self._turns[coming].start < span.end:
                running.append(self._turns[coming])
                coming += 1
            running = [turn for turn in running if turn.end > span.start]
            yield _covered(span, running)

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
