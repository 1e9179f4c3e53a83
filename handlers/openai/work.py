"""A flow's work on a thread, for as long as somebody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from core.domain.timeline import Diarization, Transcript
from core.domain.watch import Heard, Watch
from core.errors import WorkerError
from core.flows.flow import Flow
from handlers.openai.errors import Gone

_Result = TypeVar("_Result")


class Worker:
    """Runs a flow on threads, one for each turn."""

    def __init__(self, flow: Flow[Any], threads: int, on_broken: Callable[[], None]) -> None:
        """`on_broken` is called when the process can no longer be trusted."""
        self._flow, self._on_broken = flow, on_broken
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def run(self, request: Any, heard: Heard | None) -> Transcript:
        """Do the work. If this is cancelled, stop it and wait until its thread is free."""
        cancelled = threading.Event()
        watch = Watch(cancelled=cancelled.is_set, heard=heard)
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, self._flow.run, request, watch)
        running.add_done_callback(self._look)
        try:
            return _transcript(await asyncio.shield(running))
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([running])
            raise

    def _look(self, done: asyncio.Future[Transcript | Diarization]) -> None:
        """Look at an outcome, whether somebody is left to be told or not."""
        if done.cancelled():
            return
        outcome = done.exception() or done.result()
        if isinstance(outcome, Transcript | WorkerError) and outcome.refresh_worker:
            self._on_broken()


def _transcript(result: Transcript | Diarization) -> Transcript:
    if not isinstance(result, Transcript):
        raise TypeError("the flow has no words")
    return result


async def while_wanted(
    work: Coroutine[Any, Any, _Result], hung_up: Coroutine[Any, Any, None]
) -> _Result:
    """Do work until `hung_up` ends; then cancel the work, wait for its end and raise Gone."""
    working = asyncio.ensure_future(work)
    hanging_up = asyncio.ensure_future(hung_up)
    try:
        await asyncio.wait([working, hanging_up], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        working.cancel()
        hanging_up.cancel()
        await asyncio.wait([working, hanging_up])
