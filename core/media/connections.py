"""Connections that lead where they were checked to lead, and that another thread can cut."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

_MOST_TRIED = 8
"""Addresses of one name: it may have thousands, all of them silent."""


class Peer(NamedTuple):
    """One end to connect to, as the resolver writes it."""

    family: int
    socket_address: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The IP address alone."""
        return str(self.socket_address[0])


def resolve(host: str, port: int) -> list[Peer]:
    """Look a host up, once; raise `socket.gaierror` or, for no host at all, ValueError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Peer(family, address) for family, _, _, _, address in found))


class Connections:
    """The connections of one download or upload."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        """Duplicates: TLS takes a socket over and leaves nothing behind in the original."""
        self._is_cut = False

    def connect(self, peers: Sequence[Peer], timeout_s: float) -> socket.socket:
        """Connect to the first peer that answers; raise the last one's OSError if none does."""
        failure = OSError("no address to connect to")
        for peer in peers[:_MOST_TRIED]:
            try:
                return self._connect(peer, timeout_s)
            except OSError as error:
                failure = error
        raise failure

    def _connect(self, peer: Peer, timeout_s: float) -> socket.socket:
        connection = socket.socket(peer.family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            self._begin(connection, peer)
            _wait(connection, timeout_s)
            connection.settimeout(timeout_s)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: socket.socket, peer: Peer) -> None:
        # Under the lock: after `cut` nothing is sent, and before it nothing escapes it.
        with self._lock:
            if self._is_cut:
                raise ConnectionAbortedError("the download was cut")
            self._open.append(connection.dup())
            _check(connection.connect_ex(peer.socket_address))

    def cut(self) -> None:
        """Break all connections off, and open no more."""
        with self._lock:
            self._is_cut = True
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connections so far: a duplicate keeps one open."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()


def _wait(connection: socket.socket, timeout_s: float) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    if not poll.poll(timeout_s * 1000):
        raise TimeoutError("no answer to the attempt to connect")
    _check(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def _check(code: int) -> None:
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
