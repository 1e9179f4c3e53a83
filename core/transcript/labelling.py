"""Words × turns: who said each word.

A word goes to the speaker whose turns cover most of it; if no turn does, to the nearest turn by its
edge, flagged, or to nobody. Word ends are capped before they are compared: see
`core.transcript.word_spans`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby, pairwise

from core.domain.timeline import Diarization, Span, Turn, Word
from core.transcript.sentences import BRIEF_PAUSE_S, ends_sentence
from core.transcript.word_spans import spoken_span

NEAREST_TURN_S = 0.5
"""A word that no turn covers goes to the nearest turn if that is at most this far from edge to
edge.
"""

STRAY_WORDS = 2
"""Longest run of words that may be given to the speaker around it."""


def label_words(words: Sequence[Word], diarization: Diarization) -> tuple[Word, ...]:
    """Say for each word who spoke it; everything else about the words, their order and their times
    stay as they are.

    The exclusive turns decide; where a diarization has none, its ordinary ones do. The ordinary
    turns tell which words lie in overlapped speech. Time O((W + D) log(W + D)) for W words and D
    turns of which only a few overlap at any time.
    """
    heard = [spoken_span(word) for word in words]
    sweep = _Sweep(_united(diarization.exclusive_turns or diarization.turns))
    crowded = _crowded(_united(diarization.turns))
    order = sorted(range(len(words)), key=lambda i: heard[i].start)
    shares = dict(zip(order, sweep.shares(heard[i] for i in order), strict=True))
    labels = [_Label.of(heard[i], shares[i], sweep) for i in range(len(words))]
    speakers = _without_strays(words, heard, [label.speaker for label in labels])
    return tuple(
        replace(
            word,
            speaker=speaker,
            speaker_confidence=None
            if speaker is None
            else min(1.0, shares[i].get(speaker, 0.0) / heard[i].duration),
            overlapped=_meets(heard[i], crowded),
            nearest=labels[i].nearest and speaker == labels[i].speaker,
        )
        for i, (word, speaker) in enumerate(zip(words, speakers, strict=True))
    )


def _united(turns: Iterable[Turn]) -> list[Turn]:
    """The same speech with no speaker twice at a time, sorted; turns that start together stay in
    the order given.
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
    """Where two or more of the united turns run at once; sorted, apart from each other."""
    changes = sorted([(turn.start, 1) for turn in turns] + [(turn.end, -1) for turn in turns])
    talking = accumulate(change for _, change in changes)
    spans = [
        Span(start, end)
        for ((start, _), (end, _)), count in zip(pairwise(changes), talking, strict=False)
        if count > 1
    ]
    return [span for span in spans if span.duration > 0]


def _meets(span: Span, others: Sequence[Span]) -> bool:
    """Whether the span shares time with one of the sorted, disjoint others."""
    first = bisect_left(others, span.start, key=lambda other: other.end)
    return any(span.overlap(other) > 0 for other in others[first : first + 2])


class _Sweep:
    """United turns, in order of their start, asked about spans."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._last_to_end = list(accumulate(turns, partial(max, key=lambda turn: turn.end)))

    def shares(self, spans: Iterable[Span]) -> Iterator[dict[str, float]]:
        """For spans in order of their start: seconds that each speaker covers, who covers none left
        out.
        """
        running: list[Turn] = []
        coming = 0
        for span in spans:
            while coming < len(self._turns) and self._turns[coming].start < span.end:
                running.append(self._turns[coming])
                coming += 1
            running = [turn for turn in running if turn.end > span.start]
            covered: dict[str, float] = {}
            for turn in running:
                if (overlap := span.overlap(turn)) > 0:
                    covered[turn.speaker] = covered.get(turn.speaker, 0.0) + overlap
            yield covered

    def nearest(self, span: Span) -> Turn | None:
        """The turn with the edge nearest to a span that none covers, of two the one before; None
        where all are far.
        """
        after = bisect_left(self._turns, span.end, key=lambda turn: turn.start)
        near = [*self._last_to_end[:after][-1:], *self._turns[after : after + 1]]
        turn = min(near, key=span.gap, default=None)
        return turn if turn is not None and span.gap(turn) <= NEAREST_TURN_S else None


@dataclass(frozen=True, slots=True)
class _Label:
    speaker: str | None
    nearest: bool

    @classmethod
    def of(cls, span: Span, covered: dict[str, float], sweep: _Sweep) -> _Label:
        if covered:
            # Of two who cover as much, the one who was speaking first.
            return cls(max(covered, key=covered.__getitem__), nearest=False)
        turn = sweep.nearest(span)
        return cls(turn.speaker if turn else None, nearest=turn is not None)


def _without_strays(
    words: Sequence[Word], heard: Sequence[Span], speakers: Sequence[str | None]
) -> list[str | None]:
    """Give one or two words inside a sentence to the speaker on both their sides.

    People change after a pause or a sentence. With neither on either side, so short a run is the
    blurred edge of a turn.
    """
    runs = [list(run) for _, run in groupby(range(len(words)), key=speakers.__getitem__)]
    smooth = list(speakers)
    for run in runs[1:-1]:
        before, first, last, after = run[0] - 1, run[0], run[-1], run[-1] + 1
        around = smooth[before]
        if (
            len(run) <= STRAY_WORDS
            and None not in (around, speakers[first])
            and around == speakers[after]
            and not any(ends_sentence(words[i], words[i + 1]) for i in range(before, after))
            and heard[first].start - heard[before].end < BRIEF_PAUSE_S
            and heard[after].start - heard[last].end < BRIEF_PAUSE_S
        ):
            smooth[first:after] = [around] * len(run)
    return smooth
