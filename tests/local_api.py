"""Workers behind the SDK's own local API, as the README starts one: no platform, one process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class LocalWorker:
    """One real worker process with `--rp_serve_api`."""

    def __init__(self, module: str, log: Path, **environment: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        address = ("--rp_serve_api", "--rp_api_host", "127.0.0.1", "--rp_api_port", str(port))
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *address],
                env={**_inherited(), "HOME": str(log.parent), "HF_HUB_OFFLINE": "1", **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_up(self, timeout_s: float = 300) -> None:
        """Wait until the API answers."""
        deadline = time.monotonic() + timeout_s
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{self.url}/openapi.json", timeout=5).close()
                return
            time.sleep(0.2)
        raise TimeoutError(f"the worker does not answer:\n{self._log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the worker and everything that it started."""
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _inherited() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RUNPOD_", "COV_"))
    }
