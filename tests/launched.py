"""Real worker processes behind the emulator: what they post, and what they print."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.job import Job
from emulator.rules import Rules
from emulator.scaler import Bounds
from emulator.scripted import Scripted
from emulator.server import Server
from emulator.worker_process import WorkerProcess
from emulator.workers import Worker

RULES = Rules(poll_s=1, grace_s=60, ping_timeout_s=600)
"""A short poll lets an idle worker end soon, and a busy machine may delay pings."""
Post = dict[str, Any]
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that is gone."""

    exit_code: int | None
    log: str


class Launched:
    """An endpoint with one real worker, which is replaced when it ends.

    The tests call its jobs by names of their own.
    """

    def __init__(self, server: Server, module: str, folder: Path, **environment: str) -> None:
        self.jobs: dict[str, Job] = {}
        self._server, self._requests = server, Scripted()
        self._endpoint = server.launch(
            f"launched{next(_NUMBERS)}",
            module,
            folder,
            environment={"HOME": str(folder), "HF_HUB_OFFLINE": "1", **environment},
            bounds=Bounds(1, 1),
            rules=RULES,
            faults=self._requests,
        )

    @property
    def log(self) -> str:
        """Everything that the workers have printed so far."""
        return "".join(_log(worker) for worker in self._endpoint.workers.ever)

    @property
    def exit_codes(self) -> set[int | None]:
        """The exit codes of all workers; None for one that runs."""
        return {worker.exit_code for worker in self._endpoint.workers.ever}

    def close(self) -> None:
        """End the worker as the platform does."""
        self._server.remove(self._endpoint.name)

    def submit(self, name: str, job_input: object, *, sync: bool = False) -> None:
        """Queue a job."""
        submit = self._endpoint.submit
        self.jobs[name] = self._server.call(lambda: submit(job_input, sync=sync))

    def cancel(self, name: str) -> None:
        """Cancel a job."""
        self._server.call(self._endpoint.cancel, self.jobs[name].id)

    def posts(self, name: str) -> list[Post]:
        """Return what the worker has posted about a job, progress and result."""
        posted = self._requests.of("job-done")
        return [post.body for post in posted if post.job_id == self.jobs[name].id]

    def result(self, name: str) -> Post:
        """Wait for the result of a job and return it as it was posted."""
        return self.wait(name, _has_result)[-1]

    def wait(
        self, name: str, ready: Callable[[list[Post]], bool], timeout_s: float = 180
    ) -> list[Post]:
        """Wait until the posts about a job are as wanted, and return them."""
        self._until(lambda: ready(self.posts(name)), f"the posts about {name}", timeout_s)
        return self.posts(name)

    def wait_for_log(self, text: str, timeout_s: float = 180) -> None:
        """Wait until the worker has printed a text."""
        self._until(lambda: text in self.log, repr(text), timeout_s)

    def wait_for_line(self, name: str, text: str, timeout_s: float = 180) -> None:
        """Wait until the SDK has printed a line about a job that begins with a text."""
        self.wait_for_log(f'{{"requestId": "{self.jobs[name].id}", "message": "{text}', timeout_s)

    def wait_for_end(self) -> Ended:
        """Wait until the first worker has ended by itself."""
        workers = self._endpoint.workers
        self._until(lambda: bool(workers.ever) and workers.ever[0].gone_at is not None, "the end")
        return Ended(workers.ever[0].exit_code, _log(workers.ever[0]))

    def _until(self, look: Callable[[], bool], wanted: str, timeout_s: float = 180) -> None:
        deadline = time.monotonic() + timeout_s
        while not look():
            failed = self._endpoint.workers.failed_starts and wanted != "the end"
            if failed or time.monotonic() > deadline:
                raise TimeoutError(f"no sign of {wanted}; the log:\n{self.log[-4000:]}")
            time.sleep(0.05)


@contextmanager
def launched(server: Server, module: str, folder: Path, **environment: str) -> Iterator[Launched]:
    """Run a worker; it ends with the context."""
    worker = Launched(server, module, folder, **environment)
    try:
        yield worker
    finally:
        worker.close()


def _log(worker: Worker) -> str:
    assert isinstance(worker.handle, WorkerProcess)
    return worker.handle.log_path.read_text(errors="replace")


def _has_result(posts: list[Post]) -> bool:
    return bool(posts) and posts[-1].get("status") != "IN_PROGRESS"
