"""The workers of one endpoint: who they are, what they do, when they last came."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class State(enum.StrEnum):
    """What a worker is doing. The names are those of `/health`, if it has one."""

    INITIALIZING = "initializing"
    IDLE = "idle"
    RUNNING = "running"
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"
    GONE = "gone"


class Handle(Protocol):
    """A hold on whatever a worker runs in."""

    def terminate(self) -> None:
        """Ask it to end, as SIGTERM does."""
        ...

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        ...

    async def wait(self) -> int:
        """Wait for its end. Return the exit code, negative for a signal."""
        ...


@dataclass(slots=True)
class Worker:
    """One worker. Times are the endpoint's clock, in seconds."""

    id: str
    started_at: float
    handle: Handle | None = None
    """None if somebody else started it and it just came to take jobs."""
    ready_at: float | None = None
    last_ping_at: float | None = None
    idle_since: float | None = None
    draining: bool = False
    gone_at: float | None = None
    exit_code: int | None = None
    polls: int = 0
    """How many of its requests are held open now."""

    @property
    def cold_start_s(self) -> float | None:
        """The seconds from its start to its first take."""
        return None if self.ready_at is None else self.ready_at - self.started_at

    @property
    def failed_to_start(self) -> bool:
        """Whether it ended by itself before it took a job."""
        return self.gone_at is not None and self.ready_at is None and not self.draining


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """The workers as `/health` counts them."""

    idle: int
    initializing: int
    ready: int
    running: int
    throttled: int
    unhealthy: int


class Workers:
    """All workers that an endpoint has ever had."""

    def __init__(self, clock: Callable[[], float], holds_jobs: Callable[[str], bool]) -> None:
        self.ever: list[Worker] = []
        self.starting = 0
        """How many were asked for and are not here yet."""
        self.failed_starts = 0
        """How many starts in a row have failed."""
        self.last_failed_start = -math.inf
        self._clock, self._holds_jobs = clock, holds_jobs
        self._present: dict[str, Worker] = {}

    def add(self, worker_id: str, handle: Handle | None) -> Worker:
        """Note that a worker begins to start."""
        worker = Worker(worker_id, self._clock(), handle)
        self.ever.append(worker)
        self._present[worker_id] = worker
        return worker

    def get(self, worker_id: str) -> Worker | None:
        """Return a worker that is present."""
        return self._present.get(worker_id)

    def present(self) -> list[Worker]:
        """Return those that are not gone, including those on their way out."""
        return list(self._present.values())

    def serving(self) -> list[Worker]:
        """Return those that take jobs or will."""
        return [worker for worker in self._present.values() if not worker.draining]

    def arrive(self, worker_id: str) -> Worker:
        """Note that a worker came for a job: it is ready, even if nobody here started it."""
        worker = self.get(worker_id) or self.add(worker_id, None)
        if worker.ready_at is None:
            worker.ready_at = worker.idle_since = self._clock()
            self.failed_starts = 0
        return worker

    def remove(self, worker: Worker, exit_code: int | None) -> None:
        """Note that a worker is gone."""
        worker.gone_at, worker.exit_code = self._clock(), exit_code
        self._present.pop(worker.id, None)
        if worker.failed_to_start:
            self.note_failed_start()

    def note_failed_start(self) -> None:
        """Note that a worker could not start."""
        self.failed_starts += 1
        self.last_failed_start = self._clock()

    def state(self, worker: Worker) -> State:
        """Return what a worker is doing."""
        if worker.gone_at is not None:
            return State.UNHEALTHY if worker.failed_to_start else State.GONE
        if worker.draining:
            return State.DRAINING
        if worker.ready_at is None:
            return State.INITIALIZING
        return State.RUNNING if self._holds_jobs(worker.id) else State.IDLE

    def figures(self) -> WorkerFigures:
        """Count the workers.

        After a failed start one is unhealthy until the next start. None is ever throttled.
        """
        states = [self.state(worker) for worker in self.present()]
        idle = states.count(State.IDLE)
        return WorkerFigures(
            idle=idle,
            initializing=states.count(State.INITIALIZING),
            ready=idle,
            running=states.count(State.RUNNING),
            throttled=0,
            unhealthy=int(self.failed_starts > 0 and State.INITIALIZING not in states),
        )
