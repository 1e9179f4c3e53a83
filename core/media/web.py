"""Recordings behind an http(s) URL that a stranger wrote: fetched from public addresses only.

Every hop's host is looked up once, every address found is checked, and the connection goes to one
of them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from core.domain.http_status import is_transient
from core.errors import BlockedAddress, DownloadFailed, DownloadTimedOut, InvalidUrl, WorkerError
from core.media.addresses import is_always_refused, is_public
from core.media.connections import Connections, Peer, resolve
from core.media.origin import (
    CHUNK_BYTES,
    CONNECT_TIMEOUT_S,
    keep_urls_out_of_the_log,
    too_large,
)

if TYPE_CHECKING:
    from requests import Response

    from core.media.hops import Hops

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


class Web:
    """An http(s) URL, fetched from allowed addresses only."""

    def __init__(
        self,
        url: str,
        *,
        max_bytes: int,
        timeout_s: float,
        is_allowed: Callable[[str], bool] = is_public,
    ) -> None:
        """Raise InvalidUrl.

        `is_allowed` decides whether to connect to an IP address; those of metadata services stay
        closed whatever it says.
        """
        try:
            self._host = _host(url)
        except ValueError:
            raise InvalidUrl(
                "the URL cannot be read: it has no valid host or port, or holds a backslash; give "
                "it in full, percent-encoded"
            ) from None
        self._url = url
        self._max_bytes = max_bytes
        self._timeouts_s = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._is_allowed = is_allowed
        self._connections = Connections()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body of the answer, decompressed if the host compressed it."""
        with self._typed_errors():
            # requests takes a while to import, and the orchestrator fetches nothing.
            from core.media.hops import Hops

            keep_urls_out_of_the_log()
            with self._answer(Hops(self._connections, self._timeouts_s)) as response:
                self._check_status(response.status_code)
                yield from self._body(response)

    def cut(self) -> None:
        """Break the connection off under the reader."""
        self._connections.cut()

    def _answer(self, hops: Hops) -> Response:
        """Return the first answer that is no redirect."""
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._hop(hops, url)
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            url = self._target(url, response.headers.get("Location"))
        raise self._astray()

    def _hop(self, hops: Hops, url: str) -> Response:
        name = _host(url)
        request = hops.prepare(url)
        if hops.is_proxied(request):
            raise BlockedAddress(
                f"{self._host} would be reached through a proxy, where addresses cannot be "
                "checked; exempt it in NO_PROXY"
            )
        return hops.send(request, self._peers(str(request.url), name=name))

    def _peers(self, url: str, *, name: str) -> list[Peer]:
        parts = urlsplit(url)
        try:
            peers = resolve(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        except socket.gaierror as error:
            raise DownloadFailed(
                f"the host {name} was not found; check the URL",
                retryable=error.errno == socket.EAI_AGAIN,
            ) from None
        # One bad address spoils the name: nobody has such a name by accident.
        if not peers or not all(self._may_reach(peer.ip) for peer in peers):
            raise BlockedAddress(
                f"{name} leads to an address that is not public; host the recording where the "
                "internet can reach it"
            )
        return peers

    def _may_reach(self, ip: str) -> bool:
        return not is_always_refused(ip) and self._is_allowed(ip)

    def _target(self, url: str, location: str | None) -> str:
        """Return where a redirect leads."""
        if not location:
            raise self._astray()
        target = urljoin(url, _as_utf8(location))
        before, after = urlsplit(url).scheme, urlsplit(target).scheme
        if after not in _PORTS:
            raise BlockedAddress(
                f"{self._host} redirects to something that is not http(s); give the final URL"
            )
        if (before, after) == ("https", "http"):
            raise BlockedAddress(f"{self._host} redirects from https to http; give the final URL")
        return target

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
        raise DownloadFailed(
            f"{self._host} answered with HTTP status {status}; {advice}", retryable=retryable
        )

    def _astray(self) -> DownloadFailed:
        return DownloadFailed(f"{self._host} redirects too often or to nowhere; give the final URL")

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        """Replace errors of the libraries by ours: theirs hold the URL."""
        import requests
        from urllib3.exceptions import HTTPError

        try:
            yield
        except WorkerError:
            raise
        except requests.Timeout:
            raise DownloadTimedOut(f"{self._host} did not answer in time; try again") from None
        except ValueError:
            raise InvalidUrl(
                f"the URL at {self._host}, or one that it redirects to, cannot be read; give the "
                "final URL"
            ) from None
        except (OSError, HTTPError, HTTPException):
            raise DownloadFailed(
                f"the connection to {self._host} failed or broke off; try again", retryable=True
            ) from None
        finally:
            self._connections.close()


def _host(url: str) -> str:
    """Return the host, to name it in messages; raise ValueError if there is none, or if readers of
    URLs could differ about it.
    """
    url.encode()  # half a surrogate pair could not be sent in an answer
    parts = urlsplit(url)
    host = parts.hostname or ""
    if re.search(r"[\x00-\x1f\\]", url) or not re.fullmatch(r"\S+", host) or parts.port == 0:
        raise ValueError("no host or port that can be read")
    return host[:253]


def _as_utf8(header: str) -> str:
    """Read a header's bytes as UTF-8 if they are: the library took them for Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
