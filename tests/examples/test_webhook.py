"""webhook: calls are heard, but never believed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import Any

import httpx2
import pytest

from emulator.job import Status
from examples import webhook
from tests.examples.conftest import (
    ROOT,
    TEXT,
    URL,
    Behaviour,
    Platform,
    Run,
    Worker,
    command,
    until,
)

FORGED = {"status": "COMPLETED", "output": {"success": True, "text": "FORGED"}}


@pytest.fixture
def port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def options(endpoint: Any, port: int) -> list[object]:
    """Where the program listens, and where the platform finds it."""
    return [
        "--endpoint",
        endpoint.name,
        "--port",
        port,
        "--public-url",
        f"http://127.0.0.1:{port}/done",
    ]


def test_a_call_brings_the_answer(port: int, platform: Platform, run: Run) -> None:
    """Two recordings, two calls that were taken, and no job asked about before its call."""
    endpoint = platform.open(Worker())
    ended = run(
        webhook.main, URL, "https://example.com/b.mp3?signature=SECRET", *options(endpoint, port)
    )
    assert (ended.code, ended.out) == (0, f"{TEXT}\n{TEXT}\n")
    assert until(lambda: sorted(endpoint.webhooks)) == sorted(
        (job.id, True) for job in endpoint.queue.ever
    )
    assert endpoint.requests["status"] == 2
    assert "SECRET" not in ended.err


def test_a_forged_call_is_not_believed(port: int, platform: Platform, run: Run) -> None:
    """A stranger who does not know the job is sent away; one who does only makes the program
    look.
    """
    answers: list[int] = []

    def forge(_: object) -> None:
        (job,) = endpoint.queue.ever
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as stranger:
            until(lambda: stranger.post("/done", json={"id": job.id, **FORGED}).status_code == 200)
            answers.extend(
                stranger.post("/done", json=body).status_code
                for body in ({"id": "other", **FORGED}, [], {})
            )
            answers.append(stranger.post("/done", content=b"{").status_code)
        with socket.create_connection(("127.0.0.1", port)) as stranger_with_a_large_parcel:
            stranger_with_a_large_parcel.sendall(
                b"POST /done HTTP/1.0\r\nContent-Length: 99999999999\r\n\r\n"
            )
            answers.append(int(stranger_with_a_large_parcel.recv(100).split()[1]))
        until(lambda: endpoint.requests["status"])

    endpoint = platform.open(Worker(behaviour=forge))
    ended = run(webhook.main, URL, *options(endpoint, port))
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")
    assert answers == [404] * 5
    assert "FORGED" not in ended.err


def test_a_call_that_never_comes_is_not_waited_for(port: int, platform: Platform, run: Run) -> None:
    """Nobody listens where the platform calls: the job is asked about after a while."""
    endpoint = platform.open(Worker())
    ended = run(
        webhook.main,
        URL,
        *options(endpoint, port),
        "--public-url",
        "http://127.0.0.1:9/",
        "--patience",
        0.5,
    )
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")


def test_a_failed_job_is_told_and_harms_no_other(port: int, platform: Platform, run: Run) -> None:
    """By its recording, with its code; exit code 1."""
    endpoint = platform.open(Worker())
    ended = run(webhook.main, "https://example.com/missing.mp3", URL, *options(endpoint, port))
    assert (ended.code, ended.out) == (1, f"{TEXT}\n")
    assert (
        "https://example.com/missing.mp3: download_failed: example.com answered with HTTP status "
        "404" in ended.err
    )


def test_ctrl_c_cancels_what_was_submitted(port: int, platform: Platform, stuck: Behaviour) -> None:
    """Whose ids were printed, so that nothing runs for nobody."""
    endpoint = platform.open(Worker(behaviour=stuck))
    process = subprocess.Popen(
        command("webhook", URL, *options(endpoint, port)),
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    said = process.stderr.readline()
    (job,) = endpoint.queue.ever
    assert said == f"{URL.partition('?')[0]}: submitted as {job.id}\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert job.status is Status.CANCELLED
