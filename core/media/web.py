"""Recordings behind an http(s) URL that a stranger wrote: fetched from public addresses only,
through the guard of the RunPod SDK.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from core.errors import BlockedAddress, DownloadFailed, DownloadTimedOut, InvalidUrl, WorkerError
from core.media.origin import CHUNK_BYTES, CONNECT_TIMEOUT_S, is_transient, too_large

_NEVER_FETCHED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local, RFC 3927: the metadata services of most clouds
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "168.63.129.16/32",  # platform address, Azure
        "192.0.0.0/24",  # protocol assignments, RFC 6890; metadata, Oracle Cloud
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "fe80::/10",  # link-local, RFC 4291
        "fec0::/10",  # site-local, RFC 3879
        "fd00:ec2::/32",  # metadata, AWS
        "2002::/16",  # 6to4, RFC 3056: carries any IPv4 address
        "2001::/32",  # Teredo, RFC 4380: the same
        "64:ff9b::/96",  # NAT64, RFC 6052: the same
        "64:ff9b:1::/48",  # NAT64, RFC 8215: the same
    )
)
_ISATAP = (
    0x0000_5EFE,
    0x0200_5EFE,
)  # RFC 5214: bits 32–63 of an address that carries any IPv4 address


class Web:
    """An http(s) URL, fetched through the guard of the RunPod SDK against requests to addresses
    that are not public.
    """

    def __init__(
        self,
        url: str,
        *,
        max_bytes: int,
        timeout_s: float,
        is_allowed: Callable[[str], bool] | None = None,
    ) -> None:
        """`is_allowed` says of an IP address whether to connect to it; by default the SDK's rule.

        The SDK's switch turns either off.
        """
        self._host = _host(url)
        self._url = url
        self._max_bytes = max_bytes
        self._timeouts_s = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._is_allowed = is_allowed
        self._sockets = _Sockets()

    def chunks(self) -> Iterator[bytes]:
        """Give the body of the answer, decompressed where the host compressed it."""
        import requests

        guard = _guard(self._sockets, self._is_allowed)
        try:
            with guard.safe_get(
                self._url,
                timeout=self._timeouts_s,
                headers={"Accept-Encoding": "identity"},
                max_bytes=self._max_bytes,
            ) as response:
                self._check_status(response.status_code)
                yield from guard.iter_content_capped(response, CHUNK_BYTES, self._max_bytes)
        except guard.SSRFError as error:
            raise self._refusal(str(error)) from None
        except requests.Timeout:
            raise DownloadTimedOut(f"{self._host} did not answer in time; try again") from None
        except ValueError:
            raise InvalidUrl(
                f"the URL at {self._host}, or one that it redirects to, cannot be read; give the "
                "final URL"
            ) from None
        except requests.RequestException:
            raise DownloadFailed(
                f"the connection to {self._host} failed or broke off; try again", retryable=True
            ) from None

    def cut(self) -> None:
        """Close the connection under the reader."""
        self._sockets.cut()

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

    def _refusal(self, reason: str) -> WorkerError:
        # The SDK has one exception for all of them; its texts hold the URL.
        # tests/core/media/test_sources.py pins these words.
        if "size cap" in reason:
            return too_large(self._max_bytes)
        if "redirects" in reason or "without Location" in reason:
            return DownloadFailed(
                f"{self._host} redirects too often or to nowhere; give the final URL"
            )
        if "through proxy" in reason:
            return BlockedAddress(
                f"{self._host} would be reached through a proxy, where addresses cannot be "
                "checked; exempt it in NO_PROXY"
            )
        return BlockedAddress(
            f"{self._host} redirects to something that is not http(s); give the final URL"
        )


def _host(url: str) -> str:
    """The host, to name it in messages; raises InvalidUrl where there is none, or where readers of
    URLs could differ about it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not re.fullmatch(r"[^\s\x00-\x1f]+", host) or port == 0 or re.search(r"[\x00-\x1f\\]", url):
        raise InvalidUrl(
            "the URL cannot be read: it has no valid host or port, or holds a backslash; give it "
            "in full, percent-encoded"
        )
    return host[:253]


class _Sockets:
    """The connections of one download."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_cut = False

    def add(self, connected: socket.socket) -> None:
        with self._lock:
            self._open.append(connected)
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for connected in self._open:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)


def _guard(sockets: _Sockets, is_allowed: Callable[[str], bool] | None) -> Any:
    """Give the SDK's `rp_ssrf` as a module of our own, so that what is tightened here changes
    nothing for the SDK.

    Tightened: the addresses of `_NEVER_FETCHED` are refused on every hop, even where the operator
    opened private ones; and connections can be cut.
    """
    spec = importlib.util.find_spec("runpod.serverless.utils.rp_ssrf")
    if spec is None or spec.loader is None:
        raise ImportError("runpod.serverless.utils.rp_ssrf is missing; install runpod 1.12")
    guard: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(guard)
    resolve = guard.resolve_and_validate
    guard.is_safe_address = is_allowed or guard.is_safe_address

    def resolve_strictly(host: str, port: int) -> list[str]:
        try:
            addresses: list[str] = resolve(host, port)
        except guard.SSRFError as error:
            raise _unresolved(host, error.__cause__) from None
        if any(_is_never_fetched(address) for address in addresses):
            raise _blocked(host)
        return addresses

    class CuttableAdapter(guard.PinnedIPAdapter):  # type: ignore[misc]
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **kwargs)
            pool.ConnectionCls = _watched(pool.ConnectionCls, sockets)
            return pool

    guard.resolve_and_validate = resolve_strictly
    guard.PinnedIPAdapter = CuttableAdapter
    return guard


def _watched(kind: Any, sockets: _Sockets) -> Any:
    class Watched(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    return Watched


def _unresolved(host: str, cause: BaseException | None) -> WorkerError:
    if not isinstance(cause, socket.gaierror):
        return _blocked(host)
    return DownloadFailed(
        f"the host {host[:253]} was not found; check the URL",
        retryable=cause.errno == socket.EAI_AGAIN,
    )


def _blocked(host: str) -> BlockedAddress:
    return BlockedAddress(
        f"{host[:253]} leads to an address that is not public; host the recording where the "
        "internet can reach it"
    )


def _is_never_fetched(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if isinstance(address, ipaddress.IPv6Address) and (int(address) >> 32 & 0xFFFF_FFFF) in _ISATAP:
        return True
    return any(
        address in network for network in _NEVER_FETCHED if network.version == address.version
    )
