"""The ways to a transcript with speakers that `bench.orchestrator` compares.

All of them use the same client, `core.remote`, which polls at the orchestrator's own pace. Every
job has connections of its own, as the orchestrator's jobs have.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import httpx2

from bench.roles import DIARIZATION, KEY, ORCHESTRATOR, SINGLE, TRANSCRIPTION
from core.domain.watch import Watch
from core.flows.orchestrated import load
from core.remote import Address, Pace, connect, request_body
from core.remote import Endpoint as RemoteEndpoint
from core.settings import Settings
from core.wire.job_input import OrchestratorInput, parse
from core.wire.render import render
from emulator.endpoint import Endpoint
from emulator.exchange import Exchange
from emulator.faults import Moment

JOB_S = 900.0
SETTLE_S = 1.5
"""Seconds to wait before each run.

The SDK's worker asks for its next job up to a second after the last, at the cost of the next way.
"""
_CLIENT_ROUTES = ("run", "status", "cancel")

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One job of the caller, which may take several jobs in endpoints."""

    wall_s: float
    first_poll_s: float
    """Seconds from the start to the first answer of any endpoint's `/status`."""
    requests: Counter[str]
    """Requests of clients, including the orchestrator, by endpoint."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class Way:
    """One way, and its runs."""

    name: str
    runs: tuple[Run, ...]

    @property
    def wall_s(self) -> float:
        """The median."""
        return statistics.median(run.wall_s for run in self.runs)

    @property
    def first_poll_s(self) -> float:
        """The median."""
        return statistics.median(run.first_poll_s for run in self.runs)

    @property
    def requests(self) -> dict[str, float]:
        """The medians, by endpoint."""
        names = sorted({name for run in self.runs for name in run.requests})
        return {name: statistics.median(run.requests[name] for run in self.runs) for name in names}


class Caller:
    """Somebody with a recording."""

    def __init__(self, base_url: str, recording: dict[str, str]) -> None:
        """Take the recording as the field of the request that contains or names it."""
        self._base_url, self._recording = base_url, recording
        self._pace = Pace()
        self._tls = httpx2.create_ssl_context(trust_env=False)

    def ask(self, endpoint: str, **more: object) -> Answer:
        """Run one job in one endpoint."""
        return anyio.run(partial(self._in_turn, [(endpoint, lambda _: more)]))

    def ask_in_turn(self) -> Answer:
        """Ask for the speakers, wait, then ask for the words with these speakers: the usual way."""
        return anyio.run(
            self._in_turn,
            [
                (DIARIZATION, lambda _: {}),
                (TRANSCRIPTION, lambda turns: {"diarization_segments": turns["segments"]}),
            ],
        )

    def orchestrated(self, fanout: int = 1, **more: object) -> Callable[[], Answer]:
        """Return a function that runs a job in the orchestrator's flow, in this process.

        The flow is loaded once, as its worker loads it. `more` are further fields of the request.
        """
        settings = Settings(
            runpod_api_key=KEY,  # type: ignore[arg-type]
            diarization_endpoint_id=DIARIZATION,
            transcription_endpoint_id=TRANSCRIPTION,
            runpod_endpoint_base_url=self._base_url,
            transcription_fanout=fanout,
            job_timeout=JOB_S,
        )
        flow = load(settings)

        def ask() -> Answer:
            asked = parse(OrchestratorInput, {**self._recording, **more})
            return render(flow.run(asked.request, Watch()), asked.form)

        return ask

    async def _in_turn(self, steps: Sequence[tuple[str, Callable[[Answer], Answer]]]) -> Answer:
        """Run jobs one after the other, each made from the answer of the one before."""
        answer: Answer = {}
        deadline = anyio.current_time() + JOB_S
        async with connect(KEY, pace=self._pace, tls=self._tls) as client:
            for name, make in steps:
                body = request_body({**self._recording, **make(answer)}, timeout_s=JOB_S)
                endpoint = RemoteEndpoint(
                    Address(name, f"{self._base_url}/{name}"), client, self._pace
                )
                output = await endpoint.run(body, deadline=deadline, report=lambda *_: None)
                assert isinstance(output, dict)
                answer = output
        return answer

    def ways(self, *, single: bool) -> dict[str, Callable[[], Answer]]:
        """Return all ways by name; the first two are one model alone."""
        ways: dict[str, Callable[[], Answer]] = {
            "diarization alone": lambda: self.ask(DIARIZATION),
            "transcription alone": lambda: self.ask(TRANSCRIPTION),
            "in turn": self.ask_in_turn,
            "orchestrated, in process": self.orchestrated(),
            "orchestrated, its worker": lambda: self.ask(ORCHESTRATOR),
        }
        return ways | ({"single worker": lambda: self.ask(SINGLE)} if single else {})


class Observer:
    """Notes what clients do with endpoints of the emulator, and changes nothing."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._polls = _Polls()
        for endpoint in endpoints:
            endpoint.faults = self._polls

    def run(self, work: Callable[[], Answer]) -> Run:
        """Run a way once and note its figures."""
        time.sleep(SETTLE_S)
        before = self._requests()
        self._polls.answered.clear()
        start = time.perf_counter()
        answer = work()
        wall_s = time.perf_counter() - start
        return Run(wall_s, min(self._polls.answered) - start, self._requests() - before, answer)

    def run_in_turns(self, ways: Mapping[str, Callable[[], Answer]], repetitions: int) -> list[Way]:
        """Run all ways several times in turns, so that a busy machine slows them all."""
        rounds = [[self.run(work) for work in ways.values()] for _ in range(repetitions)]
        return [Way(name, runs) for name, runs in zip(ways, zip(*rounds, strict=True), strict=True)]

    def _requests(self) -> Counter[str]:
        return Counter(
            {
                one.name: sum(one.requests[route] for route in _CLIENT_ROUTES)
                for one in self._endpoints
            }
        )


@dataclass(frozen=True, slots=True)
class _Polls:
    """A schedule with one fault, which only notes when an answer of `/status` has gone out."""

    answered: list[float] = field(default_factory=list)

    def exchange(self, route: str) -> _Polls | None:
        return self if route == "status" else None

    def job(self, moment: Moment) -> None:  # noqa: ARG002  a schedule's
        return None

    async def strike(self, exchange: Exchange) -> None:
        answer = await exchange.answer()
        await exchange.send(answer.status, answer.body)
        self.answered.append(time.perf_counter())
