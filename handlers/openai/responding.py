"""How responses are sent: errors in OpenAI's shape, and no longer than a caller takes to read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from core.errors import DownloadTimedOut, WorkerError
from handlers.faults import internal_error, where
from handlers.openai import errors
from handlers.openai.answering import Body, as_json
from handlers.openai.errors import Ending, Gone, Refusal

IDLE_S = 30.0
"""Seconds that a caller may let pass without sending or taking anything."""
_PIECE_BYTES = 65_536
"""Bytes that are sent at a time: the next wait until the caller has taken most of them."""
_LINGER_S = 2.0
"""Seconds in which the rest of a refused body is still read: its sender may not read before."""

log = logging.getLogger("parakeet.server")

Endpoint = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request = Request(scope, receive)
        self.id = f"req_{uuid.uuid4().hex}"
        self.is_started = self._is_ended = False
        self.path: str = scope["path"]
        self._receive, self._send = receive, send
        self._is_read = scope["method"] in ("GET", "HEAD")

    @property
    def declared_bytes(self) -> int:
        """The length that the request says its body has; 0 if it does not say."""
        declared = self.request.headers.get("content-length", "")
        return int(declared) if declared.isdecimal() else 0

    async def chunks(self, timeout_s: float) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raise DownloadTimedOut, Gone."""
        deadline = time.monotonic() + timeout_s
        while not self._is_read:
            left_s = min(IDLE_S, deadline - time.monotonic())
            try:
                async with asyncio.timeout(left_s):
                    message = await self._receive()
            except TimeoutError:
                raise DownloadTimedOut("the body did not arrive in time; try again") from None
            yield self._data(message)

    def _data(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            raise Gone
        self._is_read = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def hung_up(self) -> None:
        """Wait until the caller hangs up before the end of the response. Read the body before."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._is_ended:
            await asyncio.Event().wait()

    async def start(self, status: int, media_type: str, headers: Mapping[str, str]) -> None:
        """Send the head of the response."""
        self.is_started = True
        fields = {"Content-Type": media_type, "X-Request-Id": self.id, **headers}
        fields |= {"X-Content-Type-Options": "nosniff"}
        encoded = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()
        ]
        await self._put({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body."""
        self._is_ended = not more
        await self._put({"type": "http.response.body", "body": data, "more_body": more})

    async def _put(self, message: Message) -> None:
        """Send a message. Raise Gone if the caller does not take it."""
        try:
            async with asyncio.timeout(IDLE_S):
                await self._send(message)
        except TimeoutError:
            raise Gone from None

    async def respond(self, body: Body, status: int = 200) -> None:
        """Send a whole response. Close the connection if the request was not read to its end."""
        length = {} if status == 204 else {"Content-Length": str(len(body.content))}
        headers = {**length, **body.headers}
        if not self._is_read:
            headers["Connection"] = "close"
        await self.start(status, body.media_type, headers)
        for begin in range(0, len(body.content), _PIECE_BYTES):
            await self.write(body.content[begin : begin + _PIECE_BYTES], more=True)
        if not self._is_read:
            await self._linger()
        await self.write(b"", more=False)

    async def _linger(self) -> None:
        with contextlib.suppress(DownloadTimedOut, Gone):
            async for _ in self.chunks(_LINGER_S):
                pass

    async def refuse(self, error: WorkerError | Refusal, known: Iterable[str]) -> None:
        """Answer with an error. After the head of a response was sent, this does nothing."""
        if self.is_started:
            return
        status = error.status if isinstance(error, Refusal) else errors.status_of(error.code)
        headers = dict(error.headers) if isinstance(error, Refusal) else {}
        await self.respond(Body(as_json(errors.body(error, known)), headers=headers), status)


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told how requests end."""

    failed: Callable[[WorkerError | Refusal], None]
    gone: Callable[[], None]


async def answered(
    exchange: Exchange, endpoint: Endpoint, told: Told, *, known: Iterable[str] = ()
) -> None:
    """Run an endpoint, and answer with its error if it has one."""
    try:
        if (error := await _error(exchange, endpoint)) is not None:
            told.failed(error)
            await exchange.refuse(error, known)
    except Gone:
        log.info("%s | the caller hung up", exchange.id)
        told.gone()


async def _error(exchange: Exchange, endpoint: Endpoint) -> WorkerError | Refusal | None:
    """Run an endpoint and return its error. Raise Gone.

    Nobody but a server that ends cancels this.
    """
    try:
        await endpoint(exchange)
    except (WorkerError, Refusal) as error:
        extra = {"job": exchange.id, "code": error.code}
        log.warning("%s | %s", exchange.id, error.code, extra=extra)
        return error
    except asyncio.CancelledError:
        log.warning("%s | the server ends", exchange.id)
        return Ending("the server ends; try again soon")
    except Gone:
        raise
    except Exception as error:
        # A traceback can contain paths and texts.
        told = internal_error(error)
        extra = {"job": exchange.id, "code": told.code}
        log.error("%s | %s", exchange.id, where(error), extra=extra)  # noqa: TRY400
        return told
    return None
