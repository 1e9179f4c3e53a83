"""The clients' side of the queue."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from emulator.job import Job, Policy, Status
from emulator.queue.steps import Steps


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancel that reached the endpoint, and the job's status then: None if there was no job."""

    at: float
    job_id: str
    was: Status | None


class ClientSide:
    """Everything that clients can do with jobs."""

    def __init__(self, steps: Steps) -> None:
        self.cancellations: list[Cancellation] = []
        self._steps = steps

    def submit(
        self,
        job_input: object,
        policy: Policy | None = None,
        *,
        sync: bool = False,
        webhook: str | None = None,
    ) -> Job:
        """Queue a new job."""
        job_id = f"{'sync-' if sync else ''}{uuid.uuid4()}-u1"
        now = self._steps.clock()
        job = Job(job_id, job_input, sync, policy or Policy(), now, webhook)
        self._steps.add(job)
        return job

    def cancel(self, job_id: str) -> Job | None:
        """End a job. One that has ended stays as it is."""
        job = self._steps.get(job_id)
        was = job.status if job else None
        self.cancellations.append(Cancellation(self._steps.clock(), job_id, was))
        if job and not job.status.final:
            self._steps.stop(job, Status.CANCELLED, "cancelled")
        return job

    def retry(self, job_id: str) -> Job | None:
        """Queue a job again under its id. Return None unless it has FAILED or TIMED_OUT."""
        job = self._steps.get(job_id)
        if job is None or job.status not in (Status.FAILED, Status.TIMED_OUT):
            return None
        job.submitted_at, job.losses = self._steps.clock(), 0
        self._steps.enqueue(job, "retry asked for")
        return job

    def purge(self) -> int:
        """Drop all queued jobs. Return their number."""
        purged = list(self._steps.waiting)
        for job in purged:
            self._steps.stop(job, Status.CANCELLED, "purged")
            self._steps.forget(job)
        return len(purged)

    def drain_chunks(self, job: Job) -> list[object]:
        """Return what was streamed since the last call."""
        chunks = list(job.chunks)
        job.chunks.clear()
        return chunks
