"""An emulator for a module's tests, workers that answer as ours do, and a way to run the
programs.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import stamina

from core.domain.timeline import Diarization, Transcript, Transcription, Turn, Voice, Word
from core.domain.watch import Watch
from core.errors import DownloadFailed
from core.flows.usage import told
from core.settings import Settings
from core.transcript.assembly import assemble
from core.wire.job_input import AudioInput, DiarizationInput, SingleInput, parse
from emulator.endpoint import Endpoint
from emulator.faults import Schedule
from emulator.rules import Rules
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from examples import client
from handlers.runpod.worker import make_handler

ROOT = Path(__file__).parents[2]
QUICK = Rules(webhook_delays_s=(0.05, 0.05), poll_s=2, grace_s=5, tick_s=0.01)
URL = "https://example.com/call.mp3"
DURATION_S = 3.2
SPOKEN = Transcription(
    words=(
        Word(0.4, 0.7, "Are", 0.98),
        Word(0.7, 0.9, "you", 0.99),
        Word(0.9, 1.2, "ready?", 0.97),
        Word(1.28, 1.68, "Yes.", 0.91),
        Word(2.08, 2.4, "Let's", 0.95),
        Word(2.4, 2.88, "go.", 0.99),
    ),
    language="en",
)
SPEAKERS = Diarization(
    turns=(Turn(0.42, 1.3, "1"), Turn(1.22, 1.7, "2"), Turn(2.1, 2.9, "1")),
    exclusive_turns=(Turn(0.42, 1.22, "1"), Turn(1.22, 1.7, "2"), Turn(2.1, 2.9, "1")),
    warnings=("a speaker is heard for a second only",),
)
VOICES = (Voice("network-1", (1.0, 0.0), "1", 1.6), Voice("network-1", (0.0, 1.0), "2", 0.4))
TEXT = "Are you ready? Yes. Let's go."
Behaviour = Callable[[AudioInput], None]
"""Raises what a worker's job would raise, or waits."""


def missing(request: Any) -> None:
    """Fail for good where the URL says so."""
    if "missing" in request.recording.source.value:
        raise DownloadFailed(
            "example.com answered with HTTP status 404; check that the link is right"
        )


@dataclass
class Worker:
    """The flow of one role with the models' answers given: parses, renders and fails as ours do."""

    kind: type[AudioInput] = SingleInput
    behaviour: Behaviour = missing
    asked: list[Any] = field(default_factory=list)
    """The requests that came, parsed."""

    def parse(self, job_input: object) -> Any:
        """Parse as the role does, and keep what came."""
        self.asked.append(parse(self.kind, job_input))
        return self.asked[-1]

    def run(self, request: Any, watch: Watch) -> Transcript | Diarization:
        """Answer as the role does."""
        self.behaviour(request)
        if self.kind is DiarizationInput:
            turns = replace(SPEAKERS, duration=DURATION_S)
            return told(turns, request.recording, watch, model="embedded")
        words = assemble(SPOKEN, self._speakers(request), duration_s=DURATION_S)
        return told(words, request.recording, watch, model="embedded")

    def _speakers(self, request: Any) -> Diarization | None:
        """Return those that were asked for, or the caller's own."""
        if self.kind is SingleInput:
            speakers = replace(SPEAKERS, voices=VOICES if request.return_embeddings else None)
            return speakers if request.speakers is not None else None
        return Diarization(request.turns, request.turns) if request.turns else None

    def rehearse(self, recording: Path) -> None:
        """Nothing to rehearse."""


@dataclass
class Platform:
    """Opens endpoints with one kind of worker each."""

    server: Server
    opened: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def open(
        self,
        worker: Worker,
        *,
        concurrency: int = 1,
        stages: tuple[object, ...] = (),
        faults: Schedule | None = None,
    ) -> Endpoint:
        """Open an endpoint; its workers tell `stages` before they work, each once a poll can have
        seen the one before.
        """
        handler = make_handler(worker, worker.parse, Settings())

        async def handle(job: dict[str, Any], line: Line) -> object:
            for stage in stages:
                await line.progress(stage)
                await seen(line.endpoint)
            return await handler(job)

        self.opened.append(f"example{next(_NUMBERS)}")
        bounds = Bounds(min_workers=1, max_workers=1)
        return self.server.simulate(
            self.opened[-1], handle, concurrency=concurrency, bounds=bounds, faults=faults
        )


_NUMBERS = itertools.count()


async def seen(endpoint: Endpoint) -> None:
    """Wait until somebody asked for a status twice: the first may have been under way."""
    before = endpoint.requests["status"]
    while endpoint.requests["status"] < before + 2:
        await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An emulator that takes any key."""
    with Server(rules=QUICK) as running:
        yield running


@pytest.fixture
def platform(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The emulator as the place where the programs find their endpoints, with little patience
    between polls.
    """
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRETKEY")
    monkeypatch.setenv("RUNPOD_ENDPOINT_BASE_URL", server.base_url)
    monkeypatch.setattr(client, "FIRST_POLL_S", 0.02)
    monkeypatch.setattr(client, "LONGEST_POLL_S", 0.1)
    running = Platform(server)
    yield running
    for name in running.opened:
        server.remove(name)


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """Tries follow each other at once, and there are three at most."""
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    out: str
    err: str
    """With the sentence that it left with."""


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a program's main here."""

    def run_main(main: Callable[[list[str]], None], *arguments: object) -> Ended:
        said: object = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as left:
            said = left.code
        printed = capsys.readouterr()
        sentence = said if isinstance(said, str) else ""
        code = 1 if isinstance(said, str) else int(str(said or 0))
        return Ended(code, printed.out, printed.err + sentence)

    return run_main


def command(program: str, *arguments: object) -> list[str]:
    """A program as the command of a process of its own."""
    return [sys.executable, "-m", f"examples.{program}", *map(str, arguments)]


def until(look: Callable[[], Any], timeout_s: float = 120) -> Any:
    """Look again and again until there is something; what was seen."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found


@pytest.fixture
def stuck() -> Iterator[Behaviour]:
    """What a worker does that does not come to an end before the test does."""
    over = threading.Event()
    yield lambda _: (over.wait(120), None)[1]
    over.set()
