"""The tasks and timers of one endpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("emulator")


class Tasks:
    """Runs things beside the endpoint until it closes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine until it ends or the endpoint closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def later(self, seconds: float, act: Callable[..., None], *arguments: object) -> None:
        """Call a function after a while, unless the endpoint is closed by then."""
        self._timers.add(asyncio.get_running_loop().call_later(seconds, act, *arguments))

    async def cancel_all(self) -> None:
        """End everything that runs or is due."""
        for timer in self._timers:
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s | a task of the emulator failed", self._name, exc_info=error)
