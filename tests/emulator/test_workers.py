"""Real workers: processes that run the SDK's own loop against the emulator.

Each start costs the SDK's import, so there are few.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from emulator import faults
from emulator.endpoint import Endpoint
from emulator.faults import Schedule, Script
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.worker_process import WorkerProcess
from tests.emulator.conftest import QUICK, Caller, until

numbers = itertools.count()
ALWAYS_ONE = Bounds(1, 1)
RULES = replace(QUICK, poll_s=10, grace_s=20, ping_interval_s=1, settle_s=2, ping_timeout_s=60)

Open = Callable[..., tuple[Caller, Endpoint]]


@pytest.fixture
def opened(server: Server, http: httpx2.Client, tmp_path: Path) -> Iterator[Open]:
    """Opens endpoints with echo workers, and closes them. No process of theirs is left."""
    names, pids = [], []

    def open_endpoint(
        bounds: Bounds = ALWAYS_ONE, schedule: Schedule | None = None, **environment: str
    ) -> tuple[Caller, Endpoint]:
        name = f"real{next(numbers)}"
        names.append(name)
        module = "tests.emulator.echo"
        endpoint = server.launch(
            name,
            module,
            tmp_path / "logs",
            environment=environment,
            bounds=bounds,
            rules=RULES,
            faults=schedule,
        )
        return Caller(http, endpoint), endpoint

    yield open_endpoint
    for name in names:
        pids += [process(worker).pid for worker in server.endpoints[name].workers.ever]
        server.remove(name)
    assert [running for running in psutil.process_iter() if session(running.pid) in pids] == []


def session(pid: int) -> int | None:
    """Return the process group of a process, if it still exists."""
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def process(worker: Any) -> WorkerProcess:
    """Return the process that a worker runs in."""
    assert isinstance(worker.handle, WorkerProcess)
    return worker.handle


def test_a_worker_lives_through_the_day(opened: Open, tmp_path: Path) -> None:
    """The first job starts it.

    It answers, fails, reports progress, is stopped, times out, is refreshed, and goes when it is
    idle.
    """
    client, endpoint = opened(Bounds(0, 1, idle_timeout_s=2))
    assert endpoint.workers.ever == []
    answered = client.wait(client.run({"mode": "echo", "text": "Grüße"}))
    assert answered["output"]["echo"]["text"] == "Grüße"
    first = endpoint.workers.ever[0]
    assert answered["output"]["pid"] == process(first).pid
    assert answered["delayTime"] >= 1000 * first.cold_start_s - 100

    failed = client.wait(client.run({"mode": "fail"}))
    assert (failed["status"], failed["error"], failed["output"]) == (
        "FAILED",
        "BAD_INPUT: as asked for",
        {"success": False},
    )

    reporting = client.run({"mode": "progress", "seconds": 3})
    until(lambda: client.status(reporting).get("output") == {"percent": 50})
    assert client.wait(reporting)["status"] == "COMPLETED"

    marker = tmp_path / "stopped"
    cancelled = client.run({"mode": "sleep", "seconds": 300, "marker": str(marker)})
    client.wait(cancelled, "IN_PROGRESS")
    client.post(f"cancel/{cancelled}")
    until(marker.exists)

    late = tmp_path / "late"
    timed = client.run(
        {"mode": "sleep", "seconds": 300, "marker": str(late)}, policy={"executionTimeout": 1000}
    )
    assert client.wait(timed)["status"] == "TIMED_OUT"
    until(late.exists)

    empty = client.wait(client.run({}))
    assert (empty["status"], empty["error"]) == ("FAILED", "job timed out after 1 retries")

    assert len(endpoint.workers.ever) == 1
    refreshed = client.wait(client.run({"mode": "refresh"}))
    assert refreshed["output"] == {"pid": process(first).pid}
    until(lambda: first.exit_code == 0)
    assert client.wait(client.run({"mode": "echo"}))["workerId"] != first.id
    until(lambda: endpoint.workers.present() == [])
    assert [worker.exit_code for worker in endpoint.workers.ever] == [0, 0]


def test_a_worker_killed_in_the_middle_of_a_job_is_replaced_and_the_job_answered(
    opened: Open, tmp_path: Path
) -> None:
    """It makes no difference whether SIGKILL ends it or it ends itself without a word."""
    client, endpoint = opened()
    job_id = client.run({"mode": "sleep", "seconds": 2})
    client.wait(job_id, "IN_PROGRESS")
    os.kill(process(endpoint.workers.ever[0]).pid, signal.SIGKILL)
    job = client.wait(job_id)
    assert (job["status"], job["retries"], job["workerId"]) == (
        "COMPLETED",
        1,
        endpoint.workers.ever[1].id,
    )
    died = client.wait(client.run({"mode": "die", "marker": str(tmp_path / "died")}))
    assert (died["output"], died["retries"]) == ({"survived": True}, 1)
    assert [worker.exit_code for worker in endpoint.workers.ever[:2]] == [-signal.SIGKILL, 3]
    assert client.get("health").json()["jobs"]["retried"] == 2


def test_a_terminated_worker_posts_what_it_has_and_what_comes_too_late_is_run_by_another(
    opened: Open, server: Server
) -> None:
    """SIGTERM in the middle of a job loses nothing.

    The SDK drops a job that is handed out after it, and the job is queued again.
    """
    client, endpoint = opened()
    running = client.run({"mode": "sleep", "seconds": 2})
    first = client.wait(running, "IN_PROGRESS")["workerId"]
    server.call(endpoint.drain, endpoint.workers.get(first))
    done = client.wait(running)
    assert (done["status"], done["workerId"]) == ("COMPLETED", first)
    assert "retries" not in done
    until(lambda: endpoint.workers.figures().idle == 1)
    second = endpoint.workers.ever[1].id
    endpoint.faults = Script(jobs=[faults.HandOutAfterSigterm(lead_s=2)])
    late = client.wait(client.run({"mode": "echo"}))
    assert (late["status"], late["retries"]) == ("COMPLETED", 1)
    assert late["workerId"] not in (first, second)
    assert [worker.exit_code for worker in endpoint.workers.ever[:2]] == [0, 0]


def test_a_worker_with_room_for_four_takes_a_batch(opened: Open) -> None:
    """Four jobs run side by side in one process. Cancelling one leaves the others alone."""
    client, endpoint = opened(Bounds(1, 1), ECHO_CONCURRENCY="4")
    until(lambda: endpoint.workers.figures().idle == 1)
    jobs = [client.run({"mode": "sleep", "seconds": 4, "marker": os.devnull}) for _ in range(4)]
    until(lambda: endpoint.queue.figures().in_progress == 4)
    assert endpoint.requests["job-take-batch"] >= 1
    client.post(f"cancel/{jobs[1]}")
    assert [client.wait(job_id)["status"] for job_id in jobs] == [
        "COMPLETED",
        "CANCELLED",
        "COMPLETED",
        "COMPLETED",
    ]
    first, last = endpoint.queue.ever[0], endpoint.queue.ever[3]
    assert last.handed_at < first.finished_at


def test_a_generators_pieces_are_streamed(opened: Open) -> None:
    """Each is streamed once, and the output holds all of them."""
    client, _ = opened(ECHO_STREAM="1")
    job_id = client.run({"count": 3})
    pieces = [{"number": number} for number in range(3)]
    assert client.wait(job_id)["output"] == pieces
    assert client.get(f"stream/{job_id}").json()["stream"] == [
        {"output": piece} for piece in pieces
    ]


def test_a_worker_that_cannot_start_is_unhealthy(opened: Open) -> None:
    """The reason is in its log."""
    client, endpoint = opened(ECHO_BROKEN="1")
    until(lambda: client.get("health").json()["workers"]["unhealthy"] == 1)
    failed = endpoint.workers.ever[0]
    assert failed.exit_code == 1
    assert "SETTINGS: broken as asked for" in process(failed).tail()


def test_a_connection_that_was_idle_while_a_job_ran_takes_its_result(server: Server) -> None:
    """The SDK posts over it, and does not try again if the server has just closed it."""
    address = urlsplit(server.url)
    request = f"OPTIONS / HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        for wait_s in (0, 6):  # uvicorn's own limit is 5 s
            time.sleep(wait_s)
            connection.sendall(request)
            answer = connection.recv(65_536)
            while answer and not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 ")
