"""Hosts, and what the operator allows."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from core.media.connections import Peer
from tests import media
from tests.core.media.internet import Internet, installed
from tests.core.media.sources import SWITCH


@pytest.fixture
def host() -> Iterator[media.Host]:
    """A host on loopback."""
    with media.host() as server:
        yield server


@pytest.fixture
def silent() -> Iterator[Peer]:
    """A port on loopback at which attempts to connect are not answered: its queue is full."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(listening.getsockname())
        yield Peer(socket.AF_INET, listening.getsockname())
        for connection in waiting:
            connection.close()


@pytest.fixture
def store(host: media.Host) -> media.Store:
    """A storage on that host."""
    return media.Store(host)


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator allows private addresses."""
    monkeypatch.setenv(SWITCH, "1")


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator does not."""
    monkeypatch.delenv(SWITCH, raising=False)


@pytest.fixture(scope="session")
def home() -> Iterator[media.Host]:
    """One host for the thousands of tests that need but an answer."""
    with media.host() as server:
        yield server


@pytest.fixture
def internet(home: media.Host, public: None, monkeypatch: pytest.MonkeyPatch) -> Internet:
    """Every public address is that host, which knows nothing yet."""
    home.answers.clear()
    home.takers.clear()
    home.taken.clear()
    home.seen.clear()
    home.hung_up.clear()
    return installed(monkeypatch, home)
