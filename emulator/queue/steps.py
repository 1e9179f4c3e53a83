"""The steps that a job can take, and the jobs of one endpoint between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from emulator.job import MISSING, Job, Status, Transition

MAX_LOSSES = 1
"""The platform's number of automatic retries."""


class Steps:
    """All jobs of an endpoint. Every change of a job's status is one of these methods."""

    def __init__(self, clock: Callable[[], float], ended: Callable[[Job], None]) -> None:
        self.clock = clock
        self.ever: list[Job] = []
        self.waiting: deque[Job] = deque()
        self.stops: dict[str, list[str]] = {}
        """By worker: the jobs that it is still to be asked to stop."""
        self.retried = 0
        self._ended = ended
        self._known: dict[str, Job] = {}

    def get(self, job_id: str) -> Job | None:
        """Return the job, or None if it never existed or is forgotten."""
        return self._known.get(job_id)

    def known(self) -> list[Job]:
        """Return the jobs that are not forgotten."""
        return list(self._known.values())

    def held(self, worker: str) -> list[Job]:
        """Return the jobs that a worker was handed and that have not ended."""
        return [job for job in self._known.values() if _holds(worker, job)]

    def held_job(self, job_id: str, worker: str) -> Job | None:
        """Return the job, or None if the worker does not hold it."""
        job = self.get(job_id)
        return job if job and _holds(worker, job) else None

    def add(self, job: Job) -> None:
        """Queue a new job."""
        self.ever.append(job)
        self._known[job.id] = job
        self.enqueue(job, "submitted")

    def enqueue(self, job: Job, cause: str, *, first: bool = False) -> None:
        """Let a job wait for a worker, as if it had never had one."""
        job.worker = job.handed_at = job.finished_at = job.error = None
        job.output, job.queued_at = MISSING, self.clock()
        job.chunks.clear()
        if first:
            self.waiting.appendleft(job)
        else:
            self.waiting.append(job)
        self._move(job, Status.IN_QUEUE, cause)

    def hand_out(self, job: Job, worker: str) -> None:
        """Give a waiting job to a worker."""
        self.waiting.remove(job)
        job.worker, job.handed_at = worker, self.clock()
        job.claimed, job.unclaimed_pings = False, 0
        job.attempts += 1
        self._move(job, Status.IN_PROGRESS, "handed out")

    def reopen(self, job: Job, cause: str) -> None:
        """Show an ended job as running again."""
        job.error = job.finished_at = None
        self._move(job, Status.IN_PROGRESS, cause)

    def lose(self, job: Job, cause: str) -> None:
        """Take a job back from its worker: queue it again the first time, fail it the second."""
        job.losses += 1
        if job.losses <= MAX_LOSSES:
            self.retried += 1
            self.enqueue(job, cause, first=True)
            return
        job.losses = MAX_LOSSES
        job.output, job.error = MISSING, f"job timed out after {MAX_LOSSES} retries"
        self.end(job, Status.FAILED, cause)

    def stop(self, job: Job, status: Status, cause: str) -> None:
        """End a job from outside. Its worker, if any, is to be asked to stop it."""
        if job.status is Status.IN_QUEUE:
            self.waiting.remove(job)
        elif job.worker is not None:
            self.stops.setdefault(job.worker, []).append(job.id)
        job.output = MISSING
        self.end(job, status, cause)

    def end(self, job: Job, status: Status, cause: str) -> None:
        """Give a job its final status."""
        job.finished_at = self.clock()
        self._move(job, status, cause)
        self._ended(job)

    def forget(self, job: Job) -> None:
        """Hide a job from clients. Keep its history, drop whatever may be large."""
        self._known.pop(job.id, None)
        job.forgotten = True
        job.input, job.output = None, MISSING
        job.chunks.clear()

    def _move(self, job: Job, status: Status, cause: str) -> None:
        job.status = status
        job.history.append(Transition(self.clock(), status, cause, job.worker))


def _holds(worker: str, job: Job) -> bool:
    return job.status is Status.IN_PROGRESS and job.worker == worker
