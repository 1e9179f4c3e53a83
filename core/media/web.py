"""Recordings behind an http(s) URL that a stranger wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.domain.http_status import is_transient
from core.errors import DownloadFailed, DownloadTimedOut
from core.media.guarded import PUBLIC, Guarded, Reach
from core.media.origin import CHUNK_BYTES, too_large

if TYPE_CHECKING:
    from requests import Response


class Web(Guarded):
    """An http(s) URL, fetched within reach only."""

    REDIRECTS = (301, 302, 303, 307, 308)

    def __init__(
        self, url: str, *, max_bytes: int, timeout_s: float, reach: Reach = PUBLIC
    ) -> None:
        """Raise InvalidUrl."""
        super().__init__(url, timeout_s=timeout_s, reach=reach)
        self._max_bytes = max_bytes

    def failed(self, sentence: str, *, retryable: bool = False) -> DownloadFailed:
        """Return the error of a host that does not deliver."""
        return DownloadFailed(sentence, retryable=retryable)

    def late(self, sentence: str) -> DownloadTimedOut:
        """Return the error of a host that is too slow."""
        return DownloadTimedOut(sentence)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body of the answer, decompressed if the host compressed it."""
        with self.answer(lambda hops, url: hops.prepare(url)) as response:
            self._check_status(response.status_code)
            yield from self._body(response)

    def _body(self, response: Response) -> Iterator[bytes]:
        declared = response.headers.get("Content-Length", "")
        if re.fullmatch(r"[0-9]{1,18}", declared) and int(declared) > self._max_bytes:
            raise too_large(self._max_bytes)
        size = 0
        for chunk in response.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                raise too_large(self._max_bytes)
            yield chunk

    def _check_status(self, status: int) -> None:
        if status == 200:
            return
        retryable = is_transient(status)
        advice = (
            "try again later"
            if retryable
            else "check that the URL is right, public and not expired"
        )
        raise self.failed(
            f"{self._host} answered with HTTP status {status}; {advice}", retryable=retryable
        )
