"""How words are written one after the other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

_UNSPACED = (
    (0x0E00, 0x109F),  # Thai, Lao, Tibetan, Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3000, 0x30FF),  # Chinese and Japanese marks, Hiragana, Katakana
    (0x3400, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),
    (0xFF00, 0xFF65),  # full-width marks
    (0x20000, 0x3FFFF),
)
"""The characters, from the first to the last of each block, that are written without blanks."""


def joined(texts: Iterable[str]) -> str:
    """Return texts as one, with a blank between two unless their script has none.

    >>> joined(["Good", "morning"])
    'Good morning'
    >>> joined(["今日", "は", "OK", "です。"])
    '今日は OK です。'
    """
    return "".join(spaced(texts))


def spaced(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts, each with the blank before it if there is one."""
    before = None
    for text in texts:
        yield text if before is None or meet(before, text) else f" {text}"
        before = text


def meet(before: str, after: str) -> bool:
    """Tell whether no blank is written between two texts."""
    return _is_unspaced(before[-1:]) and _is_unspaced(after[:1])


def divided(text: str) -> list[str]:
    """Divide a text without blanks wherever one of its words may end.

    That is beside every letter of a script without blanks; marks stay with the letters that they
    belong to.

    >>> divided("iPhoneを「買う」")
    ['iPhone', 'を', '「買', 'う」']
    """
    if text.isascii():
        return [text]
    starts = [0]
    for at in range(1, len(text)):
        has_letter = any(map(str.isalnum, text[starts[-1] : at]))
        if has_letter and _begins(text[at]) and _is_unspaced_beside(text, at):
            starts.append(at)
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _begins(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) == "Ps"


def _is_unspaced_beside(text: str, at: int) -> bool:
    return _is_unspaced(text[at - 1]) or _is_unspaced(text[at])


def _is_unspaced(character: str) -> bool:
    return character >= "\u0e00" and any(
        first <= ord(character) <= last for first, last in _UNSPACED
    )
