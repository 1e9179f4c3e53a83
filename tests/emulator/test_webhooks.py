"""Webhooks: what a receiver gets, and how often."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from emulator import webhooks
from emulator.job import Job, Policy
from emulator.server import Server
from emulator.simulated import Line
from tests.emulator.conftest import QUICK, Caller, until

JOB = Job("job-1", {"a": 1}, sync=False, policy=Policy(), submitted_at=0)


class Receiver(ThreadingHTTPServer):
    """A caller's web server that answers with these statuses, then with 200."""

    daemon_threads = True

    def __init__(self, *statuses: int, delay_s: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.statuses, self.delay_s = list(statuses), delay_s
        self.bodies: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


class _Receive(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        time.sleep(self.server.delay_s)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status in (307, 308):
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(*statuses: int, delay_s: float = 0) -> Iterator[Receiver]:
    """Run a receiver."""
    with Receiver(*statuses, delay_s=delay_s) as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
        yield receiver
        receiver.shutdown()


async def answer(job: dict[str, Any], line: Line) -> object:
    """Answer at once."""
    del line
    return job["input"]["return"]


@pytest.mark.parametrize(
    ("statuses", "tries", "taken"),
    [((), 1, True), ((500, 404), 3, True), ((500, 500, 500, 500), 3, False)],
)
def test_a_webhook_is_told_the_whole_job_three_times_at_most(
    server: Server, http: httpx2.Client, statuses: tuple[int, ...], tries: int, taken: bool
) -> None:
    """Until somebody says 2xx. The outcome changes nothing about the job."""
    endpoint = server.simulate("webhook", answer)
    client = Caller(http, endpoint)
    with receiving(*statuses) as receiver:
        job_id = client.run({"return": 1}, webhook=receiver.url)
        until(lambda: endpoint.webhooks)
    assert endpoint.webhooks == [(job_id, taken)]
    assert len(receiver.bodies) == tries
    job = client.status(job_id)
    assert receiver.bodies[0] == {**job, "input": {"return": 1}, "webhook": receiver.url}
    server.remove("webhook")


async def test_a_redirect_is_followed() -> None:
    """The body goes there too."""
    with receiving(307) as receiver:
        assert await webhooks.send(receiver.url, JOB, QUICK)
    assert receiver.bodies == [JOB.webhook_body()] * 2


async def test_a_receiver_that_says_nothing_in_time_has_not_taken_it() -> None:
    """Each try has a time limit of its own."""
    with receiving(delay_s=1) as receiver:
        assert not await webhooks.send(receiver.url, JOB, replace(QUICK, webhook_timeout_s=0.1))
    assert len(receiver.bodies) == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook", "http://", "http://127.0.0.1:x/"])
async def test_a_url_behind_which_nobody_listens_is_given_up(url: str) -> None:
    """The same goes for a URL that leads nowhere."""
    assert not await webhooks.send(url, JOB, QUICK)
