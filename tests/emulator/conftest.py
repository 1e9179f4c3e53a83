"""One emulator for a module's tests, in a thread and with short times.

Each test opens its own endpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from emulator.endpoint import Endpoint
from emulator.rules import Retention, Rules
from emulator.server import Server

QUICK = Rules(
    run_limit=50_000,
    runsync_limit=100_000,
    chunk_limit=10_000,
    retention=Retention(run_s=300, runsync_s=60),
    sync_wait_range_s=(0.01, 300),
    execution_timeout_range_s=(0.01, 600),
    ttl_range_s=(0.01, 600),
    webhook_delays_s=(0.05, 0.05),
    poll_s=2,
    grace_s=5,
    tick_s=0.01,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An emulator that takes any key."""
    with Server(rules=QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    """A client with a key."""
    with httpx2.Client(
        base_url=server.base_url, headers={"Authorization": "Bearer any"}, timeout=120
    ) as client:
        yield client


class Caller:
    """A client of one endpoint."""

    def __init__(self, http: httpx2.Client, endpoint: Endpoint) -> None:
        self._http, self._endpoint = http, endpoint
        self.url = f"{http.base_url}{endpoint.name}"

    def post(self, route: str, body: object = None, **query: float) -> httpx2.Response:
        """POST to the endpoint."""
        return self._http.post(f"/{self._endpoint.name}/{route}", json=body, params=query)

    def get(self, route: str) -> httpx2.Response:
        """GET from the endpoint."""
        return self._http.get(f"/{self._endpoint.name}/{route}")

    def run(self, job_input: object, **more: object) -> str:
        """Submit a job that must be accepted. Return its id."""
        answer = self.post("run", {"input": job_input, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def status(self, job_id: str) -> dict[str, Any]:
        """Return what `/status` says."""
        answer = self.get(f"status/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, job_id: str, *statuses: str, timeout_s: float = 120) -> dict[str, Any]:
        """Poll until the job has one of these statuses, by default a final one."""
        wanted = statuses or ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")
        return until(lambda: (job := self.status(job_id))["status"] in wanted and job, timeout_s)


def until(look: Callable[[], Any], timeout_s: float = 120) -> Any:
    """Look again and again until there is something, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return seen
