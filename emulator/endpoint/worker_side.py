"""The workers' side of an endpoint: the protocol that their SDK speaks, without HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeVar

from emulator.endpoint.inside import Inside
from emulator.endpoint.staff import Staff
from emulator.faults.job_faults import Moment
from emulator.job import Job
from emulator.workers import Worker

log = logging.getLogger("emulator")

_Found = TypeVar("_Found")
Strike = Callable[[Moment, Job], Awaitable[None]]
"""Called when a job comes to a moment, so that a fault can spoil it."""


class WorkerSide:
    """Hands out jobs and keeps what workers say about them."""

    def __init__(self, inside: Inside, staff: Staff, strike: Strike) -> None:
        self._inside, self._staff, self._strike = inside, staff, strike

    async def take(self, worker_id: str, most: int = 1) -> list[Job]:
        """Hold a worker's poll until there are jobs for it.

        Return none if none come in time, or if the worker must end.
        """
        worker = self._staff.arrive(worker_id)
        if worker is None:
            return []
        queue = self._inside.queue.workers
        jobs = await self._poll(worker, lambda: queue.take(worker_id, most)) or []
        for job in jobs:
            await self._strike("hand-out", job)
        return jobs

    async def stops(self, worker_id: str) -> list[str]:
        """Hold a worker's stop channel until it must stop a job."""
        worker = self._staff.known(worker_id)
        if worker is None:
            return []
        queue = self._inside.queue.workers
        return await self._poll(worker, lambda: queue.stops(worker_id)) or []

    async def result(self, worker_id: str, job_id: str, body: bytes) -> HTTPStatus:
        """Keep a post to job-done: a result or, if marked as such, progress.

        Ignore what comes too late.
        """
        posted = _parse(body)
        if posted is None:
            return HTTPStatus.BAD_REQUEST
        if posted.get("status") == "IN_PROGRESS":
            self._inside.queue.workers.progress(job_id, worker_id, posted.get("output"))
            return HTTPStatus.OK
        status = await self._finish(worker_id, job_id, posted, len(body))
        if worker := self._inside.workers.get(worker_id):
            self._rest(worker, replace=bool(posted.get("stopPod")))
        self._inside.changes.act()
        return status

    def chunk(self, worker_id: str, job_id: str, body: bytes) -> HTTPStatus:
        """Keep one piece of a stream."""
        posted = _parse(body)
        if posted is None or len(body) > self._inside.rules.chunk_limit:
            return HTTPStatus.BAD_REQUEST
        self._inside.queue.workers.chunk(job_id, worker_id, posted.get("output"))
        self._inside.changes.wake()
        return HTTPStatus.OK

    def reject(self, worker_id: str, job_id: str) -> None:
        """Take back a job that the worker did not accept."""
        self._inside.queue.workers.reject(job_id, worker_id)

    def ping(self, worker_id: str, job_ids: list[str]) -> None:
        """Note that a worker lives, and which jobs it holds."""
        worker = self._inside.workers.get(worker_id)
        if worker is None:  # a worker's ping process may outlive it
            return
        worker.last_ping_at = self._inside.clock()
        settle_s = self._inside.rules.settle_s
        for job in self._inside.queue.workers.ping(worker_id, job_ids, settle_s):
            log.warning("%s | worker %s never held %s", self._inside.name, worker_id, job.id)
        self._inside.changes.act()

    async def _finish(
        self, worker_id: str, job_id: str, posted: dict[str, Any], size: int
    ) -> HTTPStatus:
        queue = self._inside.queue
        job = queue.get(job_id)
        if job is None or job not in queue.held(worker_id):
            return HTTPStatus.OK
        rules = self._inside.rules
        if size > (rules.runsync_limit if job.sync else rules.run_limit):
            queue.workers.refuse_result(job_id, worker_id)
        await self._strike("result", job)
        if job.status.final:
            return HTTPStatus.BAD_REQUEST
        queue.workers.finish(job_id, worker_id, posted)
        await self._strike("finished", job)
        return HTTPStatus.OK

    def _rest(self, worker: Worker, *, replace: bool) -> None:
        """Note that a worker has finished a job, and replace it if it asks for that."""
        worker.idle_since = self._inside.clock()
        if replace:
            log.info("%s | worker %s asked to be replaced", self._inside.name, worker.id)
            self._staff.drain(worker)

    async def _poll(self, worker: Worker, look: Callable[[], list[_Found]]) -> list[_Found] | None:
        def must_end() -> bool:
            return self._inside.closing or worker.draining or worker.gone_at is not None

        def found() -> list[_Found] | None:
            return None if self._inside.closing or worker.draining else (look() or None)

        worker.polls += 1
        try:
            return await self._inside.changes.until(found, self._inside.rules.poll_s, must_end)
        finally:
            worker.polls -= 1


def _parse(body: bytes) -> dict[str, Any] | None:
    """Return a worker's JSON object; None for anything else, NaN included."""
    try:
        posted = json.loads(body, parse_constant=_refuse)
    except ValueError:
        return None
    return posted if isinstance(posted, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
