"""Real workers: processes that run the SDK's loop, each in a session of its own.

When the worker ends, so does everything in its session.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator import worker_api
from emulator.endpoint import Endpoint

TAIL = 15

log = logging.getLogger("emulator")


class WorkerProcess:
    """One worker's process, and everything that it started."""

    def __init__(self, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self.pid, self.log_path = process.pid, log_path
        self._process = process
        self._end = asyncio.ensure_future(self._wait())

    def terminate(self) -> None:
        """Send SIGTERM to the worker alone, as a container's runtime does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to everything in its session."""
        self._kill_session()

    async def wait(self) -> int:
        """Wait for the worker's end. Return its exit code."""
        return await asyncio.shield(self._end)

    def tail(self) -> str:
        """Return the last lines that it printed."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-TAIL:])

    async def _wait(self) -> int:
        code = await self._process.wait()
        self._kill_session()  # the SDK's ping process outlives a worker that died
        return code

    def _kill_session(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class ProcessLauncher:
    """Starts `python -m module` with the platform's variables and the endpoint's own."""

    module: str
    url: str
    """The emulator's address, without a path."""
    log_folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """In addition to the platform's. `{emulator}` in a value becomes the address."""

    async def launch(self, endpoint: Endpoint, worker_id: str) -> WorkerProcess:
        """Start one. Its output goes to a file of its own."""
        self.log_folder.mkdir(parents=True, exist_ok=True)
        log_path = self.log_folder / f"{endpoint.name}-{worker_id}.log"
        with log_path.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *_end_with_us(),
                sys.executable,
                "-m",
                self.module,
                env=self._environment(endpoint, worker_id),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        worker = WorkerProcess(process, log_path)
        endpoint.tasks.spawn(self._report_failure(endpoint, worker_id, worker))
        return worker

    def _environment(self, endpoint: Endpoint, worker_id: str) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNPOD_", "COV_"))
        }
        platform = worker_api.environment(self.url, endpoint.name, worker_id, endpoint.rules)
        own = {
            name: value.replace("{emulator}", self.url) for name, value in self.environment.items()
        }
        return {**inherited, "PYTHONUNBUFFERED": "1", **platform, **own}

    async def _report_failure(
        self, endpoint: Endpoint, worker_id: str, process: WorkerProcess
    ) -> None:
        code = await process.wait()
        if code > 0:
            log.error(
                "%s | worker %s failed with code %d; its last words:\n%s",
                endpoint.name,
                worker_id,
                code,
                process.tail(),
            )


def _end_with_us() -> list[str]:
    """Return a prefix by which a worker dies with the emulator, if the system has one.

    A worker that outlives the emulator spins.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
