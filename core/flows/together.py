"""Tasks side by side that succeed or fail together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from core.domain.watch import IsCancelled
from core.errors import Cancelled

Task = Callable[[], Awaitable[None]]

_LOOK_S = 0.1
"""Seconds between two looks whether the caller still wants the job."""


async def all_or_none(tasks: list[Task], cancelled: IsCancelled) -> None:
    """Run tasks side by side until all are done, one fails or the caller cancels.

    Stop the others in the last two cases, and raise the first cause once all have ended.
    """
    causes: list[Exception] = []

    async def run(task: Task) -> None:
        try:
            await task()
        except Exception as error:
            causes.append(error)
            everything.cancel_scope.cancel()

    async with anyio.create_task_group() as everything:
        everything.start_soon(run, partial(_raise_once, cancelled))
        async with anyio.create_task_group() as working:
            for task in tasks:
                working.start_soon(run, task)
        everything.cancel_scope.cancel()
    if causes:
        raise causes[0]


async def _raise_once(cancelled: IsCancelled) -> None:
    while not cancelled():
        await anyio.sleep(_LOOK_S)
    raise Cancelled("the job was cancelled while its endpoints worked")
