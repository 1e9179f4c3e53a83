"""Faults of jobs: what can go wrong behind the API, with a job or with the worker that has it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal, Protocol

from emulator.job import Job
from emulator.queue import Queue

Moment = Literal["hand-out", "result", "finished"]
"""When a job can be struck: before its worker gets it, before its result is kept, after."""


class Behind(Protocol):
    """The part of an endpoint behind the API, as far as a fault reaches it."""

    @property
    def queue(self) -> Queue:
        """The endpoint's jobs."""
        ...

    def drain_holder(self, job: Job) -> None:
        """Ask the worker that holds a job to end."""
        ...

    def kill_holder(self, job: Job, after_s: float) -> None:
        """End the worker that holds a job a little later, if it then still has this attempt."""
        ...


class JobFault(Protocol):
    """Something that goes wrong with one job."""

    @property
    def moment(self) -> Moment:
        """When it strikes."""
        ...

    async def strike(self, job: Job, behind: Behind) -> None:
        """Spoil the job. Its worker still holds it, unless the moment is `finished`."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerKilled:
    """The job's worker is killed while it has the job."""

    after_s: float = 0.0
    moment: Moment = field(default="hand-out", init=False)

    async def strike(self, job: Job, behind: Behind) -> None:
        """Kill the worker a little later."""
        behind.kill_holder(job, self.after_s)


@dataclass(frozen=True, slots=True)
class HandOutAfterSigterm:
    """The worker is asked to end, and then the poll that it still holds open brings it the job.

    The SDK never runs such a job.
    """

    lead_s: float = 0.3
    """Longer than the SDK's loop needs to see the signal (0.1 s)."""
    moment: Moment = field(default="hand-out", init=False)

    async def strike(self, job: Job, behind: Behind) -> None:
        """End the worker first."""
        behind.drain_holder(job)
        await asyncio.sleep(self.lead_s)


@dataclass(frozen=True, slots=True)
class ResultOverLimit:
    """The result counts as too large, whatever its size.

    The worker gets 400, the client reads COMPLETED without output.
    """

    moment: Moment = field(default="result", init=False)

    async def strike(self, job: Job, behind: Behind) -> None:
        """Refuse the result."""
        behind.queue.workers.refuse_result(job.id, job.worker or "")


@dataclass(frozen=True, slots=True)
class LateProgress:
    """A progress update arrives after the result.

    If `reopens`, the job then stays IN_PROGRESS, as it once did on the platform.
    """

    reopens: bool = False
    moment: Moment = field(default="finished", init=False)

    async def strike(self, job: Job, behind: Behind) -> None:
        """Post the update."""
        update = {"stage": "late", "percent": 50}
        behind.queue.workers.progress(job.id, job.worker or "", update)
        if self.reopens:
            behind.queue.workers.reopen(job.id, update)
