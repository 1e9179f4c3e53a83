"""Pools of urllib3 whose connections are opened by a function of ours."""

from __future__ import annotations

import socket
from collections.abc import Callable

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

Open = Callable[[HTTPConnection], socket.socket]
"""Opens the socket of a connection; raises OSError."""


def pools(connect: Open) -> dict[str, type[HTTPConnectionPool]]:
    """Return the pools of both schemes, in the form that a pool manager takes."""

    def open_connection(self: HTTPConnection) -> socket.socket:
        try:
            return connect(self)
        except TimeoutError:
            raise ConnectTimeoutError(self, "no answer") from None
        except OSError:
            raise NewConnectionError(self, "no connection") from None

    class Plain(HTTPConnection):
        _new_conn = open_connection

    class Secure(HTTPSConnection):
        _new_conn = open_connection

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def seconds_to_connect(connection: HTTPConnection) -> float:
    """Return the time that a connection has to be opened."""
    return float(connection.timeout or 0)
