"""An orchestrator of this version before workers of the version before, as in a rolling update."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from bench.untimed import untimed
from core.domain.watch import Watch
from core.flows.orchestrated import OrchestratedFlow, load
from core.settings import Settings
from core.wire.form import TranscriptFormat, WorkerFormat
from core.wire.job_input import DiarizationInput, TranscriptionInput, parse
from emulator.server import Server
from emulator.simulated import Line
from tests.asking import ask
from tests.split import recording

NUMBER = 7
NEW = ("version", "usage")
"""What no answer of version 0.1 has."""
QUESTION = {"audio_url": "https://example.com/a.mp3"}
REFUSAL = (
    "response_format: input should be 'json', 'verbose_json', 'diarized_json', 'text', 'srt' "
    "or 'vtt'"
)
"""The words of version 0.1."""


class Workers:
    """Both endpoints' workers; what transcription was asked for is kept."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def words(self, job: dict[str, Any], _line: Line) -> object:
        """Answer as version 0.1 does, which knows no compact form."""
        self.asked.append(job["input"]["response_format"])
        if self.asked[-1] == WorkerFormat.COMPACT:
            return {"error": f"invalid_request: {REFUSAL}", "success": False, "retryable": False}
        answer = recording(NUMBER).words(parse(TranscriptionInput, job["input"]))
        return {name: value for name, value in answer.items() if name not in NEW}

    async def turns(self, job: dict[str, Any], _line: Line) -> object:
        """Answer as version 0.1 does."""
        parse(DiarizationInput, job["input"])
        answer = recording(NUMBER).turns()
        return {name: value for name, value in answer.items() if name not in NEW}


@pytest.fixture
def workers() -> Workers:
    """Of version 0.1."""
    return Workers()


@pytest.fixture
def flow(workers: Workers) -> Iterator[OrchestratedFlow]:
    """The orchestrator's flow before these workers."""
    with Server() as server:
        server.simulate("words", workers.words)
        server.simulate("turns", workers.turns)
        yield load(
            Settings(
                runpod_api_key="key",  # type: ignore[arg-type]
                transcription_endpoint_id="words",
                diarization_endpoint_id="turns",
                runpod_endpoint_base_url=server.base_url,
                job_timeout=60,
            )
        )


@pytest.mark.parametrize("response_format", list(TranscriptFormat))
@pytest.mark.parametrize("timestamps", [False, True])
def test_workers_of_the_version_before_give_the_same_answer(
    flow: OrchestratedFlow,
    workers: Workers,
    response_format: TranscriptFormat,
    timestamps: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are asked for the compact form, refuse it, and are asked for theirs; the log says so."""
    caplog.set_level(logging.INFO)
    form: dict[str, Any] = {"response_format": response_format, "timestamps": timestamps}
    answer = ask(flow, {**QUESTION, **form, "response_format": str(response_format)}, Watch())
    assert untimed(answer) == recording(NUMBER).whole(**form, model=None)
    assert workers.asked == [WorkerFormat.COMPACT, TranscriptFormat.VERBOSE_JSON]
    assert "runs a version before 0.2; update its image" in caplog.text
