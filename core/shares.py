"""One of n equal shares of a recording: which utterances a worker hears, and which words of them are its own.

All workers cut the same recording at the same places, so shares meet where utterances do. At a forced cut, where neighbours overlap, both
sides hear both utterances and part the words in the middle of the overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from core.chunking import Utterance
from core.schema import Part
from core.timeline import Character, Span, Transcription, Word


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker of several does."""

    heard: range
    """Indices of the utterances to transcribe."""
    own: Span
    """The words whose midpoint lies in it are this share's."""

    @classmethod
    def of(cls, part: Part, spans: Sequence[Span]) -> Share:
        """Choose the utterances whose midpoint lies in the part, given all utterances' spans in order."""
        step = spans[-1].end / part.of if spans else 0.0
        inside = [i for i, span in enumerate(spans) if int(span.midpoint // step) == part.index] if step else []
        if not inside:
            return cls(range(0), Span(0.0, 0.0))
        first, last = inside[0], inside[-1]
        left, right = _seam(spans, first - 1), _seam(spans, last)
        heard = range(first - left.is_forced, last + 1 + right.is_forced)
        return cls(heard, Span(left.at, right.at))

    def pick(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """Give the utterances to transcribe out of all of them."""
        return islice(utterances, self.heard.start, self.heard.stop)

    def trim(self, transcription: Transcription) -> Transcription:
        """Drop the words and characters that are another share's."""
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
    """Where the utterance of that index and the next one part; outside of all utterances there is no limit."""
    if index < 0:
        return _Seam(-math.inf, False)
    if index + 1 == len(spans):
        return _Seam(math.inf, False)
    before, after = spans[index], spans[index + 1]
    return _Seam((before.end + after.start) / 2, before.overlap(after) > 0)
