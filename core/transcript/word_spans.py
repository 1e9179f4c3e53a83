"""The portion of a word's span in which it can have been spoken.

A TDT decoder can let a word last until the next one, far into a pause.
"""

from __future__ import annotations

from functools import lru_cache

from core.domain.timeline import Span, Word

# Speech has 12 to 15 written letters a second. The cap allows a word half that speed and a
# drawn-out last syllable.
LETTER_S = 0.125
FIGURE_S = 0.375
"""For a digit, or a sign that is read aloud: each is a spoken word of its own."""
LENGTHENING_S = 0.375
SHORTEST_WORD_S = 0.08
"""One step of a Parakeet encoder; some decoders return words of no length."""

_SIGNS_READ_ALOUD = frozenset("%&@+=$€£¥°")


def spoken_span(word: Word) -> Span:
    """Return the portion of a word's span in which it can have been spoken; at least 80 ms."""
    return Span(word.start, spoken_end(word))


def spoken_end(word: Word) -> float:
    """Return the seconds at which the word must have been spoken."""
    length = word.end - word.start
    if length <= LENGTHENING_S:  # short enough whatever is written
        return word.start + max(SHORTEST_WORD_S, length)
    return word.start + min(length, _longest(word.text))


@lru_cache(maxsize=4096)
def _longest(text: str) -> float:
    letters = sum(map(str.isalpha, text))
    figures = sum(char.isdigit() or char in _SIGNS_READ_ALOUD for char in text)
    return LENGTHENING_S + LETTER_S * letters + FIGURE_S * figures
