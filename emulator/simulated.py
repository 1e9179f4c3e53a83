"""Workers without a process: coroutines that behave like the SDK's loop, for quick tests."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from emulator.endpoint import Endpoint

KILLED = -9


@dataclass(frozen=True, slots=True)
class Line:
    """A simulated handler's line to the platform."""

    endpoint: Endpoint
    worker_id: str
    job_id: str

    async def progress(self, value: object) -> None:
        """Post progress, as `runpod.serverless.progress_update` does."""
        await self.post({"status": "IN_PROGRESS", "output": value})

    async def post(self, body: dict[str, Any]) -> None:
        """Post anything to job-done."""
        data = json.dumps(body, ensure_ascii=False).encode()
        await self.endpoint.worker_side.result(self.worker_id, self.job_id, data)

    def stream(self, value: object) -> None:
        """Post a piece of a stream, as the SDK does with each value of a generator."""
        data = json.dumps({"output": value}).encode()
        self.endpoint.worker_side.chunk(self.worker_id, self.job_id, data)


Handler = Callable[[dict[str, Any], Line], Awaitable[object]]
"""Called with the job as a worker gets it. Returns what an SDK handler returns, possibly with
`error` and `refresh_worker` in it.
"""


class SimulatedWorker:
    """One worker: takes jobs, runs them side by side, and stops them or ends on demand.

    As with the SDK, a job that comes after `terminate` is silently dropped, a stopped job posts
    nothing, and a job without input is refused.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        handler: Handler,
        *,
        worker_id: str = "",
        concurrency: int = 1,
        cold_start_s: float = 0.0,
    ) -> None:
        self.id = worker_id or uuid.uuid4().hex[:12]
        self._endpoint, self._handler = endpoint, handler
        self._concurrency, self._cold_start_s = concurrency, cold_start_s
        self._running: dict[str, asyncio.Task[None]] = {}
        self._terminated = False
        self._code = 0
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop().create_task(self._live())
        self._loop.add_done_callback(lambda _: self._ended.set())

    def terminate(self) -> None:
        """Finish the running jobs, take no more."""
        self._terminated = True

    def kill(self) -> None:
        """End at once."""
        self._code = KILLED
        self._loop.cancel()

    async def wait(self) -> int:
        """Wait for the end. Return the exit code."""
        await self._ended.wait()
        return self._code

    async def _live(self) -> None:
        stops = asyncio.ensure_future(self._listen())
        try:
            await asyncio.sleep(self._cold_start_s)
            while not self._terminated:
                await self._take()
            if self._running:
                await asyncio.wait(self._running.values())
        finally:
            left = [stops, *self._running.values()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _take(self) -> None:
        free = self._concurrency - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            return
        await asyncio.sleep(0)  # a poll that is not held must not starve the loop
        for job in await self._endpoint.worker_side.take(self.id, free):
            if "input" not in job.payload():
                self._endpoint.worker_side.reject(self.id, job.id)
            elif not self._terminated:
                task = asyncio.ensure_future(self._run(job.payload()))
                self._running[job.id] = task
                task.add_done_callback(partial(self._forget, job.id))

    def _forget(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self._running.get(job_id) is task:
            del self._running[job_id]

    async def _listen(self) -> None:
        while True:
            for job_id in await self._endpoint.worker_side.stops(self.id):
                if task := self._running.get(job_id):
                    task.cancel()
            # The poll of a worker that is on its way out or not yet known is not held.
            await asyncio.sleep(0.01)

    async def _run(self, job: dict[str, Any]) -> None:
        line = Line(self._endpoint, self.id, job["id"])
        try:
            body = _result(await self._handler(job, line))
        except Exception as error:
            body = {"error": f"{type(error).__name__}: {error}"}
        await line.post(body)


def _result(returned: object) -> dict[str, Any]:
    """Return the body that the SDK posts for what a handler returned."""
    if not isinstance(returned, dict):
        return {"output": returned}
    output = dict(returned)
    error, refresh = output.pop("error", None), output.pop("refresh_worker", None)
    body: dict[str, Any] = {"output": output} if output else {}
    if error:
        body["error"] = error
    if refresh:
        body["stopPod"] = True
    return body


@dataclass(frozen=True, slots=True)
class SimulatedLauncher:
    """Starts simulated workers for the scaler."""

    handler: Handler
    concurrency: int = 1
    cold_start_s: float = 0.0

    async def launch(self, endpoint: Endpoint, worker_id: str) -> SimulatedWorker:
        """Start one."""
        return SimulatedWorker(
            endpoint,
            self.handler,
            worker_id=worker_id,
            concurrency=self.concurrency,
            cold_start_s=self.cold_start_s,
        )
