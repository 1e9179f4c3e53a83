"""One HTTP exchange seen from outside the application: counted, and spoilt where the schedule says
so (an ASGI middleware).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from emulator.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application answered."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Exchange:
    """One request on its way, in a fault's hands."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._scope, self._receive, self._send = app, scope, receive, send
        self._request: list[Message] = []

    async def read(self) -> None:
        """Take in the whole request: the other side is done with sending when something befalls
        it.
        """
        while not self._request or self._request[-1].get("more_body"):
            self._request.append(await self._receive())

    async def answer(self) -> Answer:
        """Let the application do what was asked; nothing of its answer goes out."""
        status, headers, pieces = 500, (), []

        async def keep(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], tuple(message["headers"])
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))

        await self._app(self._scope, self._replay, keep)
        return Answer(status, headers, b"".join(pieces))

    async def send(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer."""
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        await self._start(
            status, [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        )
        await self._send({"type": "http.response.body", "body": body})

    async def send_slowly(self, answer: Answer, piece: int, interval_s: float) -> None:
        """Send an answer piece by piece, until the other side has enough of it."""
        await self._start(answer.status, list(answer.headers))
        for start in range(0, len(answer.body), piece):
            await self._send(
                {
                    "type": "http.response.body",
                    "body": answer.body[start : start + piece],
                    "more_body": True,
                }
            )
            if await self.gone(interval_s):
                return
        await self._send({"type": "http.response.body", "body": b""})

    async def send_short(self, answer: Answer, body: bytes) -> None:
        """Send less than the header says, then close."""
        await self._start(answer.status, list(answer.headers))
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._transport.close()
        await self.gone(1.0)

    async def stay_silent(self, seconds: float) -> None:
        """Send nothing, until the other side has gone."""
        await self.gone(seconds)

    async def gone(self, within_s: float) -> bool:
        """Whether the other side closed the connection within some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
                return True
        return False

    async def reset(self) -> None:
        """Reset the connection: the other side reads an error, not an end.

        Where it has gone there is none.
        """
        if not self._transport.is_closing():
            # With this option closing sends RST instead of FIN.
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        # The server takes an exchange without an answer for a mistake until it has seen that nobody
        # waits for one.
        await self.gone(1.0)

    async def _replay(self) -> Message:
        return self._request.pop(0) if self._request else await self._receive()

    @property
    def _transport(self) -> Any:
        """ASGI has no word for a reset; uvicorn's `send` is a method of the object that has the
        connection.
        """
        return self._send.__self__.transport  # type: ignore[attr-defined]

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


class Interference:
    """Counts every exchange of an endpoint and hands the struck ones to their faults."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint]) -> None:
        self._app, self._endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        endpoint, route = self._find(scope)
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        endpoint.requests[route] += 1
        fault = endpoint.faults.exchange(route)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            exchange = Exchange(self._app, scope, receive, send)
            await exchange.read()
            await fault.strike(exchange)

    def _find(self, scope: Scope) -> tuple[Endpoint | None, str]:
        parts = scope["path"].split("/") if scope["type"] == "http" else []
        if len(parts) < 4 or parts[1] != "v2":
            return None, ""
        return self._endpoints.get(parts[2]), parts[3]
