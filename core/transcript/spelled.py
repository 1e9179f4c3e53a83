"""The characters that spell words.

Each lies within the span of its word, and they come in the order in which the word is written. So
they are found among others, even if words overlap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from core.domain.timeline import Character, Word


def of_words(characters: Sequence[Character], words: Iterable[Word]) -> tuple[Character, ...]:
    """Return the characters that spell these words; all are sorted by start."""
    spelling = _spelling(characters, words)
    return tuple(characters[at] for at in sorted(spelling))


def without_words(characters: Sequence[Character], words: Iterable[Word]) -> tuple[Character, ...]:
    """Return the characters but those that spell these words; all are sorted by start."""
    spelling = _spelling(characters, words)
    return tuple(one for at, one in enumerate(characters) if at not in spelling)


def _spelling(characters: Sequence[Character], words: Iterable[Word]) -> set[int]:
    """Return the indices of the characters that spell words; none spells two of them."""
    found: set[int] = set()
    for word in words:
        left = word.text
        at = bisect_left(characters, word.start, key=lambda one: one.start)
        while left and at < len(characters) and characters[at].start <= word.end:
            text = characters[at].text
            if text and at not in found and left.startswith(text):
                left = left[len(text) :]
                found.add(at)
            at += 1
    return found
