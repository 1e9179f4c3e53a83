"""Faults of HTTP exchanges: what can go wrong between a client or a worker and the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emulator.exchange import Exchange

HTML = (
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
    b"<body><center><h1>502 Bad Gateway</h1></center></body></html>"
)


class ExchangeFault(Protocol):
    """Something that goes wrong with one HTTP exchange."""

    async def strike(self, exchange: Exchange) -> None:
        """Answer instead of the application, or spoil its answer."""
        ...


@dataclass(frozen=True, slots=True)
class TooManyRequests:
    """429 and when to come back. Nothing was done."""

    retry_after_s: float | None = 1

    async def strike(self, exchange: Exchange) -> None:
        """Answer 429."""
        headers = {} if self.retry_after_s is None else {"Retry-After": f"{self.retry_after_s:g}"}
        await exchange.send(429, b'{"error":"too many requests"}', **headers)


@dataclass(frozen=True, slots=True)
class ServerError:
    """A 5xx. If `accepted`, the request was carried out all the same."""

    status: int = 500
    accepted: bool = False

    async def strike(self, exchange: Exchange) -> None:
        """Answer with the status."""
        if self.accepted:
            await exchange.answer()
        await exchange.send(self.status, b'{"error":"internal error"}')


@dataclass(frozen=True, slots=True)
class ConnectionReset:
    """The connection is reset before anything was done."""

    async def strike(self, exchange: Exchange) -> None:
        """Reset the connection."""
        await exchange.reset()


@dataclass(frozen=True, slots=True)
class LostReply:
    """The request was carried out and the answer never arrives: silence, then a reset."""

    silence_s: float = 0.0

    async def strike(self, exchange: Exchange) -> None:
        """Carry out the request, say nothing."""
        await exchange.answer()
        await exchange.stay_silent(self.silence_s)
        await exchange.reset()


@dataclass(frozen=True, slots=True)
class Drip:
    """The answer comes in small pieces, with a pause after each."""

    piece: int = 1
    interval_s: float = 0.05

    async def strike(self, exchange: Exchange) -> None:
        """Let the answer drip."""
        await exchange.send_slowly(await exchange.answer(), self.piece, self.interval_s)


@dataclass(frozen=True, slots=True)
class TruncatedJson:
    """200 and the first half of the JSON.

    If `closed`, the header promises the whole and the connection ends early.
    """

    closed: bool = False

    async def strike(self, exchange: Exchange) -> None:
        """Send half of the answer."""
        answer = await exchange.answer()
        half = answer.body[: len(answer.body) // 2]
        if self.closed:
            await exchange.send_short(answer, half)
        else:
            await exchange.send(answer.status, half)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """The page of some proxy instead of JSON. If `accepted`, the request was carried out."""

    status: int = 502
    accepted: bool = False

    async def strike(self, exchange: Exchange) -> None:
        """Send the page."""
        if self.accepted:
            await exchange.answer()
        await exchange.send(self.status, HTML, **{"Content-Type": "text/html"})
