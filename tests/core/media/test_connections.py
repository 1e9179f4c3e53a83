"""Connections: to the peers given and no others, until another thread cuts them."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from core.media.connections import Connections, Peer, resolve


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A port on loopback that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening


def _peer(listening: socket.socket) -> Peer:
    return Peer(socket.AF_INET, listening.getsockname())


def _closed() -> Peer:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return _peer(listening)


def test_a_host_is_resolved_to_its_addresses() -> None:
    """Each of them once, with the port."""
    assert resolve("127.0.0.1", 80) == [Peer(socket.AF_INET, ("127.0.0.1", 80))]
    assert [peer.ip for peer in resolve("::1", 80)] == ["::1"]


def test_the_first_peer_that_answers_is_taken(server: socket.socket) -> None:
    """Those before it are passed over."""
    with closing(Connections().connect([_closed(), _peer(server)], 5)) as connection:
        assert connection.getpeername() == server.getsockname()
        assert connection.gettimeout() == 5


def test_without_a_peer_that_answers_the_last_error_is_raised() -> None:
    """A refusal remains distinct from silence."""
    with pytest.raises(ConnectionRefusedError):
        Connections().connect([_closed(), _closed()], 5)
    with pytest.raises(OSError, match="no address"):
        Connections().connect([], 5)


def test_an_address_without_a_route_is_an_error_at_once() -> None:
    """Not a connection, though there is nothing to wait for."""
    with pytest.raises(OSError, match=r"unreachable|denied") as caught:
        Connections().connect([Peer(socket.AF_INET, ("255.255.255.255", 9))], 5)
    assert caught.value.errno in (errno.ENETUNREACH, errno.EACCES)


def test_silence_is_a_timeout(silent: Peer) -> None:
    """For each address by itself."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        Connections().connect([silent, silent], 0.2)
    assert 0.4 <= time.monotonic() - began < 3


def test_a_cut_connection_ends_for_its_reader(server: socket.socket) -> None:
    """In whatever object TLS has wrapped it meanwhile."""
    connections = Connections()
    connection = connections.connect([_peer(server)], 30)
    moved = socket.socket(fileno=connection.detach())
    moved.settimeout(30)
    threading.Timer(0.1, connections.cut).start()
    with closing(moved):
        assert moved.recv(1) == b""


def test_an_attempt_to_connect_is_cut(silent: Peer) -> None:
    """It need not wait for its timeout, and no other is made."""
    connections = Connections()
    threading.Timer(0.2, connections.cut).start()
    began = time.monotonic()
    with pytest.raises(OSError, match="reset"):
        connections.connect([silent], 30)
    with pytest.raises(OSError, match="cut"):
        connections.connect([silent] * 8, 30)
    assert time.monotonic() - began < 5


def test_nothing_is_dialled_after_a_cut(server: socket.socket) -> None:
    """Not even a peer that would answer."""
    connections = Connections()
    connections.cut()
    with pytest.raises(ConnectionAbortedError):
        connections.connect([_peer(server)] * 8, 5)
    server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        server.accept()


def test_a_closed_connection_is_seen_by_its_peer(server: socket.socket) -> None:
    """Once its reader and its keeper have both let go of it."""
    connections = Connections()
    connections.connect([_peer(server)], 5).close()
    accepted, _ = server.accept()
    with closing(accepted):
        connections.close()
        accepted.settimeout(5)
        assert accepted.recv(1) == b""
    connections.cut()
