"""Recordings that came with the request."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from urllib.parse import unquote

from core.errors import InvalidBase64
from core.media.origin import too_large


class Inline:
    """The file itself, as base64 text or a `data:` URI (RFC 2397).

    The URL-safe alphabet and line breaks are allowed.
    """

    def __init__(self, value: str, *, max_bytes: int) -> None:
        self._value = value
        self._max_bytes = max_bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield the decoded file in one piece; raise InvalidBase64, or SourceTooLarge before
        anything is decoded.
        """
        text = "".join(self._text().split()).translate({ord("-"): "+", ord("_"): "/"})
        if len(text) // 4 * 3 - text.count("=", -2) > self._max_bytes:
            raise too_large(self._max_bytes)
        try:
            yield binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise InvalidBase64(
                "not base64; give an http(s):// or s3:// URL, a data: URI or the whole file as "
                "base64 text"
            ) from None

    def _text(self) -> str:
        if self._value[:5].lower() != "data:":
            return self._value
        head, comma, text = self._value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidBase64(
                "the data: URI is not base64; it must look like data:audio/wav;base64,…"
            )
        return unquote(text)

    def cut(self) -> None:
        """Do nothing: there is nothing to wait for."""
