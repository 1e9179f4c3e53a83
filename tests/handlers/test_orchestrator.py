"""The orchestrator as a real SDK worker process between two sides of the emulator: the workers'
protocol in front of it, the REST API of two other endpoints behind it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.endpoint import Endpoint
from emulator.scaler import Bounds
from emulator.scripted import Asked, Reply, Scripted, serve
from emulator.server import Server
from emulator.simulated import Line
from tests import media
from tests.launched import Launched, launched
from tests.replies import KEY, QUEUED

MODULE = "handlers.orchestrator"
URL = {"audio_url": "https://example.com/call.mp3?token=geheim"}
WORDS = {
    "language": "en",
    "duration": 3.2,
    "warnings": [],
    "words": [{"word": "Geheimnis.", "start": 1.0, "end": 1.4, "confidence": 0.9}],
}
TURNS = {
    "warnings": [],
    "segments": [],
    "exclusive_segments": [{"start": 0.5, "end": 2.0, "speaker": "1"}],
}
FAILURE = {"error": "unsupported_audio: not a recording"}


def recording(job_input: Any) -> str:
    """Return the first letters of a recording's name, which say what becomes of it."""
    return str(job_input["audio"].rsplit("/", 1)[1][:4])


async def words(job: dict[str, Any], line: Line) -> object:
    """Answer, fail, or take for ever."""
    name = recording(job["input"])
    if name == "wait":
        await line.progress({"stage": "transcribing", "percent": 50})
        await asyncio.sleep(600)
    return FAILURE if name == "fail" else WORDS


async def turns(job: dict[str, Any], _line: Line) -> object:
    """Answer, or take for ever."""
    if recording(job["input"]) in ("fail", "wait"):
        await asyncio.sleep(600)
    return TURNS


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The platform with the two endpoints. Jobs that turns never ends seem to wait in its queue."""

    def status(asked: Asked) -> Reply | None:
        job = diarization.find(asked.job_id)
        return QUEUED if job and recording(job.input) in ("fail", "wait") else None

    with Server() as running:
        running.simulate("words", words, bounds=Bounds(1, 4))
        diarization = running.simulate("turns", turns, bounds=Bounds(1, 4))
        diarization.faults = Scripted(status=status)
        yield running


def cancelled(endpoint: Endpoint) -> list[str]:
    """Return the recordings whose jobs were cancelled, once for each cancel."""
    jobs = {job.id: job for job in endpoint.queue.ever}
    return [recording(jobs[cancel.job_id].input) for cancel in endpoint.queue.cancellations]


def environment(server: Server, **changes: str) -> dict[str, str]:
    """What the operator sets."""
    return {
        "TRANSCRIPTION_ENDPOINT_ID": "words",
        "DIARIZATION_ENDPOINT_ID": f"{server.base_url}/turns",
        "RUNPOD_ENDPOINT_BASE_URL": server.base_url,
        "RUNPOD_API_KEY": KEY,
        **changes,
    }


@pytest.fixture(scope="module")
def host() -> Iterator[media.Host]:
    """A place for answers, and a store of buckets."""
    with media.host() as running:
        yield running


@pytest.fixture(scope="module")
def worker(
    server: Server, host: media.Host, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launched]:
    """One worker for all; it must end cleanly, and its log must hold no secret."""
    folder = tmp_path_factory.mktemp("orchestrator")
    four = environment(
        server,
        WORKER_CONCURRENCY="4",
        RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS="true",
        S3_ENDPOINT=media.Store(host).endpoint,
        S3_ACCESS_KEY=media.Store.ACCESS_KEY,
        S3_SECRET_KEY="geheim",
        S3_OUTPUT_BUCKETS="answers",
    )
    with launched(server, MODULE, folder, **four) as running:
        yield running
    assert running.exit_codes == {0}
    assert not [
        secret
        for secret in (KEY, "geheim", "Geheimnis", "HTTP Request", "stamina.retry")
        if secret in running.log
    ]


def test_a_job_is_answered_from_both_endpoints(worker: Launched) -> None:
    """Words of one, speakers of the other."""
    worker.submit("good", {"audio_url": "https://example.com/good.mp3?token=geheim"})
    output = worker.result("good")["output"]
    assert output["segments"] == [{"start": 1.0, "end": 1.4, "speaker": "1", "text": "Geheimnis."}]


def test_an_answer_can_be_put_elsewhere(worker: Launched, host: media.Host) -> None:
    """By the orchestrator itself, to a URL or into a bucket."""
    media.Store(host).open("answers", "call.json")
    places = {
        "url": host.place("/answers/url.json?sig=geheim", media.takes()),
        "bucket": "s3://answers/call.json",
    }
    for name, place in places.items():
        recording = "https://example.com/good.mp3?token=geheim"
        worker.submit(name, {"audio_url": recording, "output_url": place})
        stored = worker.result(name)["output"]["stored"]
        assert stored["url"] == place.partition("?")[0]
        (body,) = (host.taken.pop(path) for path in list(host.taken))
        assert json.loads(body)["text"] == "Geheimnis."
        assert stored["bytes"] == len(body)


def test_an_empty_request_is_answered_at_once(worker: Launched) -> None:
    """As any other without a recording; the platform leaves an empty input out."""
    worker.submit("empty", {})
    assert "exactly one of audio" in str(worker.result("empty")["error"])


def test_a_childs_error_is_the_jobs(server: Server, worker: Launched) -> None:
    """With its code, as from the single worker; and the other endpoint's job is cancelled."""
    worker.submit("failing", {"audio_url": "https://example.com/fail.mp3"})
    assert worker.result("failing") == {"error": "unsupported_audio: not a recording"}
    assert cancelled(server.endpoints["turns"]) == ["fail"]


def test_a_cancelled_job_cancels_both_of_its_jobs(server: Server, worker: Launched) -> None:
    """By the platform's stop signal; while it ran, progress was told, and another job is answered
    meanwhile.
    """
    worker.submit("waiting", {"audio_url": "https://example.com/wait.mp3"})
    worker.wait("waiting", bool)
    worker.submit("meanwhile", {"audio_url": "https://example.com/good.mp3"})
    assert worker.result("meanwhile")["output"]["success"] is True
    worker.cancel("waiting")
    worker.submit("after", {"audio_url": "https://example.com/good.mp3"})
    assert worker.result("after")["output"]["success"] is True
    assert {tuple(post) for post in worker.posts("waiting")} == {("status", "output")}
    assert worker.posts("waiting")[-1]["output"] == {"stage": "queued", "percent": 0}
    deadline = time.monotonic() + 10  # nothing orders the stop and the job after it
    for name in ("words", "turns"):
        while "wait" not in cancelled(server.endpoints[name]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert cancelled(server.endpoints[name]).count("wait") == 1


@pytest.mark.parametrize(
    "name", ["TRANSCRIPTION_ENDPOINT_ID", "DIARIZATION_ENDPOINT_ID", "RUNPOD_API_KEY"]
)
def test_a_missing_setting_stops_the_worker_with_one_line_that_names_it(
    server: Server, tmp_path: Path, name: str
) -> None:
    """Before it takes a job."""
    with launched(server, MODULE, tmp_path, **environment(server, **{name: ""})) as worker:
        ended = worker.wait_for_end()
    assert ended.exit_code == 1
    assert (
        ended.log.splitlines()[-1]
        == f"invalid_settings: {name}: not set; the orchestrator needs two endpoints and a key "
        "that may use them"
    )


def test_a_key_that_is_refused_stops_the_worker(tmp_path: Path) -> None:
    """The fitness check names the setting; the key itself is nowhere."""
    refusing = Scripted(health=[Reply(401, "no")])
    with (
        serve(words=Scripted(), turns=refusing) as server,
        launched(server, MODULE, tmp_path, **environment(server)) as worker,
    ):
        ended = worker.wait_for_end()
    assert ended.exit_code == 1
    assert "check that RUNPOD_API_KEY may use it" in ended.log
    assert KEY not in ended.log
