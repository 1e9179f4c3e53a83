"""The platform's side of the worker protocol on loopback, enough to run one real SDK worker process
against it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HOLD_S = 1.0
"""How long a take or stop poll is held open; a short hold lets an idle worker end soon after
SIGTERM.
"""


class Platform(ThreadingHTTPServer):
    """Hands out jobs, collects what workers post, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Protocol)
        self.jobs: queue.Queue[dict[str, Any]] = queue.Queue()
        self.stops: queue.Queue[str] = queue.Queue()
        self.posts: dict[str, list[dict[str, Any]]] = {}
        self.changed = threading.Condition()

    @property
    def environment(self) -> dict[str, str]:
        """What the platform sets for a worker."""
        base = f"http://127.0.0.1:{self.server_port}/v2/ep"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=SIM",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=SIM",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=SIM",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=SIM",
            "RUNPOD_AI_API_KEY": "loopback",
            "RUNPOD_POD_ID": "pod",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    def submit(self, job_id: str, job_input: object) -> None:
        """Queue one job."""
        self.posts[job_id] = []
        self.jobs.put({"id": job_id, "input": job_input})

    def result(self, job_id: str, timeout_s: float = 180) -> dict[str, Any]:
        """Wait for the job's final post."""
        return self.wait(
            job_id,
            lambda posts: bool(posts) and posts[-1].get("status") != "IN_PROGRESS",
            timeout_s,
        )[-1]

    def wait(self, job_id: str, ready: Any, timeout_s: float = 180) -> list[dict[str, Any]]:
        """Wait until the job's posts satisfy `ready`; returns them."""
        with self.changed:
            if not self.changed.wait_for(lambda: ready(self.posts[job_id]), timeout_s):
                raise TimeoutError(f"{job_id}: {self.posts[job_id]}")
            return list(self.posts[job_id])

    def record(self, job_id: str, post: dict[str, Any]) -> None:
        """Keep what a worker posted."""
        with self.changed:
            self.posts.setdefault(job_id, []).append(post)
            self.changed.notify_all()


class _Protocol(BaseHTTPRequestHandler):
    server: Platform
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        route = urlsplit(self.path).path.split("/")[3]
        if route.startswith("job-take"):
            self._poll(self.server.jobs, route.endswith("batch"))
        elif route == "job-stop":
            self._poll_stop()
        else:
            self._reply(200, {})

    def do_POST(self) -> None:
        job_id = unquote(urlsplit(self.path).path.split("/")[-1])
        self.server.record(job_id, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._reply(200, {})

    def _poll(self, jobs: queue.Queue[dict[str, Any]], batch: bool) -> None:
        try:
            job = jobs.get(timeout=HOLD_S)
        except queue.Empty:
            self._reply(204, None)
        else:
            self._reply(200, [job] if batch else job)

    def _poll_stop(self) -> None:
        try:
            self._reply(200, {"jobsToStop": [self.server.stops.get(timeout=HOLD_S)]})
        except queue.Empty:
            self._reply(204, None)

    def _reply(self, status: int, body: object) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def platform() -> Iterator[Platform]:
    """A platform on a free loopback port."""
    with Platform() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class Worker:
    """One real worker process and what it printed."""

    def __init__(self, module: str, log: Path, *arguments: str, **environment: str) -> None:
        self.log_path = log
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNPOD_", "COV_"))
        }
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**inherited, "HOME": str(log.parent), "HF_HUB_OFFLINE": "1", **environment},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return self.log_path.read_text()

    def wait_for_log(self, text: str, timeout_s: float = 180) -> None:
        """Wait until the worker has printed a text."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"no {text!r} in the worker's log:\n{self.log[-4000:]}")
            time.sleep(0.1)

    def wait_until_up(self, url: str, timeout_s: float = 300) -> None:
        """Wait until the local API of a worker that was started with `--rp_serve_api` answers."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{url}/openapi.json", timeout=5).close()
                return
            time.sleep(0.2)
        raise TimeoutError(f"the worker does not answer:\n{self.log[-4000:]}")

    def stop(self) -> int:
        """Ask the worker to end as the platform does; returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=30)
        finally:
            with contextlib.suppress(
                ProcessLookupError
            ):  # the SDK's ping process outlives a worker that died
                os.killpg(self.process.pid, signal.SIGKILL)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
