"""The jobs of an endpoint in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from emulator.job import Job, Status


@dataclass(frozen=True, slots=True)
class Figures:
    """The jobs as `/health` counts them."""

    completed: int
    failed: int
    in_progress: int
    in_queue: int
    retried: int

    @classmethod
    def of(cls, jobs: Iterable[Job], retried: int) -> Figures:
        """Count these jobs."""
        count = Counter(job.status for job in jobs)
        return cls(
            completed=count[Status.COMPLETED],
            failed=count[Status.FAILED] + count[Status.TIMED_OUT],
            in_progress=count[Status.IN_PROGRESS],
            in_queue=count[Status.IN_QUEUE],
            retried=retried,
        )
