"""How much of the speech has words, and where words are missing.

Speech is what the level of the sound shows, and what a speaker model gives to somebody. A word
covers the time in which it can have been spoken: see `core.transcript.word_spans`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.domain.rounding import seconds, share
from core.domain.timeline import Span, Speech, Transcription, Word
from core.transcript.word_spans import spoken_span

GAP_S = 1.0
"""Seconds of speech without a word that are too many for a breath or a hesitation."""
MARGIN_S = 0.2
"""A word sounds a little before and after its time, and its time is off by a step or two."""
PAUSE_S = 1.0
"""A longer pause parts two gaps."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the words of a recording cover its speech."""

    share: float | None
    """Of the seconds of speech, 0..1; None if there is no speech."""
    gaps: tuple[Speech, ...]
    """Where at least `GAP_S` of speech has no word; sorted by start."""


def coverage(transcription: Transcription, turns: Iterable[Span] = ()) -> Coverage:
    """Hold the words against the speech, which turns are a part of; channels each by itself."""
    speech_s = missing_s = 0.0
    found: list[Speech] = []
    for speaker, speech, words in _voices(transcription, turns):
        speech_s += sum(span.duration for span in speech)
        missing_s += sum(span.duration for span in without(speech, covered(words)))
        found += [
            Speech(seconds(gap.start), seconds(gap.end), speaker) for gap in gaps(speech, words)
        ]
    rate = share(1.0 - missing_s / speech_s) if speech_s else None
    return Coverage(rate, tuple(sorted(found, key=lambda gap: gap.start)))


def _voices(
    transcription: Transcription, turns: Iterable[Span]
) -> Iterator[tuple[str | None, list[Span], Sequence[Word]]]:
    """Yield the speech and the words of each channel, or of the whole recording."""
    if not transcription.is_split:
        yield None, united((*transcription.speech, *turns)), transcription.words
        return
    for speaker in sorted({one.speaker or "" for one in transcription.speech}):
        own = united(one for one in transcription.speech if one.speaker == speaker)
        yield speaker, own, [word for word in transcription.words if word.speaker == speaker]


def covered(words: Iterable[Word]) -> list[Span]:
    """Return the time in which words can be heard: sorted, disjoint."""
    said = map(spoken_span, words)
    return united(Span(one.start - MARGIN_S, one.end + MARGIN_S) for one in said)


def found_again(transcription: Transcription) -> list[Span]:
    """Return where a second look found words that are still there, each place once."""
    middles = sorted(word.midpoint for word in transcription.words)
    return [
        span
        for span in united(transcription.found_again)
        if bisect_right(middles, span.end) > bisect_left(middles, span.start)
    ]


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


def clipped(spans: Iterable[Span], within: Span) -> Iterator[Span]:
    """Yield what of the spans lies within one, in their order."""
    for span in spans:
        if span.overlap(within) > 0:
            yield Span(max(span.start, within.start), min(span.end, within.end))


def without(spans: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    """Yield what the others leave of spans; both are sorted and disjoint."""
    first = 0
    for span in spans:
        start = span.start
        while first < len(others) and others[first].end <= start:
            first += 1
        for other in _until(others, first, span.end):
            if other.start > start:
                yield Span(start, other.start)
            start = max(start, other.end)
        if start < span.end:
            yield Span(start, span.end)


def _until(spans: Sequence[Span], first: int, end: float) -> Iterator[Span]:
    while first < len(spans) and spans[first].start < end:
        yield spans[first]
        first += 1


def gaps(
    speech: Sequence[Span],
    words: Iterable[Word],
    *,
    least_s: float = GAP_S,
    pause_s: float = PAUSE_S,
) -> list[Span]:
    """Return the stretches between two words that have at least so many seconds of speech.

    `speech` is sorted and disjoint. A stretch begins and ends with speech, and has no pause of more
    than `pause_s` in it.
    """
    said = united(map(spoken_span, words))
    starts = [word.start for word in said]
    found: list[Span] = []
    group: list[Span] = []
    for piece in without(speech, said):
        if group and not _go_together(group[-1], piece, starts, pause_s):
            found += _gap(group, least_s)
            group = []
        group.append(piece)
    return found + _gap(group, least_s)


def _go_together(one: Span, following: Span, starts: Sequence[float], pause_s: float) -> bool:
    """Tell whether neither a word nor a long pause lies between two pieces of speech."""
    is_near = following.start - one.end <= pause_s
    return is_near and bisect_right(starts, following.start) == bisect_right(starts, one.start)


def _gap(group: Sequence[Span], least_s: float) -> list[Span]:
    if sum(piece.duration for piece in group) < least_s:
        return []
    return [Span(group[0].start, group[-1].end)]
