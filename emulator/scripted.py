"""Endpoints that answer by a script and remember every request, for tests of clients and workers.

with serve(words=Scripted(status=[Reply(503), None])) as server:
    ... requests to f"{server.base_url}/words/status/…": 503 at first, then the emulator's answers
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from emulator.endpoint import Endpoint
from emulator.exchange import Answer, Exchange
from emulator.faults import ExchangeFault, Moment
from emulator.job import Job
from emulator.server import Server
from emulator.simulated import Handler

STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that arrived."""

    route: str
    """`run`, `status`, `cancel`, …, or a worker's `job-take`, `job-done`, …."""
    job_id: str
    """The last part of the path; empty if the route is all there is."""
    at: float
    """By `time.monotonic`."""
    key: str
    """The Authorization header."""
    body: Any
    """Read as JSON; None if it is none."""

    @classmethod
    def of(cls, exchange: Exchange) -> Asked:
        """Take down the request of an exchange."""
        _, _, _, route, *rest = exchange.path.split("/")
        return cls(
            route,
            rest[-1] if rest else "",
            time.monotonic(),
            exchange.headers.get("Authorization", ""),
            _read(exchange.body),
        )


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that only the script knows. It is a fault: nothing of the request is done."""

    status: int = 200
    body: object = None
    """A string goes out as it is, anything else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    """Seconds after each byte."""
    missing: int = 0
    """How many bytes Content-Length promises that never come. The connection stays open."""

    async def strike(self, exchange: Exchange) -> None:
        """Answer, unless the other side goes before that."""
        if self.delay_s and await exchange.gone(self.delay_s):
            return
        if self.drip_s:
            await exchange.send_slowly(self._answer(), 1, self.drip_s)
        elif self.missing:
            await exchange.send_and_stall(self._answer(), STALL_S)
        else:
            await exchange.send_answer(self._answer())

    def _answer(self) -> Answer:
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        body = text.encode()
        headers = {"Content-Length": str(len(body) + self.missing), **self.headers}
        return Answer.of(self.status, body, headers)


Script = Sequence[ExchangeFault | None] | Callable[[Asked], ExchangeFault | None]
"""The answers of a route in order, the last one for ever, or a function that chooses them.

None lets the emulator answer. A function must not block: it is called on the emulator's thread.
"""


class Scripted:
    """A scripted endpoint, as a schedule and its one fault.

    The emulator answers on the routes without a script. Without any script it only remembers.
    """

    def __init__(self, handler: Handler | None = None, **scripts: Script) -> None:
        """`handler` runs the jobs. Without one they stay in the queue."""
        self.asked: list[Asked] = []
        self._handler, self._scripts = handler, scripts
        self._endpoint: Endpoint | None = None

    @property
    def jobs(self) -> list[Job]:
        """Every job that the emulator has queued for it."""
        return self._endpoint.queue.ever if self._endpoint else []

    def open(self, server: Server, name: str) -> None:
        """Open the endpoint under a name."""
        if self._handler is None:
            self._endpoint = server.add(name, faults=self)
        else:
            self._endpoint = server.simulate(name, self._handler, faults=self)

    def of(self, route: str) -> list[Asked]:
        """Return the requests on one route."""
        return [asked for asked in self.asked if asked.route == route]

    def exchange(self, route: str) -> Scripted:
        """Strike every exchange."""
        del route
        return self

    def job(self, moment: Moment) -> None:
        """Spoil no job."""
        del moment

    async def strike(self, exchange: Exchange) -> None:
        """Remember the request, and answer by the script."""
        asked = Asked.of(exchange)
        self.asked.append(asked)
        if fault := self._next(asked):
            await fault.strike(exchange)
        else:
            await exchange.pass_on()

    def _next(self, asked: Asked) -> ExchangeFault | None:
        script = self._scripts.get(asked.route, [None])
        if callable(script):
            return script(asked)
        return script[min(len(self.of(asked.route)), len(script)) - 1]


@contextmanager
def serve(**endpoints: Scripted) -> Iterator[Server]:
    """Run an emulator with these endpoints."""
    with Server() as server:
        for name, scripted in endpoints.items():
            scripted.open(server, name)
        yield server
