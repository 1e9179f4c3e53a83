"""Words and the marks around them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_OPENING = frozenset("\"'“‘«‹„‚([{¿¡-–—…「『（【《〈")
_CLOSING = frozenset("\"'”’“‘»›)]},.;:?!…。？！，、」』）】》〉-–—")


def folded(text: str) -> str:
    """Return a text as texts that differ in case alone share it."""
    return unicodedata.normalize("NFC", text.casefold())


def parted(text: str) -> tuple[str, str, str]:
    """Part a word from all marks around it.

    >>> parted("(so,")
    ('(', 'so', ',')
    """
    start = next((at for at, char in enumerate(text) if char not in _OPENING), len(text))
    end = len(text)
    while end > start and text[end - 1] in _CLOSING:
        end -= 1
    return text[:start], text[start:end], text[end:]


def partings(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the ways to part a word from the marks around it, from none of them to all."""
    most_before, body, most_behind = (len(part) for part in parted(text))
    for before in range(most_before + 1):
        for behind in range(most_behind + 1):
            end = most_before + body + most_behind - behind
            yield text[:before], text[before:end], text[end:]
