"""The server as a process: how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.handlers.openai.served import SECRET, Reply, ask, form
from tests.local_api import free_port


class Process:
    """One server process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self._log = folder / "server.log"
        command = [sys.executable, "-m", "tests.handlers.openai.obeying", "--port", str(self.port)]
        self.folder = folder / "jobs"
        inherited = {name: value for name, value in os.environ.items() if "COV_" not in name}
        named = {"TEMP_DIR": str(self.folder), "MODEL_ID": "embedded", **environment}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**inherited, **named}, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        """Wait for a sign of it."""
        deadline = time.monotonic() + 60
        while not is_there():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def transcribe(self, order: str) -> Reply:
        """POST a recording."""
        body, content_type = form([("file", order)])
        path = "/v1/audio/transcriptions"
        return ask(self.port, "POST", path, body, {"Content-Type": content_type})

    def is_working(self) -> bool:
        """Tell whether a request is worked on."""
        return bool(ask(self.port, "GET", "/health").json["working"])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start processes, which are gone after the test."""
    started: list[Process] = []

    def begin(**environment: Any) -> Process:
        started.append(Process(tmp_path, **environment))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


def ready(process: Process) -> Process:
    """Wait until a process answers."""
    process.wait_for(lambda: "| ready after" in process.log)
    return process


@pytest.mark.parametrize(
    ("signals", "drain_timeout"),
    [([signal.SIGTERM], "1"), ([signal.SIGTERM, signal.SIGINT], "600")],
)
def test_a_signal_ends_the_process_in_order(
    start: Callable[..., Process], signals: list[int], drain_timeout: str
) -> None:
    """Requests get DRAIN_TIMEOUT, or until a second signal; each is answered, nothing stays, and
    the code is 0.
    """
    server = ready(start(DRAIN_TIMEOUT=drain_timeout))
    with ThreadPoolExecutor(1) as callers:
        begun = callers.submit(server.transcribe, "wait")
        server.wait_for(server.is_working)
        for number in signals:
            server.process.send_signal(number)
            time.sleep(0.3)
        reply = begun.result()
    assert (reply.status, reply.error["code"]) == (503, "shutting_down")
    assert server.process.wait(30) == 0
    assert list(server.folder.iterdir()) == []
    assert "Traceback" not in server.log


def test_a_poisoned_process_answers_and_ends_with_code_1(start: Callable[..., Process]) -> None:
    """Whoever started it starts a fresh one."""
    server = ready(start())
    reply = server.transcribe("poison")
    assert (reply.status, reply.error["code"]) == (503, "model_failed")
    assert server.process.wait(30) == 1


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("missing", "model_not_found: missing is in none of the places"),
        ("buggy", "internal_error: the worker failed (KeyError)"),
    ],
)
def test_a_flow_that_cannot_be_loaded_ends_the_process(
    start: Callable[..., Process], model: str, line: str
) -> None:
    """With code 1 and one line, without the text of an unexpected error."""
    server = start(MODEL_ID=model)
    assert server.process.wait(60) == 1
    assert line in server.log.splitlines()[-1]
    assert SECRET not in server.log
