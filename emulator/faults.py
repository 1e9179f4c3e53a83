"""Things that go wrong on purpose, for tests.

An `ExchangeFault` spoils one HTTP exchange, a client's or a worker's; a `JobFault` spoils one job
behind the API. A `Schedule` says which exchange and which job is struck: `NoFaults`, a `Script`
(these, in this order) or `Seeded` (chance, the same for the same seed).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from emulator.endpoint import Endpoint
    from emulator.exchange import Exchange
    from emulator.job import Job

Moment = Literal["hand-out", "result", "finished"]
"""When a job can be struck: before its worker gets it, before its result is kept, after."""
HTML = (
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
    b"<body><center><h1>502 Bad Gateway</h1></center></body></html>"
)


class ExchangeFault(Protocol):
    """Something that goes wrong with one HTTP exchange."""

    async def strike(self, exchange: Exchange) -> None:
        """Answer instead of the application, or spoil what it answers."""
        ...


class JobFault(Protocol):
    """Something that goes wrong with one job."""

    @property
    def moment(self) -> Moment:
        """When it strikes."""
        ...

    async def strike(self, endpoint: Endpoint, job: Job) -> None:
        """Spoil the job, which its worker holds or (`finished`) has ended."""
        ...


Fault = ExchangeFault | JobFault


class Schedule(Protocol):
    """Says what is struck."""

    def exchange(self, route: str) -> ExchangeFault | None:
        """The fault for the next exchange on a route: `run`, `status`, `cancel`, …, `job-take`,
        `job-done`, ….
        """
        ...

    def job(self, moment: Moment) -> JobFault | None:
        """The fault for the next job that comes to a moment."""
        ...


# Exchanges.


@dataclass(frozen=True, slots=True)
class TooManyRequests:
    """429, and when to come back; nothing was done."""

    retry_after_s: float | None = 1

    async def strike(self, exchange: Exchange) -> None:
        """Answer 429."""
        headers = {} if self.retry_after_s is None else {"Retry-After": f"{self.retry_after_s:g}"}
        await exchange.send(429, b'{"error":"too many requests"}', **headers)


@dataclass(frozen=True, slots=True)
class ServerError:
    """A 5xx; `accepted`: the request was carried out all the same."""

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
        """Reset."""
        await exchange.reset()


@dataclass(frozen=True, slots=True)
class LostReply:
    """The request was carried out and the answer never arrives: silence, then a reset."""

    silence_s: float = 0.0

    async def strike(self, exchange: Exchange) -> None:
        """Do it, say nothing."""
        await exchange.answer()
        await exchange.stay_silent(self.silence_s)
        await exchange.reset()


@dataclass(frozen=True, slots=True)
class Drip:
    """The answer comes in pieces of one size, one an interval."""

    piece: int = 1
    interval_s: float = 0.05

    async def strike(self, exchange: Exchange) -> None:
        """Let the answer drip."""
        await exchange.send_slowly(await exchange.answer(), self.piece, self.interval_s)


@dataclass(frozen=True, slots=True)
class TruncatedJson:
    """200 and the first half of the JSON; `closed`: the header promises the whole and the
    connection ends early.
    """

    closed: bool = False

    async def strike(self, exchange: Exchange) -> None:
        """Send half."""
        answer = await exchange.answer()
        half = answer.body[: len(answer.body) // 2]
        if self.closed:
            await exchange.send_short(answer, half)
        else:
            await exchange.send(answer.status, half)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """A page of some proxy in front instead of JSON; the request was carried out or not."""

    status: int = 502
    accepted: bool = False

    async def strike(self, exchange: Exchange) -> None:
        """Send the page."""
        if self.accepted:
            await exchange.answer()
        await exchange.send(self.status, HTML, **{"Content-Type": "text/html"})


# Jobs.


@dataclass(frozen=True, slots=True)
class WorkerKilled:
    """The job's worker is killed while it has the job."""

    after_s: float = 0.0
    moment: Moment = field(default="hand-out", init=False)

    async def strike(self, endpoint: Endpoint, job: Job) -> None:
        """Kill it a little later, if it still has the job."""
        endpoint.later(self.after_s, endpoint.kill_holder, job.id, job.attempts)


@dataclass(frozen=True, slots=True)
class HandOutAfterSigterm:
    """The worker is told to end, and then the poll that it still holds open brings it the job: the
    SDK never runs it.
    """

    lead_s: float = 0.3
    """Longer than the SDK's loop needs to see the signal (0.1 s)."""
    moment: Moment = field(default="hand-out", init=False)

    async def strike(self, endpoint: Endpoint, job: Job) -> None:
        """End the worker first."""
        if worker := endpoint.workers.get(job.worker or ""):
            endpoint.drain(worker)
            await asyncio.sleep(self.lead_s)


@dataclass(frozen=True, slots=True)
class ResultOverLimit:
    """The result counts as too large, whatever its size: 400 for the worker, COMPLETED without
    output for the client.
    """

    moment: Moment = field(default="result", init=False)

    async def strike(self, endpoint: Endpoint, job: Job) -> None:
        """Refuse it."""
        endpoint.queue.refuse_result(job.id, job.worker or "")


@dataclass(frozen=True, slots=True)
class LateProgress:
    """A progress update arrives after the result; `reopens`: the job then stays IN_PROGRESS, as the
    platform once let it.
    """

    reopens: bool = False
    moment: Moment = field(default="finished", init=False)

    async def strike(self, endpoint: Endpoint, job: Job) -> None:
        """Post the update."""
        update = {"stage": "late", "percent": 50}
        endpoint.queue.progress(job.id, job.worker or "", update)
        if self.reopens:
            endpoint.queue.reopen(job.id, update)


# Schedules.

_Kind = TypeVar("_Kind", bound="ExchangeFault | JobFault")


@dataclass(frozen=True, slots=True)
class NoFaults:
    """Nothing goes wrong."""

    def exchange(self, route: str) -> ExchangeFault | None:
        """None."""
        del route
        return None

    def job(self, moment: Moment) -> JobFault | None:
        """None."""
        del moment
        return None


class Script:
    """These faults in this order, for each route and moment; None lets one pass; after the last
    nothing goes wrong.
    """

    def __init__(
        self,
        exchanges: Mapping[str, Sequence[ExchangeFault | None]] | None = None,
        jobs: Sequence[JobFault | None] = (),
    ) -> None:
        self._exchanges = {route: list(faults) for route, faults in (exchanges or {}).items()}
        self._jobs = list(jobs)

    def exchange(self, route: str) -> ExchangeFault | None:
        """The route's next one."""
        waiting = self._exchanges.get(route)
        return waiting.pop(0) if waiting else None

    def job(self, moment: Moment) -> JobFault | None:
        """The next one of this moment. A None in the list lets one hand-out pass."""
        if self._jobs and self._jobs[0] is None:
            if moment == "hand-out":
                self._jobs.pop(0)
            return None
        if self._jobs and self._jobs[0] is not None and self._jobs[0].moment == moment:
            return self._jobs.pop(0)
        return None


class Seeded:
    """Strikes by chance. The n-th exchange of a route meets the same fault whenever the seed is the
    same, whatever else happens.
    """

    def __init__(
        self,
        seed: int,
        exchanges: Mapping[str, Sequence[ExchangeFault]] | None = None,
        jobs: Sequence[JobFault] = (),
        *,
        rate: float = 0.25,
        most: int | None = None,
    ) -> None:
        """`rate`: the share that is struck; `most`: no more than so many faults in all."""
        self.struck: list[tuple[str, int, Fault]] = []
        """Route or moment, its running number from 0, and the fault."""
        self._seed, self._exchanges, self._jobs = seed, exchanges or {}, jobs
        self._rate, self._most = rate, most
        self._numbers: Counter[str] = Counter()

    def exchange(self, route: str) -> ExchangeFault | None:
        """Throw the dice for a route."""
        return self._draw(route, self._exchanges.get(route, ()))

    def job(self, moment: Moment) -> JobFault | None:
        """Throw the dice for a moment."""
        return self._draw(moment, [fault for fault in self._jobs if fault.moment == moment])

    def _draw(self, place: str, menu: Sequence[_Kind]) -> _Kind | None:
        number = self._numbers[place]
        self._numbers[place] += 1
        dice = random.Random(f"{self._seed}/{place}/{number}")  # noqa: S311  repeatable is what is wanted
        if (
            not menu
            or dice.random() >= self._rate
            or (self._most is not None and len(self.struck) >= self._most)
        ):
            return None
        fault = dice.choice(menu)
        self.struck.append((place, number, fault))
        return fault


EXCHANGES: Mapping[str, ExchangeFault] = {
    "429": TooManyRequests(),
    "500": ServerError(),
    "reset": ConnectionReset(),
    "drip": Drip(),
    "truncated": TruncatedJson(),
    "html": HtmlPage(),
    "lost-reply": LostReply(silence_s=1.0),
}
JOBS: Mapping[str, JobFault] = {
    "killed": WorkerKilled(after_s=0.5),
    "after-sigterm": HandOutAfterSigterm(),
    "over-limit": ResultOverLimit(),
    "late-progress": LateProgress(),
}
"""The faults by the names that a configuration file gives them."""
