"""One request after another, each over connections to addresses that were checked for it.

Of requests this uses the adapter, not the session: a session reads a redirect's body to its end
before anybody can look at it, and hands over passwords of `.netrc`.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.utils import default_headers, get_environ_proxies, select_proxy

from core.media.connections import Connections, Peer
from core.media.pools import Open, pools, seconds_to_connect


@dataclass(frozen=True, slots=True)
class Upload:
    """What a PUT sends."""

    body: bytes
    headers: Mapping[str, str]


class Hops:
    """The requests for one URL; a cookie goes back to the host that set it and nowhere else."""

    def __init__(self, connections: Connections, timeouts_s: tuple[float, float]) -> None:
        """`timeouts_s`: to connect, and between two bytes."""
        self._connections = connections
        self._timeouts_s = timeouts_s
        self._cookies: defaultdict[str, RequestsCookieJar] = defaultdict(RequestsCookieJar)

    def prepare(self, url: str, upload: Upload | None = None) -> requests.PreparedRequest:
        """Return the request for a URL, percent-encoded; raise ValueError if it cannot be read."""
        headers = {**default_headers(), "Accept-Encoding": "identity"}
        method, body = "GET", None
        if upload is not None:
            # A file is sent in pieces, each with the whole timeout; bytes would be one piece.
            method, body = "PUT", io.BytesIO(upload.body)
            headers |= upload.headers
        request = requests.Request(method, url, headers=headers, data=body).prepare()
        request.prepare_cookies(self._cookies[_host(request)])
        return request

    @staticmethod
    def is_proxied(request: requests.PreparedRequest) -> bool:
        """Return whether the environment puts a proxy between us and the host."""
        url = str(request.url)
        return select_proxy(url, get_environ_proxies(url)) is not None

    def send(self, request: requests.PreparedRequest, peers: Sequence[Peer]) -> requests.Response:
        """Return the answer of the first peer that takes a connection; its body is not yet read."""
        self._connections.close()
        adapter = _Adapter(
            lambda connection: self._connections.connect(peers, seconds_to_connect(connection))
        )
        response = adapter.send(
            request,
            stream=True,
            timeout=self._timeouts_s,
            verify=_trusted(str(request.url)),
            proxies={},
        )
        self._cookies[_host(request)].update(response.cookies)
        return response


def _host(request: requests.PreparedRequest) -> str:
    return urlsplit(str(request.url)).hostname or ""


def _trusted(url: str) -> bool | str:
    """Return the certificates to trust: the environment's own file, if it names one."""
    settings = requests.Session().merge_environment_settings(url, {}, True, None, None)
    return settings["verify"] or True


class _Adapter(HTTPAdapter):
    """Opens connections by `connect`, and leaves the rest, such as the names in the Host header
    and in the certificate, to the URL.
    """

    def __init__(self, connect: Open) -> None:
        self._connect = connect
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = pools(self._connect)
