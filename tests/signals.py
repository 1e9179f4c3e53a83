"""Workers that are told to end, or just end, while they have a job: real processes behind the
emulator.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from emulator.endpoint import Endpoint
from emulator.job import Job, Policy, Status
from emulator.server import Server
from emulator.worker_process import WorkerProcess
from emulator.workers import Worker

How = Literal["drained", "SIGTERM", "SIGKILL"]
"""`drained`: SIGTERM from the platform, which then gives the worker no more jobs.

The signals alone come without its knowledge.
"""
POLICY = Policy(execution_timeout_s=1200, ttl_s=1200)
START_S = 600


@dataclass(frozen=True)
class Interrupted:
    """A job whose worker was interrupted, when it had ended."""

    job: Job
    worker: Worker
    """The one that had it first, and is gone."""

    @property
    def output(self) -> dict[str, Any]:
        """What the caller reads."""
        assert self.job.status is Status.COMPLETED, self.job.history
        assert isinstance(self.job.output, dict)
        return self.job.output


def interrupt(
    server: Server, endpoint: Endpoint, job_input: object, how: How, after_s: float
) -> Interrupted:
    """Submit a job, interrupt its worker some time after it got it, and wait until the job has
    ended and the worker is gone.

    A job that has ended by then is not counted; the next is interrupted after half the time.
    """
    job = server.call(endpoint.submit, job_input, POLICY)
    until(lambda: job.worker is not None, START_S, "nobody took the job")
    worker = next(worker for worker in endpoint.workers.ever if worker.id == job.worker)
    time.sleep(after_s)
    if job.status.final:
        return interrupt(server, endpoint, job_input, how, after_s / 2)
    assert isinstance(worker.handle, WorkerProcess)
    if how == "drained":
        server.call(endpoint.drain, worker)
    else:
        os.kill(worker.handle.pid, signal.Signals[how])
    until(lambda: job.status.final, START_S, "the job did not end")
    until(lambda: worker.gone_at is not None, START_S, "the worker did not end")
    return Interrupted(job, worker)


def until(look: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
