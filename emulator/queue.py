"""The jobs of one endpoint: who waits, who runs where, what is kept how long. Pure logic; the clock
is handed in, nothing waits.

A job is handed to one worker at a time and ends once. A worker that vanishes gives its jobs back,
each at most once: a job that is lost a second time has FAILED. What a worker says about a job that
it no longer holds is ignored.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from emulator.job import MISSING, Job, Policy, Status, Transition

MAX_LOSSES = 1
"""The platform's number of automatic retries."""
UNCLAIMED_PINGS = 2
"""Pings without the job's id after which a job that its worker never claimed counts as lost on the
way.
"""
_ENDED_FROM_OUTSIDE = (Status.CANCELLED, Status.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds that a result is kept after its end."""

    run_s: float = 1800.0
    runsync_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancel that reached the endpoint, and what the job was doing then; None: no such job."""

    at: float
    job_id: str
    was: Status | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The jobs as `/health` counts them."""

    completed: int
    failed: int
    in_progress: int
    in_queue: int
    retried: int


class Queue:
    """One endpoint's jobs, in the order in which they came."""

    def __init__(
        self,
        clock: Callable[[], float],
        retention: Retention | None = None,
        ended: Callable[[Job], None] = lambda _: None,
    ) -> None:
        """`ended` is called with each job that reaches a final status."""
        self.ever: list[Job] = []
        """All jobs, also those that clients can no longer see."""
        self.cancellations: list[Cancellation] = []
        self._clock, self._ended = clock, ended
        self._retention = retention or Retention()
        self._known: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._stops: dict[str, list[str]] = {}
        self._retried = 0

    # What clients do.

    def submit(
        self,
        job_input: object,
        policy: Policy | None = None,
        *,
        sync: bool = False,
        webhook: str | None = None,
    ) -> Job:
        """Queue a new job."""
        now = self._clock()
        job = Job(
            f"{'sync-' if sync else ''}{uuid.uuid4()}-u1",
            job_input,
            sync,
            policy or Policy(),
            now,
            webhook,
        )
        self.ever.append(job)
        self._known[job.id] = job
        self._enqueue(job, "submitted")
        return job

    def get(self, job_id: str) -> Job | None:
        """The job, unless it was never there or is forgotten."""
        return self._known.get(job_id)

    def cancel(self, job_id: str) -> Job | None:
        """End a job that has not ended; a job that has is left as it is."""
        job = self.get(job_id)
        self.cancellations.append(Cancellation(self._clock(), job_id, job.status if job else None))
        if job and not job.status.final:
            self._stop(job, Status.CANCELLED, "cancelled")
        return job

    def retry(self, job_id: str) -> Job | None:
        """Queue a job anew under its id; None where it has not FAILED or TIMED_OUT."""
        job = self.get(job_id)
        if job is None or job.status not in (Status.FAILED, Status.TIMED_OUT):
            return None
        job.submitted_at, job.losses = self._clock(), 0
        self._enqueue(job, "retry asked for")
        return job

    def purge(self) -> int:
        """Drop all jobs that wait; returns how many."""
        purged = list(self._waiting)
        for job in purged:
            self._stop(job, Status.CANCELLED, "purged")
            self._forget(job)
        return len(purged)

    def drain_chunks(self, job: Job) -> list[object]:
        """What was streamed since the last call."""
        chunks = list(job.chunks)
        job.chunks.clear()
        return chunks

    # What workers do.

    def take(self, worker: str, most: int = 1) -> list[Job]:
        """Hand the longest waiting jobs to a worker; those of low priority when no others wait."""
        taken = sorted(self._waiting, key=lambda job: job.policy.low_priority)[:most]
        for job in taken:
            self._waiting.remove(job)
            job.worker, job.handed_at, job.claimed, job.unclaimed_pings = (
                worker,
                self._clock(),
                False,
                0,
            )
            job.attempts += 1
            self._move(job, Status.IN_PROGRESS, "handed out")
        return taken

    def progress(self, job_id: str, worker: str, output: object) -> bool:
        """Keep what a worker says on the way; False where it does not hold the job (any more)."""
        job = self._held_job(job_id, worker)
        if job:
            job.claimed, job.output = True, output
        return job is not None

    def chunk(self, job_id: str, worker: str, output: object) -> bool:
        """Keep what a generator yielded; False where the worker does not hold the job."""
        job = self._held_job(job_id, worker)
        if job:
            job.claimed = True
            job.chunks.append(output)
        return job is not None

    def finish(self, job_id: str, worker: str, body: dict[str, Any]) -> bool:
        """End a job with what its worker posted; False where it does not hold the job.

        An error that is not a string is lost on the platform: the job is COMPLETED and has no
        output.
        """
        job = self._held_job(job_id, worker)
        if job is None:
            return False
        job.output = body.get("output", MISSING)
        error = body.get("error")
        if isinstance(error, str):
            job.error = error
            self._end(job, Status.FAILED, "the handler failed")
            return True
        if error is not None:
            job.output = MISSING
        self._end(job, Status.COMPLETED, "result posted")
        return True

    def refuse_result(self, job_id: str, worker: str) -> bool:
        """End a job whose result is over the limit: COMPLETED and no output, as the platform
        does.
        """
        job = self._held_job(job_id, worker)
        if job:
            job.output = MISSING
            self._end(job, Status.COMPLETED, "the result was over the limit")
        return job is not None

    def reject(self, job_id: str, worker: str) -> None:
        """Take back a job that its worker did not accept."""
        if job := self._held_job(job_id, worker):
            self._lose(job, "its worker rejected it")

    def reopen(self, job_id: str, output: object) -> None:
        """Show a finished job as running again: what a late progress update once did on the
        platform.
        """
        job = self.get(job_id)
        if job and job.status.final:
            job.output, job.error, job.finished_at = output, None, None
            self._move(job, Status.IN_PROGRESS, "reopened by a late progress update")

    def stops(self, worker: str) -> list[str]:
        """The jobs that a worker shall stop and has not been told of yet."""
        return self._stops.pop(worker, [])

    def ping(self, worker: str, job_ids: Collection[str], settle_s: float) -> list[Job]:
        """Compare what a worker says it holds with what it was handed; returns the jobs that were
        lost on the way.

        A job that it still runs though it was ended is stopped once more: the SDK drops a stop that
        comes before the job's first step. `settle_s`: how long after the hand-out a job may be
        missing from the pings.
        """
        ended = [
            job
            for job_id in job_ids
            if (job := self.get(job_id))
            and job.worker == worker
            and job.status in _ENDED_FROM_OUTSIDE
        ]
        if ended:
            self._stops[worker] = [job.id for job in ended]
        lost = []
        for job in self.held(worker):
            if job.id in job_ids:
                job.claimed = True
            elif (
                not job.claimed
                and job.handed_at is not None
                and self._clock() - job.handed_at > settle_s
            ):
                job.unclaimed_pings += 1
                if job.unclaimed_pings >= UNCLAIMED_PINGS:
                    lost.append(job)
        for job in lost:
            self._lose(job, "its worker never held it")
        return lost

    def lose_worker(self, worker: str, cause: str) -> list[Job]:
        """Take back what a vanished worker held; returns those jobs."""
        self._stops.pop(worker, None)
        lost = self.held(worker)
        for job in lost:
            self._lose(job, cause)
        return lost

    # What time does.

    def sweep(self) -> bool:
        """Apply timeouts, ttl and retention as of now; True where anything changed."""
        now, changed = self._clock(), False
        for job in list(self._known.values()):
            if now - job.submitted_at >= job.policy.ttl_s:
                if not job.status.final:
                    self._stop(job, Status.TIMED_OUT, "ttl over")
                self._forget(job)
                changed = True
            elif (
                job.status is Status.IN_PROGRESS
                and job.handed_at is not None
                and now - job.handed_at >= job.policy.execution_timeout_s
            ):
                job.error = "executionTimeout exceeded"
                self._stop(job, Status.TIMED_OUT, "executionTimeout over")
                changed = True
            elif job.finished_at is not None and now - job.finished_at >= self._kept_s(job):
                self._forget(job)
                changed = True
        return changed

    # What it looks like.

    def held(self, worker: str) -> list[Job]:
        """The jobs that a worker was handed and has not ended."""
        return [
            job
            for job in self._known.values()
            if job.status is Status.IN_PROGRESS and job.worker == worker
        ]

    def unfinished(self) -> list[Job]:
        """The jobs without a final status."""
        return [job for job in self._known.values() if not job.status.final]

    def waiting(self) -> list[Job]:
        """The jobs in the queue, the next one first."""
        return list(self._waiting)

    def figures(self) -> Figures:
        """Count the jobs; those that ended are counted for ever."""
        statuses = [job.status for job in self.ever]
        return Figures(
            completed=statuses.count(Status.COMPLETED),
            failed=statuses.count(Status.FAILED) + statuses.count(Status.TIMED_OUT),
            in_progress=statuses.count(Status.IN_PROGRESS),
            in_queue=statuses.count(Status.IN_QUEUE),
            retried=self._retried,
        )

    # Steps.

    def _enqueue(self, job: Job, cause: str, *, first: bool = False) -> None:
        job.worker = job.handed_at = job.finished_at = job.error = None
        job.output, job.queued_at = MISSING, self._clock()
        job.chunks.clear()
        if first:
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)
        self._move(job, Status.IN_QUEUE, cause)

    def _lose(self, job: Job, cause: str) -> None:
        job.losses += 1
        if job.losses <= MAX_LOSSES:
            self._retried += 1
            self._enqueue(job, cause, first=True)
            return
        job.losses = MAX_LOSSES
        job.output, job.error = MISSING, f"job timed out after {MAX_LOSSES} retries"
        self._end(job, Status.FAILED, cause)

    def _stop(self, job: Job, status: Status, cause: str) -> None:
        """End a job from outside; its worker, if any, is to be told."""
        if job.status is Status.IN_QUEUE:
            self._waiting.remove(job)
        elif job.worker is not None:
            self._stops.setdefault(job.worker, []).append(job.id)
        job.output = MISSING
        self._end(job, status, cause)

    def _end(self, job: Job, status: Status, cause: str) -> None:
        job.finished_at = self._clock()
        self._move(job, status, cause)
        self._ended(job)

    def _move(self, job: Job, status: Status, cause: str) -> None:
        job.status = status
        job.history.append(Transition(self._clock(), status, cause, job.worker))

    def _forget(self, job: Job) -> None:
        """Keep the history; what was large is let go."""
        self._known.pop(job.id, None)
        job.forgotten = True
        job.input, job.output = None, MISSING
        job.chunks.clear()

    def _held_job(self, job_id: str, worker: str) -> Job | None:
        job = self.get(job_id)
        return job if job and job.status is Status.IN_PROGRESS and job.worker == worker else None

    def _kept_s(self, job: Job) -> float:
        return self._retention.runsync_s if job.sync else self._retention.run_s
