"""Work on the network with one deadline for the whole of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.domain.watch import IsCancelled
from core.errors import Cancelled, WorkerError

_POLL_S = 0.1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Task(Generic[_T]):
    """Something that takes long and can be stopped."""

    name: str
    """Its thread's."""
    doing: str
    """What was going on, if the job is cancelled meanwhile."""
    work: Callable[[], _T]
    stop: Callable[[], None]
    """Makes the work end soon, from another thread; called in any case."""
    late: Callable[[], WorkerError]
    """Returns the error of a missed deadline."""


def run_within(timeout_s: float, task: Task[_T], cancelled: IsCancelled) -> _T:
    """Run a task in a thread of its own; leave it behind, stopped, at the deadline.

    No timeout of a socket library is total: each holds for one read, and a host that drips never
    runs into it. Raise the task's own errors, Cancelled, or `task.late()`.
    """
    done: Future[_T] = Future()
    deadline = time.monotonic() + timeout_s
    threading.Thread(target=_fulfil, args=(done, task.work), name=task.name, daemon=True).start()
    try:
        while not wait([done], timeout=min(_POLL_S, max(0.0, deadline - time.monotonic()))).done:
            if cancelled():
                raise Cancelled(f"the job was cancelled while {task.doing}")
            if time.monotonic() >= deadline:
                raise task.late()
    finally:
        task.stop()
    return done.result()


def _fulfil(promise: Future[_T], work: Callable[[], _T]) -> None:
    try:
        result = work()
    except BaseException as error:
        promise.set_exception(error)
    else:
        promise.set_result(result)
