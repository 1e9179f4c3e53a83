"""Workers of all four roles, on the embedded models, told to end or killed in the middle of a job:
no job is lost.

Each of the many starts loads a model, so run it alone: python -m pytest -m slow
tests/slow/test_signals.py
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.untimed import untimed
from emulator.endpoint import Endpoint
from emulator.rules import Rules
from emulator.scaler import Bounds
from emulator.server import Server
from tests.signals import POLICY, START_S, How, interrupt, until

pytestmark = pytest.mark.slow

ROLES = ("single", "transcription", "diarization", "orchestrator")
TIMES = 20
KILLS = 5
RULES = Rules(poll_s=5, grace_s=300, tick_s=0.1)
DIALOGUE = Path(__file__).parents[1] / "golden" / "dialogue.mp3"
QUESTION = {"audio_base64": base64.b64encode(DIALOGUE.read_bytes()).decode()}
ENVIRONMENT = {
    "MODEL_ID": "embedded",
    "DIARIZATION_MODEL_ID": "embedded",
    "RUNPOD_ENDPOINT_BASE_URL": "{emulator}/v2",
    "RUNPOD_API_KEY": "any",
    "TRANSCRIPTION_ENDPOINT_ID": "transcription",
    "DIARIZATION_ENDPOINT_ID": "diarization",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One emulator for all roles."""
    with Server(rules=RULES) as running:
        yield running


class Role:
    """One role's endpoint, what it answers when nothing happens, and how long that takes."""

    def __init__(self, server: Server, name: str, folder: Path) -> None:
        needed = ("transcription", "diarization", name) if name == "orchestrator" else (name,)
        environment = ENVIRONMENT | {"TEMP_DIR": str(folder / "jobs")}
        # Two of the role: while one starts, the other works.
        for one in needed:
            workers = 2 if one == name else 1
            server.launch(
                one,
                f"handlers.{one}",
                folder / "logs",
                environment=environment,
                bounds=Bounds(workers, workers),
            )
        self.endpoints = [server.endpoints[one] for one in needed]
        self.endpoint: Endpoint = self.endpoints[-1]
        for endpoint in self.endpoints:
            workers = 2 if endpoint is self.endpoint else 1
            until(
                lambda one=endpoint, all_=workers: one.workers.figures().ready == all_,
                START_S,
                f"{endpoint.name} did not start",
            )
        self.right, self.seconds = self._ask(server)

    def _ask(self, server: Server) -> tuple[Any, float]:
        job = server.call(self.endpoint.submit, QUESTION, POLICY)
        until(lambda: job.status.final, START_S, "no answer")
        assert job.finished_at is not None
        assert job.handed_at is not None
        return untimed(job.output), job.finished_at - job.handed_at


@pytest.fixture(scope="module", params=ROLES)
def role(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Role]:
    """Each role in turn; where there are others behind it, they are left alone."""
    opened = Role(server, request.param, tmp_path_factory.mktemp(request.param))
    assert opened.right["success"] is True
    yield opened
    for endpoint in opened.endpoints:
        until(
            lambda endpoint=endpoint: not endpoint.queue.unfinished(),
            START_S,
            f"jobs stay in {endpoint.name}",
        )
        assert {job.status for job in endpoint.queue.ever} == {"COMPLETED"}
        server.remove(endpoint.name)


@pytest.mark.parametrize("how", ["drained", "SIGTERM"])
def test_a_worker_that_is_told_to_end_finishes_its_job(
    server: Server, role: Role, how: How
) -> None:
    """Twenty times in all, at any moment of the job: it posts the answer and ends well, or the
    queue has another do it.
    """
    chance = random.Random(how)
    for _ in range(TIMES // 2):
        interrupted = interrupt(
            server, role.endpoint, QUESTION, how, chance.uniform(0, 0.8 * role.seconds)
        )
        assert untimed(interrupted.output) == role.right
        assert interrupted.job.losses <= 1
        if interrupted.job.worker == interrupted.worker.id:
            assert interrupted.worker.exit_code == 0


def test_where_a_worker_is_killed_another_answers(server: Server, role: Role) -> None:
    """From the beginning."""
    chance = random.Random("killed")
    for _ in range(KILLS):
        interrupted = interrupt(
            server, role.endpoint, QUESTION, "SIGKILL", chance.uniform(0, 0.5 * role.seconds)
        )
        assert untimed(interrupted.output) == role.right
        assert (interrupted.job.losses, interrupted.worker.exit_code) == (1, -9)
        assert interrupted.job.worker != interrupted.worker.id
