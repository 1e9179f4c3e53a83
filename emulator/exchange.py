"""One HTTP exchange, seen from outside the application."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that has not gone out yet."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @classmethod
    def of(cls, status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Make one. Unless `headers` say otherwise, it is JSON and as long as it is."""
        usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        return cls(status, tuple(_encoded({**usual, **headers})), body)


def _encoded(headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.lower().encode(), value.encode()


class Exchange:
    """One request on its way, in a fault's hands."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._scope, self._receive, self._send = app, scope, receive, send
        self._request: list[Message] = []

    @property
    def path(self) -> str:
        """The path that was asked for."""
        return str(self._scope["path"])

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request, by their names in any case."""
        return Headers(scope=self._scope)

    @property
    def body(self) -> bytes:
        """The body of the request, as far as the application has not taken it yet."""
        return b"".join(message.get("body", b"") for message in self._request)

    async def read(self) -> None:
        """Take in the whole request, so that the other side has finished sending."""
        while not self._request or self._request[-1].get("more_body"):
            self._request.append(await self._receive())

    async def pass_on(self) -> None:
        """Let the application answer as if nobody stood between."""
        await self._app(self._scope, self._replay, self._send)

    async def answer(self) -> Answer:
        """Let the application carry out the request, but send nothing of its answer."""
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
        await self.send_answer(Answer.of(status, body, headers))

    async def send_answer(self, answer: Answer) -> None:
        """Send a whole answer that was made before."""
        await self._start(answer)
        await self._send({"type": "http.response.body", "body": answer.body})

    async def send_slowly(self, answer: Answer, piece: int, interval_s: float) -> None:
        """Send an answer piece by piece, until the other side has enough of it."""
        await self._start(answer)
        for start in range(0, len(answer.body), piece):
            await self._send_piece(answer.body[start : start + piece])
            if await self.gone(interval_s):
                return
        await self._send({"type": "http.response.body", "body": b""})

    async def send_short(self, answer: Answer, body: bytes) -> None:
        """Send less than the header says, then close."""
        await self._start(answer)
        await self._send_piece(body)
        self._transport.close()
        await self.gone(1.0)

    async def send_and_stall(self, answer: Answer, seconds: float) -> None:
        """Send less than the header says and nothing more, until the other side has gone."""
        await self._start(answer)
        await self._send_piece(answer.body)
        await self.gone(seconds)
        await self.reset()

    async def stay_silent(self, seconds: float) -> None:
        """Send nothing, until the other side has gone."""
        await self.gone(seconds)

    async def gone(self, within_s: float) -> bool:
        """Return whether the other side closes the connection within some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
                return True
        return False

    async def reset(self) -> None:
        """Reset the connection: the other side reads an error, not an end."""
        if not self._transport.is_closing():
            # With this option closing sends RST instead of FIN.
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        # The server takes an exchange without an answer for a mistake until it has seen that
        # nobody waits for one.
        await self.gone(1.0)

    async def _replay(self) -> Message:
        return self._request.pop(0) if self._request else await self._receive()

    @property
    def _transport(self) -> Any:
        """ASGI has no word for a reset. uvicorn's `send` is a method of the connection's owner."""
        return self._send.__self__.transport  # type: ignore[attr-defined]

    async def _start(self, answer: Answer) -> None:
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": list(answer.headers),
            }
        )

    async def _send_piece(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
