"""An internet that ends at loopback: names and public addresses are simulated, every attempt to
connect is written down.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests import media

PUBLIC = "93.184.216.34"


class Internet:
    """Public addresses lead to one host on loopback, and all others to nothing."""

    def __init__(self, server: media.Host) -> None:
        self.host = server
        self.at_port: dict[int, media.Host] = {}
        """Other hosts, by the port at which they are asked for."""
        self.names: dict[str, Callable[[], Iterable[str]]] = {}
        """Called once per lookup."""
        self.lookups: list[str] = []
        """Every name that was asked for; addresses need no lookup."""
        self.dialled: list[str] = []
        """Every address that somebody tried to connect to."""
        self.closed: set[str] = set()
        """Addresses at which nobody listens."""

    def name(self, name: str, *addresses: str) -> str:
        """Let a name lead to some addresses."""
        self.names[name] = lambda: addresses
        return name

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """Resolve."""
        if host not in self.names:
            return self._numeric(host, port)
        self.lookups.append(host)
        return [entry for address in self.names[host]() for entry in self._numeric(address, port)]

    @staticmethod
    def _numeric(host: str, port: int) -> list[Any]:
        # The system's own reading of addresses, in all spellings; it asks nobody.
        return _getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    def connect_ex(self, connection: socket.socket, address: tuple[Any, ...]) -> int:
        """Connect to the host on loopback if the address is public."""
        ip = str(address[0])
        self.dialled.append(ip)
        if ip in self.closed or not _is_global(ip):
            return errno.ECONNREFUSED
        home = "127.0.0.1" if connection.family == socket.AF_INET else "::ffff:127.0.0.1"
        server = self.at_port.get(address[1], self.host)
        return _connect_ex(connection, (home, server.server_port))

    def connect(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        """Fail: nothing here connects in this way."""
        self.dialled.append(str(address[0]))
        raise ConnectionRefusedError


def _is_global(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_global


_getaddrinfo = socket.getaddrinfo


def _connect_ex(connection: socket.socket, address: tuple[Any, ...]) -> int:
    return super(socket.socket, connection).connect_ex(address)


def installed(patch: pytest.MonkeyPatch, server: media.Host) -> Internet:
    """Put an internet in the place of the real one."""
    internet = Internet(server)

    def connect(connection: socket.socket, address: tuple[Any, ...]) -> None:
        internet.connect(connection, address)

    def connect_ex(connection: socket.socket, address: tuple[Any, ...]) -> int:
        return internet.connect_ex(connection, address)

    patch.setattr(socket, "getaddrinfo", internet.getaddrinfo)
    patch.setattr(socket.socket, "connect", connect)
    patch.setattr(socket.socket, "connect_ex", connect_ex)
    return internet
