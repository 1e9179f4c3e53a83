"""One endpoint: its queue, its workers, its faults, and who waits for what.

Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

from emulator import webhooks
from emulator.faults import Moment, NoFaults, Schedule
from emulator.job import Job, Policy
from emulator.queue import Queue
from emulator.rules import Rules
from emulator.workers import Handle, Worker, Workers

log = logging.getLogger("emulator")

_Found = TypeVar("_Found")


class Endpoint:
    """What stands behind `/v2/{name}`."""

    def __init__(
        self,
        name: str,
        rules: Rules | None = None,
        faults: Schedule | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.rules = rules or Rules()
        self.faults: Schedule = faults or NoFaults()
        """May be exchanged at any time."""
        self.clock = clock
        self.queue = Queue(clock, self.rules.retention, self._job_ended)
        self.workers = Workers(clock, lambda worker_id: bool(self.queue.held(worker_id)))
        self.requests: Counter[str] = Counter()
        """Requests by route, those that met a fault too."""
        self.webhooks: list[tuple[str, bool]] = []
        """Job ids and whether somebody took the webhook."""
        self.each_tick: list[Callable[[], None]] = []
        """Called at every tick, for whoever wants to act in time: the scaler."""
        self.closing = False
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    # Running.

    def open(self) -> None:
        """Begin to watch the time; called on the event loop."""
        self.spawn(self._tick())

    async def close(self) -> None:
        """End all workers, first by asking, and all that waits."""
        self.closing = True
        self.changed()
        while self.workers.starting or self.workers.present():
            for worker in self.workers.present():
                self.drain(worker)
            await _wait(self._changed, self.rules.tick_s)
        for timer in self._timers:
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something until it ends or the endpoint closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)
        return task

    def later(self, seconds: float, act: Callable[..., None], *arguments: object) -> None:
        """Call something after a while, unless the endpoint is closed by then."""
        self._timers.add(asyncio.get_running_loop().call_later(seconds, act, *arguments))

    def changed(self) -> None:
        """Wake everybody who waits for anything here."""
        self._changed.set()
        self._changed = asyncio.Event()

    # What clients do.

    def submit(
        self,
        job_input: object,
        policy: Policy | None = None,
        *,
        sync: bool = False,
        webhook: str | None = None,
    ) -> Job:
        """Queue a job."""
        job = self.queue.submit(job_input, policy, sync=sync, webhook=webhook)
        self._act()
        return job

    def find(self, job_id: str) -> Job | None:
        """A job that clients may see now."""
        self.queue.sweep()
        return self.queue.get(job_id)

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job; its worker hears of it by its stop channel."""
        self.queue.sweep()
        job = self.queue.cancel(job_id)
        self._act()
        return job

    def retry(self, job_id: str) -> Job | None:
        """Queue an ended job anew; None where that is not possible."""
        job = self.queue.retry(job_id)
        self._act()
        return job

    def purge(self) -> int:
        """Drop what waits."""
        purged = self.queue.purge()
        self._act()
        return purged

    async def final(self, job: Job, wait_s: float) -> None:
        """Wait for a job's end, or for the time to pass."""
        await self._until(lambda: job.status.final or None, wait_s)

    # What workers do.

    async def take(self, worker_id: str, most: int = 1) -> list[Job]:
        """Hold a worker's poll until there are jobs for it; none where there are none in time, or
        the worker shall end.
        """
        worker = self._arrive(worker_id)
        if worker is None:
            return []
        jobs = await self._poll(worker, lambda: self.queue.take(worker_id, most)) or []
        for job in jobs:
            await self._strike("hand-out", job)
        return jobs

    async def stops(self, worker_id: str) -> list[str]:
        """Hold a worker's stop channel until it shall stop a job."""
        worker = self._arrive(worker_id, ready=False)
        return (
            []
            if worker is None
            else await self._poll(worker, lambda: self.queue.stops(worker_id)) or []
        )

    async def result(self, worker_id: str, job_id: str, body: bytes) -> HTTPStatus:
        """Keep what a worker posts to job-done: a result or, marked as such, progress; what is too
        late is ignored.
        """
        posted = _parse(body)
        if posted is None:
            return HTTPStatus.BAD_REQUEST
        if posted.get("status") == "IN_PROGRESS":
            self.queue.progress(job_id, worker_id, posted.get("output"))
            return HTTPStatus.OK
        status = await self._finish(worker_id, job_id, posted, len(body))
        if worker := self.workers.get(worker_id):
            worker.idle_since = self.clock()
            if posted.get("stopPod"):
                log.info("%s | worker %s asked to be replaced", self.name, worker_id)
                self.drain(worker)
        self._act()
        return status

    async def _finish(
        self, worker_id: str, job_id: str, posted: dict[str, Any], size: int
    ) -> HTTPStatus:
        job = self.queue.get(job_id)
        if job is None or job not in self.queue.held(worker_id):
            return HTTPStatus.OK
        if size > (self.rules.runsync_limit if job.sync else self.rules.run_limit):
            self.queue.refuse_result(job_id, worker_id)
        await self._strike("result", job)
        if job.status.final:
            return HTTPStatus.BAD_REQUEST
        self.queue.finish(job_id, worker_id, posted)
        await self._strike("finished", job)
        return HTTPStatus.OK

    def chunk(self, worker_id: str, job_id: str, body: bytes) -> HTTPStatus:
        """Keep one piece of a stream."""
        posted = _parse(body)
        if posted is None or len(body) > self.rules.chunk_limit:
            return HTTPStatus.BAD_REQUEST
        self.queue.chunk(job_id, worker_id, posted.get("output"))
        self.changed()
        return HTTPStatus.OK

    def ping(self, worker_id: str, job_ids: list[str]) -> None:
        """A worker says that it lives, and what it holds."""
        worker = self.workers.get(worker_id)
        if worker is None:  # a worker's ping process may outlive it
            return
        worker.last_ping_at = self.clock()
        for job in self.queue.ping(worker_id, job_ids, self.rules.settle_s):
            log.warning("%s | worker %s never held %s", self.name, worker_id, job.id)
        self._act()

    # What happens to workers.

    def attach(self, worker_id: str, handle: Handle) -> Worker:
        """A worker was started; from now on its end is noticed."""
        worker = self.workers.add(worker_id, handle)
        self.spawn(self._mind(worker, handle))
        self.changed()
        return worker

    def drain(self, worker: Worker) -> None:
        """Ask a worker to end: no more jobs for it, SIGTERM, and SIGKILL after the grace period."""
        if worker.draining:
            return
        worker.draining = True
        self.changed()
        if worker.handle is None:
            self._gone(worker, None, "it was sent away")
        else:
            worker.handle.terminate()
            self.later(self.rules.grace_s, self._kill_if_present, worker)

    def kill(self, worker_id: str) -> None:
        """End a worker at once."""
        worker = self.workers.get(worker_id)
        if worker and worker.handle:
            worker.handle.kill()
        elif worker:
            self._gone(worker, None, "it was killed")

    def kill_holder(self, job_id: str, attempt: int) -> None:
        """End the worker that has this attempt of a job, if it still has it."""
        job = self.queue.get(job_id)
        if job and job.worker and job.attempts == attempt and not job.status.final:
            self.kill(job.worker)

    def _kill_if_present(self, worker: Worker) -> None:
        if worker.gone_at is None and worker.handle:
            log.warning(
                "%s | worker %s did not end within %.0f s: killed",
                self.name,
                worker.id,
                self.rules.grace_s,
            )
            worker.handle.kill()

    async def _mind(self, worker: Worker, handle: Handle) -> None:
        code = await handle.wait()
        self._gone(worker, code, f"its worker ended with code {code}")

    def _gone(self, worker: Worker, code: int | None, cause: str) -> None:
        if worker.gone_at is not None:
            return
        self.workers.remove(worker, code)
        lost = self.queue.lose_worker(worker.id, cause)
        log.info(
            "%s | worker %s ended%s%s",
            self.name,
            worker.id,
            f" with code {code}" if code else "",
            f"; {len(lost)} back" if lost else "",
        )
        self._act()

    # Waiting.

    def _arrive(self, worker_id: str, *, ready: bool = True) -> Worker | None:
        known = self.workers.get(worker_id)
        if self.closing or (known and known.draining) or (known is None and not ready):
            return None
        if not ready:
            return known
        was_ready = known is not None and known.ready_at is not None
        worker = self.workers.arrive(worker_id)
        if not was_ready:
            log.info(
                "%s | worker %s is ready after %.1f s",
                self.name,
                worker_id,
                worker.cold_start_s or 0.0,
            )
            self.changed()
        return worker

    async def _poll(self, worker: Worker, look: Callable[[], _Found | None]) -> _Found | None:
        worker.polls += 1
        try:
            return await self._until(
                lambda: None if worker.draining or self.closing else (look() or None),
                self.rules.poll_s,
                worker,
            )
        finally:
            worker.polls -= 1

    async def _until(
        self, look: Callable[[], _Found | None], wait_s: float, worker: Worker | None = None
    ) -> _Found | None:
        """Look after every change, until there is something, the time is over, or the worker shall
        end.
        """
        deadline = asyncio.get_running_loop().time() + wait_s
        while (found := look()) is None:
            left = deadline - asyncio.get_running_loop().time()
            if (
                left <= 0
                or self.closing
                or (worker and (worker.draining or worker.gone_at is not None))
            ):
                return None
            await _wait(self._changed, left)
        return found

    # Time.

    async def _tick(self) -> None:
        while True:
            if self.queue.sweep():
                self.changed()
            self._bury_silent_workers()
            for act in self.each_tick:
                act()
            await asyncio.sleep(self.rules.tick_s)

    def _act(self) -> None:
        """Wake who waits, and let the number of workers follow at once."""
        self.changed()
        for act in self.each_tick:
            act()

    def _bury_silent_workers(self) -> None:
        for worker in self.workers.present():
            if (
                worker.last_ping_at is None
                or worker.polls
                or self.clock() - worker.last_ping_at < self.rules.ping_timeout_s
            ):
                continue
            log.warning("%s | worker %s is silent: given up", self.name, worker.id)
            if worker.handle:
                worker.handle.kill()
            self._gone(worker, None, "its worker missed its pings")

    async def _strike(self, moment: Moment, job: Job) -> None:
        if fault := self.faults.job(moment):
            log.info("%s | %s: %r", self.name, job.id, fault)
            await fault.strike(self, job)

    def _job_ended(self, job: Job) -> None:
        if job.webhook is not None:
            self.spawn(self._tell(job.webhook, job))

    async def _tell(self, url: str, job: Job) -> None:
        self.webhooks.append((job.id, await webhooks.tell(url, job, self.rules)))

    def _ended_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s | a task of the emulator failed", self.name, exc_info=error)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for of this Python can swallow a cancellation
            await event.wait()


def _parse(body: bytes) -> dict[str, Any] | None:
    """A worker's JSON object; None for anything else, NaN too."""
    try:
        posted = json.loads(body, parse_constant=_refuse)
    except ValueError:
        return None
    return posted if isinstance(posted, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
