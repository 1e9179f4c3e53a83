"""Words of a second look at a gap: which of them belong into it.

What is heard again has some of the sound around the gap, and so words that are there already.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.timeline import Span, Word
from core.transcript.word_spans import spoken_end

AROUND_S = 0.5
"""Less than half of the shortest pause that parts two gaps."""
_EDGE_S = 0.08
"""One step of a Parakeet encoder: so far a word may be from its place."""
_NEIGHBOURS = 8
"""One of so many words before a gap is the last to end."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of speech without words, and the words beside it."""

    speech: Span
    """From the first to the last speech."""
    free: Span
    """From the word before it to the word after it, if these are near."""
    at: int
    """How many words come before it."""
    before: str = ""
    after: str = ""
    """The letters of the words beside it; empty if there is none."""

    @classmethod
    def between(cls, words: Sequence[Word], speech: Span) -> Gap:
        """Find the words beside a gap; they are sorted by start."""
        at = bisect_left(words, speech.midpoint, key=lambda word: word.start)
        free = Span(
            max((speech.start - AROUND_S, *map(spoken_end, words[max(0, at - _NEIGHBOURS) : at]))),
            min((speech.end + AROUND_S, *(word.start for word in words[at : at + 1]))),
        )
        return cls(
            speech,
            free,
            at,
            words[at - 1].letters if at else "",
            words[at].letters if at < len(words) else "",
        )

    @property
    def is_outside(self) -> bool:
        """Tell whether it is before the first word or after the last."""
        return not (self.before and self.after)

    def own(self, words: Sequence[Word]) -> slice:
        """Return which of the words lie inside, without such as only repeat those beside it.

        They are sorted by start.
        """
        start, end = self.free.start - _EDGE_S, self.free.end + _EDGE_S
        first = bisect_left(words, start, key=lambda word: word.start)
        after = bisect_right(words, end, key=lambda word: word.start)
        inside = [index for index in range(first, after) if spoken_end(words[index]) <= end]
        while inside and words[inside[0]].letters in ("", self.before):
            del inside[0]
        while inside and words[inside[-1]].letters in ("", self.after):
            del inside[-1]
        return slice(inside[0], inside[-1] + 1) if inside else slice(0)
