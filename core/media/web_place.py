"""Places for answers behind http(s) URLs that a stranger wrote, most of them presigned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from core.domain.http_status import is_transient
from core.errors import UploadFailed
from core.media.connections import Peer
from core.media.guarded import Guarded, host_of

if TYPE_CHECKING:
    from requests import PreparedRequest

    from core.media.hops import Hops


class WebPlace(Guarded):
    """An http(s) URL that takes a PUT."""

    WHAT = "answer"
    REDIRECTS = (307, 308)
    """Those after which the request is the same (RFC 9110, 15.4)."""

    def failed(self, sentence: str, *, retryable: bool = False) -> UploadFailed:
        """Return the error of a host that does not take the answer."""
        return UploadFailed(sentence, retryable=retryable)

    def late(self, sentence: str) -> UploadFailed:
        """Return the error of a host that is too slow."""
        return UploadFailed(sentence, retryable=True)

    @property
    def shown(self) -> str:
        """The URL without user, query and fragment."""
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    def look(self) -> None:
        """Raise BlockedAddress, InvalidUrl, UploadFailed: the host is looked up and no more."""
        with self._typed_errors():
            request = self._hops().prepare(self._url)
            self._peers(str(request.url), name=host_of(self._url))

    def _resolved(self, host: str, port: int, *, name: str) -> list[Peer]:
        """Say of which URL the host was not found: a request has another one."""
        try:
            return super()._resolved(host, port, name=name)
        except UploadFailed as error:
            raise self.failed(f"output_url: {error}", retryable=error.retryable) from None

    def put(self, body: bytes) -> None:
        """Send the answer; any status from 200 to 299 says that it arrived."""
        with self.answer(partial(_request, body=body)) as response:
            self._check_status(response.status_code)

    def _check_status(self, status: int) -> None:
        if 200 <= status < 300:
            return
        retryable = is_transient(status)
        advice = (
            "try again later"
            if retryable
            else "check that output_url is right, signed for PUT and not expired"
        )
        raise self.failed(
            f"{self._host} answered the PUT with HTTP status {status}; {advice}",
            retryable=retryable,
        )


def _request(hops: Hops, url: str, *, body: bytes) -> PreparedRequest:
    from core.media.hops import Upload

    return hops.prepare(url, Upload(body, _headers(url)))


def _headers(url: str) -> dict[str, str]:
    """Return the headers that the signature of a URL asks for.

    A Content-Type is sent only if it is signed: the first version of S3's signatures refuses one
    that is not, and the fourth one names its headers in the URL.
    """
    parts = urlsplit(url)
    headers = {}
    signed = {
        header.lower()
        for name, value in parse_qsl(parts.query)
        if name.lower() in ("x-amz-signedheaders", "x-goog-signedheaders")
        for header in value.split(";")
    }
    if "content-type" in signed:
        headers["Content-Type"] = "application/json"
    if (parts.hostname or "").endswith(".blob.core.windows.net"):
        headers["x-ms-blob-type"] = "BlockBlob"  # Azure's Put Blob requires it
    return headers
