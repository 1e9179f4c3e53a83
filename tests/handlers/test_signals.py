"""The orchestrator's worker told to end, or killed, in the middle of a job: no job is lost.

All four roles: tests/slow/test_signals.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bench.untimed import untimed
from core.wire.form import TranscriptFormat
from core.wire.job_input import TranscriptionInput, parse
from emulator.endpoint import Endpoint
from emulator.rules import Rules
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from tests.signals import START_S, How, interrupt, until
from tests.split import recording

RULES = Rules(poll_s=3, grace_s=60, tick_s=0.02, ping_interval_s=1)
WORK_S = 2.0
"""What a job of the endpoints behind takes."""
RECORDING = recording(1)
QUESTION = {"audio_url": "https://example.com/1.mp3"}


async def words(job: dict[str, Any], _line: Line) -> object:
    """Transcribe."""
    await asyncio.sleep(WORK_S)
    return RECORDING.words(parse(TranscriptionInput, job["input"]))


async def turns(_job: dict[str, Any], _line: Line) -> object:
    """Diarize."""
    await asyncio.sleep(WORK_S)
    return RECORDING.turns()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The emulator, with two endpoints that the orchestrator calls."""
    with Server(rules=RULES) as running:
        running.simulate("words", words, bounds=Bounds(1, 4))
        running.simulate("turns", turns, bounds=Bounds(1, 4))
        yield running


@pytest.fixture(scope="module")
def endpoint(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The orchestrator's, with two workers: while one starts, the other works."""
    environment = {
        "RUNPOD_ENDPOINT_BASE_URL": "{emulator}/v2",
        "RUNPOD_API_KEY": "any",
        "TRANSCRIPTION_ENDPOINT_ID": "words",
        "DIARIZATION_ENDPOINT_ID": "turns",
    }
    logs = tmp_path_factory.mktemp("logs")
    opened = server.launch(
        "orchestrator", "handlers.orchestrator", logs, environment=environment, bounds=Bounds(2, 2)
    )
    until(lambda: opened.workers.figures().ready == 2, START_S, "the workers did not start")
    yield opened
    server.remove("orchestrator")


@pytest.mark.parametrize(("how", "after_s"), [("drained", 0.3), ("drained", 1.5), ("SIGTERM", 0.8)])
def test_a_worker_that_is_told_to_end_finishes_its_job(
    server: Server, endpoint: Endpoint, how: How, after_s: float
) -> None:
    """It posts the answer and then ends well; nobody does the work twice."""
    interrupted = interrupt(server, endpoint, QUESTION, how, after_s)
    assert untimed(interrupted.output) == RECORDING.whole(TranscriptFormat.JSON, timestamps=False)
    assert (interrupted.job.attempts, interrupted.job.worker) == (1, interrupted.worker.id)
    assert interrupted.worker.exit_code == 0


@pytest.mark.parametrize("after_s", [0.2, 1.2])
def test_where_a_worker_is_killed_another_answers(
    server: Server, endpoint: Endpoint, after_s: float
) -> None:
    """From the beginning; what the first one asked for ends by itself, and nothing stays in any
    endpoint.
    """
    interrupted = interrupt(server, endpoint, QUESTION, "SIGKILL", after_s)
    assert untimed(interrupted.output) == RECORDING.whole(TranscriptFormat.JSON, timestamps=False)
    assert (interrupted.job.attempts, interrupted.job.losses) == (2, 1)
    assert interrupted.job.worker != interrupted.worker.id
    assert interrupted.worker.exit_code == -9
    behind = [server.endpoints[name].queue for name in ("words", "turns")]
    until(lambda: not any(queue.unfinished() for queue in behind), 10 * WORK_S, "jobs stay behind")
    assert all(job.status == "COMPLETED" for queue in behind for job in queue.ever)
