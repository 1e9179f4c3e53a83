"""One endpoint: its queue, its workers, its faults, and everybody who waits for something."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from emulator import webhooks
from emulator.endpoint.changes import Changes
from emulator.endpoint.inside import Inside
from emulator.endpoint.staff import Staff
from emulator.endpoint.tasks import Tasks
from emulator.endpoint.worker_side import WorkerSide
from emulator.faults.job_faults import Moment
from emulator.faults.schedule import NoFaults, Schedule
from emulator.job import Job, Policy
from emulator.queue import Queue
from emulator.rules import Rules
from emulator.workers import Worker, Workers

__all__ = ["Endpoint", "Staff", "Tasks", "WorkerSide"]

log = logging.getLogger("emulator")


class Endpoint:
    """Whatever is behind `/v2/{name}`, as clients and the emulator's owner see it."""

    def __init__(
        self,
        name: str,
        rules: Rules | None = None,
        faults: Schedule | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.rules, self.clock = name, rules or Rules(), clock
        self.faults: Schedule = faults or NoFaults()
        """May be exchanged at any time."""
        self.requests: Counter[str] = Counter()
        """Requests by route, including those that met a fault."""
        self.webhooks: list[tuple[str, bool]] = []
        """Job ids, and whether anybody took the webhook."""
        self.queue = Queue(clock, self.rules.retention, self._job_ended)
        self.workers = Workers(clock, lambda worker_id: bool(self.queue.held(worker_id)))
        self.tasks, self.changes = Tasks(name), Changes()
        self._inside = Inside(
            name, self.rules, clock, self.queue, self.workers, self.tasks, self.changes
        )
        self.staff = Staff(self._inside)
        self.worker_side = WorkerSide(self._inside, self.staff, self._strike)

    @property
    def closing(self) -> bool:
        """Whether the endpoint takes no more workers."""
        return self._inside.closing

    def open(self) -> None:
        """Begin to watch the time. Call it on the event loop."""
        self.tasks.spawn(self._tick())

    async def close(self) -> None:
        """End all workers, politely at first, and everything that waits."""
        self._inside.closing = True
        self.changes.wake()
        while self.workers.starting or self.workers.present():
            for worker in self.workers.present():
                self.staff.drain(worker)
            await self.changes.next(self.rules.tick_s)
        await self.tasks.cancel_all()

    def submit(
        self,
        job_input: object,
        policy: Policy | None = None,
        *,
        sync: bool = False,
        webhook: str | None = None,
    ) -> Job:
        """Queue a job."""
        job = self.queue.clients.submit(job_input, policy, sync=sync, webhook=webhook)
        self.changes.act()
        return job

    def find(self, job_id: str) -> Job | None:
        """Return a job that clients may see now."""
        self.queue.sweep()
        return self.queue.get(job_id)

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job. Its worker hears of it by its stop channel."""
        self.queue.sweep()
        job = self.queue.clients.cancel(job_id)
        self.changes.act()
        return job

    def retry(self, job_id: str) -> Job | None:
        """Queue an ended job again. Return None if it cannot be retried."""
        job = self.queue.clients.retry(job_id)
        self.changes.act()
        return job

    def purge(self) -> int:
        """Drop all queued jobs. Return their number."""
        purged = self.queue.clients.purge()
        self.changes.act()
        return purged

    async def final(self, job: Job, wait_s: float) -> None:
        """Wait for a job's end, or for the time to pass."""
        await self.changes.until(
            lambda: job.status.final or None, wait_s, lambda: self._inside.closing
        )

    def drain(self, worker: Worker) -> None:
        """Ask a worker to end."""
        self.staff.drain(worker)

    def kill(self, worker_id: str) -> None:
        """End a worker at once."""
        self.staff.kill(worker_id)

    async def _tick(self) -> None:
        while True:
            if self.queue.sweep():
                self.changes.wake()
            self.staff.bury_silent()
            self.changes.follow()
            await asyncio.sleep(self.rules.tick_s)

    async def _strike(self, moment: Moment, job: Job) -> None:
        if fault := self.faults.job(moment):
            log.info("%s | %s: %r", self.name, job.id, fault)
            await fault.strike(job, self.staff)

    def _job_ended(self, job: Job) -> None:
        if job.webhook is not None:
            self.tasks.spawn(self._send_webhook(job.webhook, job))

    async def _send_webhook(self, url: str, job: Job) -> None:
        self.webhooks.append((job.id, await webhooks.send(url, job, self.rules)))
