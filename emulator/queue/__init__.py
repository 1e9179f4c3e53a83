"""The jobs of one endpoint: which ones wait, which run on which worker, how long each is kept.

This is pure logic: the clock is passed in and nothing waits. A job is handed to one worker at a
time and ends once. If a worker vanishes, each of its jobs is queued again, but only once: a job
that is lost a second time has FAILED. News of a job from a worker that no longer holds it is
ignored.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.job import Job
from emulator.queue.client_side import Cancellation, ClientSide
from emulator.queue.expiry import Expiry
from emulator.queue.figures import Figures
from emulator.queue.steps import Steps
from emulator.queue.worker_side import WorkerSide
from emulator.rules import Retention

__all__ = ["Cancellation", "ClientSide", "Figures", "Queue", "WorkerSide"]


class Queue:
    """One endpoint's jobs, in the order of their submission."""

    def __init__(
        self,
        clock: Callable[[], float],
        retention: Retention | None = None,
        ended: Callable[[Job], None] = lambda _: None,
    ) -> None:
        """Start empty. `ended` is called with each job that reaches a final status."""
        self._steps = Steps(clock, ended)
        self._expiry = Expiry(self._steps, retention or Retention())
        self.clients = ClientSide(self._steps)
        self.workers = WorkerSide(self._steps)

    @property
    def ever(self) -> list[Job]:
        """All jobs, including those that clients can no longer see."""
        return self._steps.ever

    @property
    def cancellations(self) -> list[Cancellation]:
        """Every cancel that reached the endpoint."""
        return self.clients.cancellations

    def sweep(self) -> bool:
        """Apply timeouts, ttl and retention as of now. Return whether anything changed."""
        return self._expiry.sweep()

    def get(self, job_id: str) -> Job | None:
        """Return the job, or None if it never existed or is forgotten."""
        return self._steps.get(job_id)

    def held(self, worker: str) -> list[Job]:
        """Return the jobs that a worker was handed and that have not ended."""
        return self._steps.held(worker)

    def unfinished(self) -> list[Job]:
        """Return the jobs without a final status."""
        return [job for job in self._steps.known() if not job.status.final]

    def waiting(self) -> list[Job]:
        """Return the queued jobs, the next one first."""
        return list(self._steps.waiting)

    def figures(self) -> Figures:
        """Count the jobs. Those that have ended are counted for ever."""
        return Figures.of(self.ever, self._steps.retried)
