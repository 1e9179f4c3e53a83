"""Requests to an http(s) URL that a stranger wrote: to public addresses and usual ports only.

Every hop's host is looked up once, every address found is checked, and the connection goes to one
of them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from core.errors import BlockedAddress, InvalidUrl, WorkerError
from core.media.addresses import is_always_refused, is_public
from core.media.connections import Connections, Peer, resolve
from core.media.origin import CONNECT_TIMEOUT_S, keep_urls_out_of_the_log
from core.settings import USUAL_PORTS, Settings

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from core.media.hops import Hops

_MOST_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}
Prepare = Callable[["Hops", str], "PreparedRequest"]
"""Makes the request for one hop's URL; raises ValueError if that cannot be read."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a stranger's URL may lead."""

    is_allowed: Callable[[str], bool] = is_public
    """Decides whether to connect to an IP address.

    Those of metadata services stay closed whatever it says.
    """
    ports: Collection[int] | None = USUAL_PORTS
    """None means any."""

    @classmethod
    def of(cls, settings: Settings) -> Reach:
        """Return the operator's choice."""
        is_open = settings.runpod_allow_private_download_urls
        return cls(_anywhere if is_open else is_public, settings.open_ports)


def _anywhere(_: str) -> bool:
    return True


PUBLIC = Reach()


class Guarded:
    """The requests for one URL, followed from hop to hop within reach.

    Subclasses say what travels, and which errors tell of its failure.
    """

    WHAT = "recording"
    REDIRECTS: Collection[int] = ()
    """The statuses that lead elsewhere."""

    def __init__(self, url: str, *, timeout_s: float, reach: Reach) -> None:
        """Raise InvalidUrl."""
        try:
            self._host = host_of(url)
        except ValueError:
            raise InvalidUrl(
                "the URL cannot be read: it has no valid host or port, or holds a backslash; give "
                "it in full, percent-encoded"
            ) from None
        self._url = url
        self._timeouts_s = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._reach = reach
        self._connections = Connections()

    def cut(self) -> None:
        """Break the connection off under whoever uses it."""
        self._connections.cut()

    def failed(self, sentence: str, *, retryable: bool = False) -> WorkerError:
        """Return the error of a host that does not do its part."""
        raise NotImplementedError

    def late(self, sentence: str) -> WorkerError:
        """Return the error of a host that is too slow."""
        raise NotImplementedError

    @contextmanager
    def answer(self, prepare: Prepare) -> Iterator[Response]:
        """Yield the first answer that is no redirect; its body is not yet read."""
        with self._typed_errors(), self._last(self._hops(), prepare) as response:
            yield response

    def _hops(self) -> Hops:
        # requests takes a while to import, and most of the orchestrator's jobs need none.
        from core.media.hops import Hops

        keep_urls_out_of_the_log()
        return Hops(self._connections, self._timeouts_s)

    def _last(self, hops: Hops, prepare: Prepare) -> Response:
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._hop(hops, prepare, url)
            if response.status_code not in self.REDIRECTS:
                return response
            response.close()
            url = self._target(url, response.headers.get("Location"))
        raise self._astray()

    def _hop(self, hops: Hops, prepare: Prepare, url: str) -> Response:
        name = host_of(url)
        request = prepare(hops, url)
        if hops.is_proxied(request):
            raise BlockedAddress(
                f"{self._host} would be reached through a proxy, where addresses cannot be "
                "checked; exempt it in NO_PROXY"
            )
        return hops.send(request, self._peers(str(request.url), name=name))

    def _peers(self, url: str, *, name: str) -> list[Peer]:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        peers = self._resolved(parts.hostname or "", port, name=name)
        # One bad address spoils the name: nobody has such a name by accident.
        if not peers or not all(self._may_reach(peer.ip) for peer in peers):
            raise BlockedAddress(
                f"{name} leads to an address that is not public; host the {self.WHAT} where the "
                "internet can reach it"
            )
        if self._reach.ports is not None and port not in self._reach.ports:
            raise BlockedAddress(
                f"port {port} of {name} is not one that this worker connects to; use 443 or 80, or "
                "whoever runs it can add the port to ALLOWED_PORTS"
            )
        return peers

    def _resolved(self, host: str, port: int, *, name: str) -> list[Peer]:
        try:
            return resolve(host, port)
        except socket.gaierror as error:
            raise self.failed(
                f"the host {name} was not found; check the URL",
                retryable=error.errno == socket.EAI_AGAIN,
            ) from None

    def _may_reach(self, ip: str) -> bool:
        return not is_always_refused(ip) and self._reach.is_allowed(ip)

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

    def _astray(self) -> WorkerError:
        return self.failed(f"{self._host} redirects too often or to nowhere; give the final URL")

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
            raise self.late(f"{self._host} did not answer in time; try again") from None
        except ValueError:
            raise InvalidUrl(
                f"the URL at {self._host}, or one that it redirects to, cannot be read; give the "
                "final URL"
            ) from None
        except (OSError, HTTPError, HTTPException):
            raise self.failed(
                f"the connection to {self._host} failed or broke off; try again", retryable=True
            ) from None
        finally:
            self._connections.close()


def host_of(url: str) -> str:
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
