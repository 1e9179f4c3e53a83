"""The whole system on this machine, for the programs that measure it.

The roles of `emulator/demo.toml` run as real workers behind the emulator, which runs in a thread of
this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.roles import KEY, wait_until_ready
from emulator import config
from emulator.endpoint import Endpoint
from emulator.rules import Retention, Rules
from emulator.server import Server
from emulator.worker_process import WorkerProcess

CONFIG = Path("emulator/demo.toml")
RULES = Rules(retention=Retention(run_s=60))
"""Results are let go early, for this process keeps the jobs of all endpoints."""


@contextmanager
def running(
    roles: Sequence[str], folder: Path, environment: Mapping[str, Mapping[str, str]]
) -> Iterator[Server]:
    """Start roles, wait until all their workers are ready, and end them afterwards.

    `environment` adds to the configuration, by role. What the workers print goes to `folder/logs`.
    """
    with Server(rules=RULES) as server:
        tables = config.read(CONFIG).endpoints
        for role in roles:
            told = {
                name: value.replace("{api_key}", KEY)
                for name, value in tables[role].environment.items()
            }
            own = {**told, **environment.get(role, {})}
            server.launch(
                role,
                f"handlers.{role}",
                folder / "logs",
                environment=own,
                bounds=tables[role].bounds,
            )
        for role in roles:
            wait_until_ready(server.endpoints[role], tables[role].min_workers)
        yield server


def process(endpoint: Endpoint) -> WorkerProcess:
    """Return the process of an endpoint's first worker."""
    handle = endpoint.workers.ever[0].handle
    assert isinstance(handle, WorkerProcess)
    return handle
