"""The emulator as a command: its output, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest

from emulator import worker_api
from emulator.rules import Rules
from tests.emulator.conftest import until

CONFIG = """
[endpoints.echo]
module = "tests.emulator.echo"
min_workers = 1
environment = { ECHO_CONCURRENCY = "2", ADDRESS = "{emulator}/v2" }
[endpoints.other]
module = "tests.emulator.echo"
[try]
endpoint = "echo"
recording = "recording.mp3"
"""


def start(folder: Path, *arguments: str, config: str = CONFIG) -> subprocess.Popen[str]:
    """Run the command on the configuration. Its output goes to a file."""
    (folder / "emulator.toml").write_text(config)
    command = [
        sys.executable,
        "-m",
        "emulator",
        "--config",
        str(folder / "emulator.toml"),
        "--logs",
        str(folder / "logs"),
        *arguments,
    ]
    with (folder / "output").open("w") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_emulator_and_every_worker(
    tmp_path: Path, number: signal.Signals
) -> None:
    """A worker finishes the job that it is in the middle of. No process is left."""
    emulator = start(tmp_path, "--port", "0", "--api-key", "secret")
    output = tmp_path / "output"
    try:
        until(lambda: "all workers are ready" in output.read_text())
        url = re.search(r"emulator: (http://127\.0\.0\.1:\d+)/v2", output.read_text())[1]
        assert f"curl -s '{url}/v2/echo/runsync?wait=300000'" in output.read_text()
        assert "Bearer secret" in output.read_text()
        client = httpx2.Client(
            base_url=f"{url}/v2/echo", headers={"Authorization": "Bearer secret"}, timeout=60
        )
        client.post("/run", json={"input": {"mode": "sleep", "seconds": 1}})
        until(lambda: client.get("/health").json()["workers"]["running"] == 1)
        assert (
            httpx2.get(
                f"{url}/v2/echo/health", headers={"Authorization": "Bearer other"}
            ).status_code
            == 401
        )
        workers = psutil.Process(emulator.pid).children(recursive=True)
        assert workers
        emulator.send_signal(number)
        assert emulator.wait(timeout=60) == 0
        psutil.wait_procs(workers, timeout=10)
        assert not any(worker.is_running() for worker in workers)
    finally:
        if emulator.poll() is None:
            os.killpg(emulator.pid, signal.SIGKILL)
    assert "Traceback" not in output.read_text()


def test_an_endpoint_without_a_module_is_served_by_workers_that_run_elsewhere(
    tmp_path: Path,
) -> None:
    """They come to any address of this machine.

    The emulator waits for them, and they do the jobs.
    """
    output = tmp_path / "output"
    emulator = start(
        tmp_path, "--host", "0.0.0.0", "--port", "0", config="[endpoints.echo]\nmin_workers = 1\n"
    )
    worker = None
    try:
        until(lambda: "emulator: http" in output.read_text())
        port = re.search(r"emulator: http://0\.0\.0\.0:(\d+)/v2", output.read_text())[1]
        platform = worker_api.environment(f"http://127.0.0.2:{port}", "echo", "elsewhere", Rules())
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.emulator.echo"],
            env=os.environ | platform,
            start_new_session=True,
        )
        until(lambda: "all workers are ready" in output.read_text())
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}/v2/echo",
            headers={"Authorization": "Bearer any"},
            timeout=60,
        ) as client:
            assert (
                client.post("/runsync", json={"input": {"mode": "echo"}}).json()["output"]["pid"]
                == worker.pid
            )
        emulator.terminate()
        assert emulator.wait(timeout=60) == 0
    finally:
        for process in filter(None, (worker, emulator)):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """The command ends with code 2 and one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert start(tmp_path, "--port", port).wait(timeout=60) == 2
    assert (tmp_path / "output").read_text().startswith(f"emulator: port {port}: ")


def test_a_wrong_configuration_is_named(tmp_path: Path) -> None:
    """The command ends with code 2 and one line."""
    assert start(tmp_path, "--config", str(tmp_path / "gone.toml")).wait(timeout=60) == 2
    assert (
        tmp_path / "output"
    ).read_text() == f"emulator: {tmp_path / 'gone.toml'}: No such file or directory\n"
