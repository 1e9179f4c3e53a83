"""The emulator in a container, and workers in theirs, on a network that leads nowhere else."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from emulator import worker_api
from emulator.rules import Rules
from tests.images.build import ROLES, tag
from tests.images.engine import ROOT, Engine

PORT = 8000
RULES = Rules(poll_s=2.0)
"""Polls are short so that an idle worker ends soon."""
START_TIMEOUT_S = 600
LOCKED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--pids-limit", "512", "--memory", "4g", "--memory-swap", "4g"),
)
"""How every worker is run: nothing to write to but /tmp, no privileges, bounded memory."""
EMBEDDED = {"MODEL_ID": "embedded", "DIARIZATION_MODEL_ID": "embedded"}
_EMULATOR = "emulator"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's container."""

    engine: Engine
    name: str

    @property
    def state(self) -> dict[str, Any]:
        """`Running`, `ExitCode`, `OOMKilled`, …"""
        return dict(self.engine.container(self.name)["State"])

    def do(self, *command: str) -> str:
        """Run a command in it, as its user. Raises EngineError."""
        return self.engine.do("exec", self.name, *command)

    def logs(self) -> str:
        """What it printed so far."""
        done = self.engine.attempt("logs", self.name)
        return done.stdout + done.stderr

    def stop(self, timeout_s: int) -> int:
        """SIGTERM, and SIGKILL after a while; returns the exit code."""
        self.engine.do("stop", "--time", str(timeout_s), self.name)
        return int(self.state["ExitCode"])


class Platform:
    """One emulator with an endpoint for each role."""

    def __init__(self, engine: Engine, network: str, url: str) -> None:
        self._engine, self._network = engine, network
        self._client = httpx2.Client(
            base_url=f"{url}/v2", headers={"Authorization": "Bearer any"}, timeout=300
        )

    @contextlib.contextmanager
    def worker(self, role: str, image: str | None = None, **environment: str) -> Iterator[Worker]:
        """Run a worker of a role; it is removed in the end."""
        name = f"{self._network}-{role}-{secrets.token_hex(2)}"
        variables = {
            **worker_api.environment(f"http://{_EMULATOR}:{PORT}", role, name, RULES),
            **_settings(role),
            **environment,
        }
        self._engine.do(
            "run",
            "--detach",
            "--name",
            name,
            "--network",
            self._network,
            *LOCKED,
            *_env(variables),
            image or tag(role),
        )
        try:
            yield Worker(self._engine, name)
        finally:
            self._engine.do("rm", "--force", name)

    def wait_until_ready(self, role: str, worker: Worker) -> None:
        """Wait until the worker takes jobs."""
        self.until(
            lambda: self.health(role)["ready"] > 0 or not worker.state["Running"], START_TIMEOUT_S
        )
        assert worker.state["Running"], worker.logs()[-4000:]

    def health(self, role: str) -> dict[str, int]:
        """The endpoint's workers, counted."""
        return dict(self._client.get(f"/{role}/health").raise_for_status().json()["workers"])

    def submit(self, role: str, job_input: Mapping[str, object]) -> str:
        """Queue a job; returns its id."""
        return str(
            self._client.post(f"/{role}/run", json={"input": job_input})
            .raise_for_status()
            .json()["id"]
        )

    def status(self, role: str, job_id: str) -> dict[str, Any]:
        """How a job stands."""
        return dict(self._client.get(f"/{role}/status/{job_id}").raise_for_status().json())

    def run(self, role: str, job_input: Mapping[str, object]) -> dict[str, Any]:
        """Run a job that must succeed; returns its output."""
        job = (
            self._client.post(f"/{role}/runsync?wait=300000", json={"input": job_input})
            .raise_for_status()
            .json()
        )
        assert job["status"] == "COMPLETED", job
        return dict(job["output"])

    @staticmethod
    def until(look: Callable[[], bool], timeout_s: float) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + timeout_s
        while not look():
            assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s"
            time.sleep(0.2)


@contextlib.contextmanager
def platform(engine: Engine, folder: Path) -> Iterator[Platform]:
    """The emulator and the network, removed in the end.

    `folder`: for the emulator's configuration.
    """
    network = f"parakeet-test-{os.getpid()}"
    config = folder / "emulator.toml"
    config.write_text(
        "".join(f"[endpoints.{role}]\n" for role in ROLES) + f"[rules]\npoll_s = {RULES.poll_s}\n"
    )
    with contextlib.ExitStack() as stack:
        engine.do("network", "create", "--internal", network)
        stack.callback(engine.do, "network", "rm", network)
        # It runs on the orchestrator's image, which has all it imports; on a second network it is
        # reached from here.
        engine.do(
            *(
                "run",
                "--detach",
                "--name",
                f"{network}-emulator",
                "--publish",
                f"127.0.0.1::{PORT}",
            ),
            *(
                "--volume",
                f"{ROOT / 'emulator'}:/app/emulator:ro",
                "--volume",
                f"{config}:/emulator.toml:ro",
            ),
            *(
                tag("orchestrator"),
                "python",
                "-m",
                "emulator",
                "--config",
                "/emulator.toml",
                "--host",
                "0.0.0.0",
                "--logs",
                "/tmp/logs",
            ),
        )
        stack.callback(engine.do, "rm", "--force", f"{network}-emulator")
        engine.do("network", "connect", "--alias", _EMULATOR, network, f"{network}-emulator")
        address = json.loads(
            engine.do(
                "inspect", "--format", "{{json .NetworkSettings.Ports}}", f"{network}-emulator"
            )
        )
        running = Platform(
            engine, network, f"http://127.0.0.1:{address[f'{PORT}/tcp'][0]['HostPort']}"
        )
        running.until(lambda: _answers(running), 60)
        yield running


def _answers(running: Platform) -> bool:
    try:
        running.health(ROLES[0])
    except httpx2.HTTPError:
        return False
    return True


def _settings(role: str) -> dict[str, str]:
    if role != "orchestrator":
        return EMBEDDED
    return {
        "RUNPOD_ENDPOINT_BASE_URL": f"http://{_EMULATOR}:{PORT}/v2",
        "RUNPOD_API_KEY": "any",
        "DIARIZATION_ENDPOINT_ID": "diarization",
        "TRANSCRIPTION_ENDPOINT_ID": "transcription",
        "WORKER_CONCURRENCY": "4",
    }


def _env(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        yield from ("--env", f"{name}={value}")
