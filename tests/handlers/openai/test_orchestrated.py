"""The server in front of an orchestrator's endpoints: the uploaded file reaches both of them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.untimed import untimed
from core.flows import orchestrated
from core.settings import Settings
from core.wire.form import TranscriptFormat
from core.wire.job_input import TranscriptionInput, parse
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from tests.handlers.openai.served import Served, form, served
from tests.split import recording

RECORDING = recording(1)
SOUND = b"not empty"
SLOW = b"not soon"


class Endpoints:
    """Both endpoints, and the recordings that they were sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def words(self, job: dict[str, Any], _line: Line) -> object:
        """Transcribe."""
        await self._take(job)
        return RECORDING.words(parse(TranscriptionInput, job["input"]))

    async def turns(self, job: dict[str, Any], _line: Line) -> object:
        """Diarize."""
        await self._take(job)
        return RECORDING.turns()

    async def _take(self, job: dict[str, Any]) -> None:
        self.sent.append(base64.b64decode(job["input"]["audio_base64"]))
        if self.sent[-1] == SLOW:
            await asyncio.sleep(600)


@pytest.fixture
def endpoints() -> Endpoints:
    """The endpoints behind."""
    return Endpoints()


@pytest.fixture
def platform(endpoints: Endpoints) -> Iterator[Server]:
    """The emulator with both."""
    with Server() as running:
        running.simulate("words", endpoints.words, bounds=Bounds(1, 4))
        running.simulate("turns", endpoints.turns, bounds=Bounds(1, 4))
        yield running


@pytest.fixture
def server(platform: Server, tmp_path: Path) -> Iterator[Served]:
    """The server in front."""
    named: dict[str, Any] = {
        "transcription_endpoint_id": "words",
        "diarization_endpoint_id": "turns",
        "runpod_endpoint_base_url": platform.base_url,
        "runpod_api_key": "any",
    }
    with served(tmp_path, role="orchestrated", **named) as running:
        running.app.use(orchestrated.load(Settings(**named)))
        yield running


def test_an_upload_becomes_the_answer_of_both_endpoints(
    server: Served, endpoints: Endpoints
) -> None:
    """Equal to the single worker's; each endpoint got the file's bytes."""
    reply = server.post(form([("file", SOUND), ("response_format", "diarized_json")]))
    whole = RECORDING.whole(TranscriptFormat.DIARIZED_JSON, timestamps=False)
    assert untimed(reply.json) == whole
    assert endpoints.sent == [SOUND, SOUND]
    assert server.left == []


def test_a_stream_has_all_events_at_the_end(server: Served) -> None:
    """One delta, the segments with their speakers, the end."""
    sent = form([("file", SOUND), ("response_format", "diarized_json"), ("stream", "true")])
    events = server.post(sent).events
    whole: Any = RECORDING.whole(TranscriptFormat.DIARIZED_JSON, timestamps=False)
    assert events[0]["delta"] == events[-1]["text"] == whole["text"]
    assert events[1:-1] == whole["segments"]


def test_one_who_hangs_up_takes_the_jobs_back(
    server: Served, platform: Server, endpoints: Endpoints
) -> None:
    """In both endpoints."""
    body, content_type = form([("file", SLOW), ("diarize", "true")])
    connection = server.connect()
    connection.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": content_type})
    server.until("parakeet_working ", 1)
    while len(endpoints.sent) < 2:
        assert server.metric("parakeet_working ") == 1
    connection.close()
    server.until("parakeet_working ", 0)
    for name in ("words", "turns"):
        assert len(platform.endpoints[name].queue.cancellations) == 1


def test_a_recording_that_the_platform_cannot_carry_is_refused(tmp_path: Path) -> None:
    """With the advice to give a URL, and before any flow sees it."""
    with served(tmp_path, role="orchestrated") as server:
        reply = server.post(form([("file", b"x" * 8_000_000)]))
        assert server.flow.requests == []
    assert (reply.status, reply.error["code"]) == (413, "source_too_large")
    assert "URL" in reply.error["message"]
