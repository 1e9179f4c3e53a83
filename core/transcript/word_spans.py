"""The portion of a word's span in which it can have been spoken.

A TDT decoder can let a word last until the next one, far into a pause.
"""

from __future__ import annotations

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
    length = max(SHORTEST_WORD_S, word.duration)
    if length > LENGTHENING_S:  # else it is short enough whatever is written
        length = min(length, _longest(word.text))
    return Span(word.start, word.start + length)


def _longest(text: str) -> float:
    letters = sum(map(str.isalpha, text))
    figures = sum(char.isdigit() or char in _SIGNS_READ_ALOUD for char in text)
    return LENGTHENING_S + LETTER_S * letters + FIGURE_S * figures
