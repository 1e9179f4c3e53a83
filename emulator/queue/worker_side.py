"""The workers' side of the queue."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from emulator.job import MISSING, Job, Status
from emulator.queue.steps import Steps

UNCLAIMED_PINGS = 2
"""A job that its worker never claimed is lost after this many pings without the job's id."""
_ENDED_FROM_OUTSIDE = (Status.CANCELLED, Status.TIMED_OUT)


class WorkerSide:
    """Everything that workers can do with jobs, and the effect of losing a worker."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def take(self, worker: str, most: int = 1) -> list[Job]:
        """Hand out the jobs that have waited longest. Those of low priority come last."""
        waiting = sorted(self._steps.waiting, key=lambda job: job.policy.low_priority)
        for job in waiting[:most]:
            self._steps.hand_out(job, worker)
        return waiting[:most]

    def progress(self, job_id: str, worker: str, output: object) -> bool:
        """Keep a progress update. Return False if the worker does not hold the job."""
        job = self._steps.held_job(job_id, worker)
        if job:
            job.claimed, job.output = True, output
        return job is not None

    def chunk(self, job_id: str, worker: str, output: object) -> bool:
        """Keep a piece of a stream. Return False if the worker does not hold the job."""
        job = self._steps.held_job(job_id, worker)
        if job:
            job.claimed = True
            job.chunks.append(output)
        return job is not None

    def finish(self, job_id: str, worker: str, body: dict[str, Any]) -> bool:
        """End a job with its worker's result. Return False if the worker does not hold it.

        The platform loses an error that is not a string: the job is COMPLETED without output.
        """
        job = self._steps.held_job(job_id, worker)
        if job is None:
            return False
        error = body.get("error")
        job.output = body.get("output", MISSING)
        if isinstance(error, str):
            job.error = error
            self._steps.end(job, Status.FAILED, "the handler failed")
            return True
        if error is not None:
            job.output = MISSING
        self._steps.end(job, Status.COMPLETED, "result posted")
        return True

    def refuse_result(self, job_id: str, worker: str) -> bool:
        """End a job whose result is over the limit: COMPLETED without output, as on the platform.

        Return False if the worker does not hold the job.
        """
        job = self._steps.held_job(job_id, worker)
        if job:
            job.output = MISSING
            self._steps.end(job, Status.COMPLETED, "the result was over the limit")
        return job is not None

    def reject(self, job_id: str, worker: str) -> None:
        """Take back a job that its worker did not accept."""
        if job := self._steps.held_job(job_id, worker):
            self._steps.lose(job, "its worker rejected it")

    def reopen(self, job_id: str, output: object) -> None:
        """Show a finished job as running again, as a late progress update once did."""
        job = self._steps.get(job_id)
        if job and job.status.final:
            job.output = output
            self._steps.reopen(job, "reopened by a late progress update")

    def stops(self, worker: str) -> list[str]:
        """Return the jobs that a worker must stop and has not heard of yet."""
        return self._steps.stops.pop(worker, [])

    def ping(self, worker: str, job_ids: Collection[str], settle_s: float) -> list[Job]:
        """Compare the jobs that a worker names with those it was handed. Return the lost ones.

        A job may be missing for `settle_s` after its hand-out.
        """
        self._repeat_stops(worker, job_ids)
        lost = []
        for job in self._steps.held(worker):
            if job.id in job_ids:
                job.claimed = True
            elif self._counts_as_lost(job, settle_s):
                lost.append(job)
        for job in lost:
            self._steps.lose(job, "its worker never held it")
        return lost

    def lose_worker(self, worker: str, cause: str) -> list[Job]:
        """Take back the jobs of a vanished worker, and return them."""
        self._steps.stops.pop(worker, None)
        lost = self._steps.held(worker)
        for job in lost:
            self._steps.lose(job, cause)
        return lost

    def _repeat_stops(self, worker: str, job_ids: Collection[str]) -> None:
        """Stop again what was ended and still runs.

        The SDK drops a stop that comes before the job's first step.
        """
        jobs = [job for job_id in job_ids if (job := self._steps.get(job_id))]
        ended = [
            job.id for job in jobs if job.worker == worker and job.status in _ENDED_FROM_OUTSIDE
        ]
        if ended:
            self._steps.stops[worker] = ended

    def _counts_as_lost(self, job: Job, settle_s: float) -> bool:
        """Count a ping without this job."""
        handed_at = job.handed_at
        if job.claimed or handed_at is None or self._steps.clock() - handed_at <= settle_s:
            return False
        job.unclaimed_pings += 1
        return job.unclaimed_pings >= UNCLAIMED_PINGS
