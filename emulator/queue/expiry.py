"""The effect of time on the queue."""

from __future__ import annotations

from emulator.job import Job, Status
from emulator.queue.steps import Steps
from emulator.rules import Retention


class Expiry:
    """Stops jobs that take too long and forgets jobs that are too old."""

    def __init__(self, steps: Steps, retention: Retention) -> None:
        self._steps, self._retention = steps, retention

    def sweep(self) -> bool:
        """Apply timeouts, ttl and retention as of now. Return whether anything changed."""
        now = self._steps.clock()
        changed = [self._expire(job, now) for job in self._steps.known()]
        return any(changed)

    def _expire(self, job: Job, now: float) -> bool:
        if now - job.submitted_at >= job.policy.ttl_s:
            if not job.status.final:
                self._steps.stop(job, Status.TIMED_OUT, "ttl over")
            self._steps.forget(job)
        elif _overdue(job, now):
            job.error = "executionTimeout exceeded"
            self._steps.stop(job, Status.TIMED_OUT, "executionTimeout over")
        elif job.finished_at is not None and now - job.finished_at >= self._kept_s(job):
            self._steps.forget(job)
        else:
            return False
        return True

    def _kept_s(self, job: Job) -> float:
        return self._retention.runsync_s if job.sync else self._retention.run_s


def _overdue(job: Job, now: float) -> bool:
    return (
        job.status is Status.IN_PROGRESS
        and job.handed_at is not None
        and now - job.handed_at >= job.policy.execution_timeout_s
    )
