"""How much of the speech has words, and where words are missing.

Speech is what the level of the sound shows, and what a speaker model gives to somebody. A word
covers the time in which it can have been spoken: see `core.transcript.word_spans`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.domain.timeline import Span, Word
from core.transcript.word_spans import spoken_span

GAP_S = 1.0
"""Seconds of speech without a word that are too many to be a hesitation."""
_PAUSE_S = 1.0
"""A longer pause parts two gaps."""


def united(spans: Iterable[Span]) -> list[Span]:
    """Return what the spans cover: sorted, disjoint, none empty."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].end:
            if span.end > found[-1].end:
                found[-1] = Span(found[-1].start, span.end)
        elif span.end > span.start:
            found.append(Span(span.start, span.end))
    return found


def without(spans: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    """Yield what the others leave of spans; both are sorted and disjoint."""
    first = 0
    for span in spans:
        start = span.start
        while first < len(others) and others[first].end <= start:
            first += 1
        at = first
        while at < len(others) and others[at].start < span.end:
            if others[at].start > start:
                yield Span(start, others[at].start)
            start = max(start, others[at].end)
            at += 1
        if start < span.end:
            yield Span(start, span.end)


def gaps(speech: Sequence[Span], words: Iterable[Word], *, least_s: float = GAP_S) -> list[Span]:
    """Return the stretches between two words that have at least so many seconds of speech.

    `speech` is sorted and disjoint. A stretch begins and ends with speech.
    """
    said = united(map(spoken_span, words))
    found: list[Span] = []
    group: list[Span] = []
    for piece in without(speech, said):
        if group and not _go_together(group[-1], piece, said):
            found += _gap(group, least_s)
            group = []
        group.append(piece)
    return found + _gap(group, least_s)


def _go_together(one: Span, following: Span, said: Sequence[Span]) -> bool:
    """Tell whether no word and no long pause lies between two pieces of speech."""
    between = Span(one.end, following.start)
    return between.duration <= _PAUSE_S and not any(between.overlap(word) > 0 for word in said)


def _gap(group: Sequence[Span], least_s: float) -> list[Span]:
    if sum(piece.duration for piece in group) < least_s:
        return []
    return [Span(group[0].start, group[-1].end)]
