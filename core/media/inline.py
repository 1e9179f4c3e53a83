"""Recordings that came with the request."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from core.errors import InvalidBase64
from core.media.origin import too_large

_NOT_A_CHARACTER = re.compile("[^A-Za-z0-9+/]")
_HALF_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_STRETCH = 65_536
"""Characters looked at in one go: meanwhile no other thread has a turn."""
_SURELY_BASE64 = 64
"""Text this long is base64 even without its padding; a word or a path may look like it."""
_ADVICE = "give an http(s):// or s3:// URL, a data: URI or the whole file as base64 text"


class Inline:
    """The file itself, as base64 text or a `data:` URI (RFC 2397).

    The URL-safe alphabet, line breaks and quotes around the text are allowed; so are a missing
    padding, and blanks that a form made of `+`, if no other reading is likely.
    """

    def __init__(self, value: str, *, max_bytes: int) -> None:
        self._value = value
        self._max_bytes = max_bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield the decoded file in one piece; raise InvalidBase64, or SourceTooLarge before
        anything is decoded.
        """
        text = _in_one_line(self._text()).translate({ord("-"): "+", ord("_"): "/"})
        if len(text) // 4 * 3 - text.count("=", -2) > self._max_bytes:
            raise too_large(self._max_bytes)
        yield binascii.a2b_base64(_padded(text), strict_mode=True)

    def _text(self) -> str:
        value = _unquoted(self._value)
        if value[:5].lower() != "data:":
            return value
        head, comma, text = value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidBase64(
                "the data: URI is not base64; it must look like data:audio/wav;base64,…"
            )
        return _unescaped(text)

    def cut(self) -> None:
        """Do nothing: there is nothing to wait for."""


def _unescaped(text: str) -> str:
    """Decode percent-escapes, a stretch at a time: `unquote` holds a list of all of them."""
    found: list[str] = []
    start = 0
    while start < len(text):
        end = start + _STRETCH
        escape = text.rfind("%", end - 2, end)  # one that would be cut
        end = escape if escape >= 0 else end
        if _HALF_ESCAPE.search(text, start, end):
            return "".join(found) + text[start:]  # no base64, whatever follows
        found.append(unquote(text[start:end]))
        start = end
    return "".join(found)


def _unquoted(value: str) -> str:
    """Drop the quotes that JSON or Python put around a text."""
    value = value.strip()
    for quote in ('"', "'"):
        for opening in (quote, f"b{quote}"):
            if len(value) > len(opening) and value.startswith(opening) and value.endswith(quote):
                return value[len(opening) : -1]
    return value


def _in_one_line(text: str) -> str:
    """Drop the white space, or put back the `+` of which a form has made blanks."""
    pieces = "".join(line.strip() for line in text.splitlines()).split(" ")
    return "".join(pieces) if _is_wrapped(pieces) else "+".join(pieces)


def _is_wrapped(pieces: Sequence[str]) -> bool:
    """Tell whether the pieces are the lines of one text, with blanks for their ends.

    Such lines are equally long. Of two pieces this says little, so the whole must be complete.
    """
    *lines, last = pieces
    if not lines:
        return True
    width = len(lines[0])
    is_even = width % 4 == 0 and len(last) <= width and all(len(one) == width for one in lines)
    return is_even and (len(lines) > 1 or len(last) % 4 == 0)


def _padded(text: str) -> str:
    """Return base64 with its padding. Raise InvalidBase64 that says what is wrong."""
    body = text.rstrip("=")
    if odd := _first_odd(body):
        place = f"as character {odd.start() + 1} of {len(text)}"
        if odd[0] == "=":
            raise _refusal(f"text follows its padding, which stands {place}")
        raise _refusal(f"{odd[0]!r} stands {place}")
    if len(body) % 4 == 1:
        raise _refusal(f"its {len(body)} characters make no whole number of bytes; it is cut short")
    padding = "=" * (-len(body) % 4)
    if len(text) - len(body) != len(padding) and len(body) < _SURELY_BASE64:
        raise _refusal("its padding is missing or too long")
    return body + padding


def _first_odd(body: str) -> re.Match[str] | None:
    """Find the first character that is not base64."""
    for start in range(0, len(body), _STRETCH):
        if odd := _NOT_A_CHARACTER.search(body, start, start + _STRETCH):
            return odd
    return None


def _refusal(reason: str) -> InvalidBase64:
    return InvalidBase64(f"not base64: {reason}; {_ADVICE}")
