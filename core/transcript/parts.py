"""One of n equal parts of a recording: which utterances a worker hears, and which words of them
are its own.

All workers cut the same recording at the same places, so parts meet where utterances do. At a
forced cut, where neighbours overlap, both sides hear both utterances and part the words in the
middle of the overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice
from typing import TypeVar

from core.domain.request import Part
from core.domain.timeline import Character, Span, Transcription, Word

_Utterance = TypeVar("_Utterance")


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker of several does."""

    heard: range
    """Indices of the utterances to transcribe."""
    own: Span
    """The words whose midpoint lies in it are this part's."""
    duration_s: float
    """Seconds of audio in the utterances to transcribe."""

    @classmethod
    def of(cls, part: Part, spans: Sequence[Span]) -> Assignment:
        """Choose the utterances whose midpoint lies in the part, given all utterances' spans in
        order.
        """
        step = spans[-1].end / part.of if spans else 0.0
        inside = (
            [i for i, span in enumerate(spans) if int(span.midpoint // step) == part.index]
            if step
            else []
        )
        if not inside:
            return cls(range(0), Span(0.0, 0.0), 0.0)
        first, last = inside[0], inside[-1]
        left, right = _seam(spans, first - 1), _seam(spans, last)
        heard = range(first - left.is_forced, last + 1 + right.is_forced)
        duration_s = sum(spans[index].duration for index in heard)
        return cls(heard, Span(left.at, right.at), duration_s)

    def pick(self, utterances: Iterable[_Utterance]) -> Iterator[_Utterance]:
        """Return those of all utterances that are to be transcribed."""
        return islice(utterances, self.heard.start, self.heard.stop)

    def trim(self, transcription: Transcription) -> Transcription:
        """Drop the words and characters that are another part's."""
        return replace(
            transcription,
            words=tuple(filter(self._is_own, transcription.words)),
            characters=tuple(filter(self._is_own, transcription.characters)),
        )

    def _is_own(self, text: Word | Character) -> bool:
        return self.own.start <= text.midpoint < self.own.end


@dataclass(frozen=True, slots=True)
class _Seam:
    at: float
    is_forced: bool


def _seam(spans: Sequence[Span], index: int) -> _Seam:
    """Where the utterance of that index and the next one part; outside of all utterances there is
    no limit.
    """
    if index < 0:
        return _Seam(-math.inf, False)
    if index + 1 == len(spans):
        return _Seam(math.inf, False)
    before, after = spans[index], spans[index + 1]
    return _Seam((before.end + after.start) / 2, before.overlap(after) > 0)


def join_parts(parts: Sequence[Transcription]) -> Transcription:
    """Put the equal parts of one recording, in their order, one after the other.

    Of a word that two of them kept, the first is taken: parts divide their words in the middle of
    what both hear, so that happens only if two workers differ about a word's time.
    """
    joined = reduce(_joined, parts)
    language = next((part.language for part in parts if part.language), None)
    return replace(joined, language=language, warnings=tuple(dict.fromkeys(joined.warnings)))


def _joined(left: Transcription, right: Transcription) -> Transcription:
    words, characters = right.words, right.characters
    if left.words and words and _is_same(left.words[-1], words[0]):
        doubled, words = words[0], words[1:]
        characters = tuple(one for one in characters if one.midpoint >= doubled.end)
    return replace(
        left,
        words=left.words + words,
        characters=left.characters + characters,
        warnings=(*left.warnings, *right.warnings),
    )


def _is_same(left: Word, right: Word) -> bool:
    """Whether both are one word: the same letters at the same time.

    Whoever says a word twice does so one after the other.
    """
    return (
        left.letters == right.letters
        and left.overlap(right) > min(left.duration, right.duration) / 2
    )
