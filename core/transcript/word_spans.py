"""In which part of its span a word can have been spoken: a TDT decoder can let it last until the
next one, far into a pause.
"""

from __future__ import annotations

from core.domain.timeline import Span, Word

# Speech runs at 12 to 15 written letters a second; the cap lets a word be about half as fast, its
# last syllable drawn out.
LETTER_S = 0.125
FIGURE_S = 0.375
"""A digit, or a sign that is read out, stands for a spoken word of its own."""
LENGTHENING_S = 0.375
SHORTEST_WORD_S = 0.08
"""One step of a Parakeet encoder; some decoders give a word no length at all."""

_SIGNS_READ_OUT = frozenset("%&@+=$€£¥°")


def spoken_span(word: Word) -> Span:
    """Return the part of a word's span in which it can have been spoken; at least 80 ms."""
    length = max(SHORTEST_WORD_S, word.duration)
    if length > LENGTHENING_S:  # else it is short enough whatever is written
        length = min(length, _longest(word.text))
    return Span(word.start, word.start + length)


def _longest(text: str) -> float:
    letters = sum(map(str.isalpha, text))
    figures = sum(char.isdigit() or char in _SIGNS_READ_OUT for char in text)
    return LENGTHENING_S + LETTER_S * letters + FIGURE_S * figures
