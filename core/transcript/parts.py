"""Equal parts of a recording: which utterances a worker hears, and which words are its own.

All workers cut the recording at the same places, so parts meet between two utterances. If these
overlap, because the cut was forced, both workers hear both utterances and divide the words in the
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
from core.domain.timeline import LanguageSpan, Span, Speech, Transcription, Word
from core.transcript.language import joined_languages, language_of
from core.transcript.seams import TOUCH_S
from core.transcript.spelled import without_words

_Utterance = TypeVar("_Utterance")
_Stretch = TypeVar("_Stretch", Speech, LanguageSpan)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One part of a recording, as utterances and words."""

    heard: range
    """Indices of the utterances to transcribe."""
    own: Span
    """The span that the midpoints of the part's own words lie in."""
    duration_s: float
    """Seconds of audio in the utterances to transcribe."""

    @classmethod
    def of(cls, part: Part, spans: Sequence[Span]) -> Assignment:
        """Choose the utterances of a part, given the spans of all utterances in order."""
        inside = _inside(part, spans)
        if not inside:
            return cls(range(0), Span(0.0, 0.0), 0.0)
        first, last = inside[0], inside[-1]
        left, right = _seam(spans, first - 1), _seam(spans, last)
        heard = range(
            first - 1 if left.is_forced else first, last + 2 if right.is_forced else last + 1
        )
        duration_s = sum(spans[index].duration for index in heard)
        return cls(heard, Span(left.at, right.at), duration_s)

    def pick(self, utterances: Iterable[_Utterance]) -> Iterator[_Utterance]:
        """Return the utterances to transcribe, out of all."""
        return islice(utterances, self.heard.start, self.heard.stop)

    def trim(self, transcription: Transcription) -> Transcription:
        """Drop the words, the characters and the speech of other parts."""
        others = (word for word in transcription.words if not self._is_own(word))
        return replace(
            transcription,
            words=tuple(filter(self._is_own, transcription.words)),
            characters=without_words(transcription.characters, others),
            speech=tuple(self._clipped(transcription.speech)),
            found_again=tuple(filter(self._is_own, transcription.found_again)),
            languages=tuple(self._clipped(transcription.languages)),
        )

    def _is_own(self, span: Span) -> bool:
        return self.own.start <= span.midpoint < self.own.end

    def _clipped(self, spans: Iterable[_Stretch]) -> Iterator[_Stretch]:
        for one in spans:
            start, end = max(one.start, self.own.start), min(one.end, self.own.end)
            if start < end:
                yield replace(one, start=start, end=end)


def _inside(part: Part, spans: Sequence[Span]) -> list[int]:
    """Return the indices of the utterances whose midpoint lies in the part."""
    step = spans[-1].end / part.of if spans else 0.0
    if not step:
        return []
    return [i for i, span in enumerate(spans) if int(span.midpoint // step) == part.index]


@dataclass(frozen=True, slots=True)
class _Seam:
    at: float
    is_forced: bool
    """The cut fell into speech, so the utterances overlap."""


def _seam(spans: Sequence[Span], index: int) -> _Seam:
    """Return the seam between an utterance and the next; at either end, one without limit."""
    if index < 0:
        return _Seam(-math.inf, False)
    if index + 1 == len(spans):
        return _Seam(math.inf, False)
    before, after = spans[index], spans[index + 1]
    return _Seam((before.end + after.start) / 2, before.overlap(after) > TOUCH_S)


def join_parts(parts: Sequence[Transcription]) -> Transcription:
    """Join the equal parts of one recording, given in order.

    If two parts kept the same word, take the first. Parts divide their words in the middle of what
    both hear, so this happens only if two workers differ about a word's time.
    """
    joined = reduce(_joined, parts)
    language, sure = language_of(parts)
    joined = replace(joined, language=language, language_confidence=sure)
    return replace(joined, warnings=tuple(dict.fromkeys(joined.warnings)))


def _joined(left: Transcription, right: Transcription) -> Transcription:
    words, characters = right.words, right.characters
    if left.words and words and _is_same(left.words[-1], words[0]):
        doubled, words = words[0], words[1:]
        characters = without_words(characters, (doubled,))
    return replace(
        left,
        words=left.words + words,
        characters=left.characters + characters,
        warnings=(*left.warnings, *right.warnings),
        speech=left.speech + right.speech,
        found_again=left.found_again + right.found_again,
        languages=joined_languages(left.languages + right.languages),
    )


def _is_same(left: Word, right: Word) -> bool:
    """Tell whether both are one word: the same letters at the same time.

    A word that is said twice is said at two times.
    """
    return (
        left.letters == right.letters
        and left.overlap(right) > min(left.duration, right.duration) / 2
    )
