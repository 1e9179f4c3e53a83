"""How many workers an endpoint has: between min and max, by the number of its jobs."""

from __future__ import annotations

import logging
import math
import uuid
from dataclasses import dataclass
from typing import Protocol

from emulator.endpoint import Endpoint
from emulator.job import Status
from emulator.workers import Handle, Worker

MOST_PATIENCE_S = 30.0

log = logging.getLogger("emulator")


class Launcher(Protocol):
    """Starts workers of one endpoint."""

    async def launch(self, endpoint: Endpoint, worker_id: str) -> Handle:
        """Start one and return at once. The worker comes for jobs when it is ready."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How an endpoint scales."""

    min_workers: int = 0
    max_workers: int = 1
    jobs_per_worker: int = 1
    """One more worker for every this many jobs, queued or running."""
    idle_timeout_s: float = 5.0
    """A worker above the minimum is ended after this long without a job."""


class Scaler:
    """Starts and ends an endpoint's workers, at every tick and after every change."""

    def __init__(self, endpoint: Endpoint, launcher: Launcher, bounds: Bounds) -> None:
        self._endpoint, self._launcher, self._bounds = endpoint, launcher, bounds
        endpoint.changes.followers.append(self.step)

    def step(self) -> None:
        """Start the missing workers, end the superfluous ones."""
        if self._endpoint.closing:
            return
        serving = self._endpoint.workers.serving()
        wanted = self.wanted()
        missing = wanted - len(serving) - self._endpoint.workers.starting
        if self._endpoint.clock() >= self._endpoint.workers.last_failed_start + self._patience_s():
            for _ in range(missing):
                self._endpoint.workers.starting += 1
                self._endpoint.tasks.spawn(self._launch())
        for worker in self._idle_too_long(serving)[: max(0, len(serving) - wanted)]:
            log.info(
                "%s | worker %s idle for %.0f s: ended",
                self._endpoint.name,
                worker.id,
                self._bounds.idle_timeout_s,
            )
            self._endpoint.staff.drain(worker)

    def wanted(self) -> int:
        """Return the number of workers that the jobs call for: none for those of low priority."""
        jobs = self._endpoint.queue.unfinished()
        calling = [
            job for job in jobs if job.status is Status.IN_PROGRESS or not job.policy.low_priority
        ]
        wanted = math.ceil(len(calling) / self._bounds.jobs_per_worker)
        return min(self._bounds.max_workers, max(self._bounds.min_workers, wanted))

    async def _launch(self) -> None:
        worker_id = uuid.uuid4().hex[:12]
        log.info("%s | worker %s starts", self._endpoint.name, worker_id)
        try:
            handle = await self._launcher.launch(self._endpoint, worker_id)
            self._endpoint.staff.attach(worker_id, handle)
        except OSError as error:
            # One line says it: no traceback.
            log.error("%s | worker %s cannot start: %s", self._endpoint.name, worker_id, error)  # noqa: TRY400
            self._endpoint.workers.note_failed_start()
        finally:
            self._endpoint.workers.starting -= 1

    def _idle_too_long(self, serving: list[Worker]) -> list[Worker]:
        now = self._endpoint.clock()
        late = []
        for worker in serving:
            if self._endpoint.queue.held(worker.id):
                worker.idle_since = now
            elif (
                worker.idle_since is not None
                and now - worker.idle_since >= self._bounds.idle_timeout_s
            ):
                late.append(worker)
        return late

    def _patience_s(self) -> float:
        """Return the seconds to wait after failed starts, twice as many each time.

        Otherwise a worker that cannot start would be started without end.
        """
        failed = self._endpoint.workers.failed_starts
        return min(MOST_PATIENCE_S, 0.5 * 2**failed) if failed else 0.0
