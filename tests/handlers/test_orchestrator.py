"""The orchestrator as a real SDK worker process: the worker protocol on one side, the REST API on
the other, both on loopback.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform import Platform, Worker, platform
from tests.rest import KEY, QUEUED, Asked, Endpoint, Reply, Server, completed, failed, serve, state

MODULE = "handlers.orchestrator"
URL = {"audio_url": "https://example.com/call.mp3?token=geheim"}
WORDS = completed(
    {
        "language": "en",
        "duration": 3.2,
        "warnings": [],
        "words": [{"word": "Geheimnis.", "start": 1.0, "end": 1.4, "confidence": 0.9}],
    }
)
TURNS = completed(
    {
        "warnings": [],
        "segments": [],
        "exclusive_segments": [{"start": 0.5, "end": 2.0, "speaker": "1"}],
    }
)


def told(asked: Asked) -> Reply:
    """A submitted job whose id is the number of the recording."""
    return Reply(
        body={
            "id": str(asked.body["input"]["audio_url"].rsplit("/", 1)[1][:4]),
            "status": "IN_QUEUE",
        }
    )


def words_of(asked: Asked) -> Reply:
    """By the recording's name: an answer, a failure, or none."""
    return {
        "fail": failed("unsupported_audio", "not a recording"),
        "wait": state("IN_PROGRESS", output={"stage": "transcribing", "percent": 50}),
    }.get(asked.job_id, WORDS)


@pytest.fixture(scope="module")
def api() -> Iterator[Server]:
    """The two endpoints."""
    words = Endpoint(run=told, status=words_of)
    turns = Endpoint(
        run=told, status=lambda asked: QUEUED if asked.job_id in ("fail", "wait") else TURNS
    )
    with serve(words=words, turns=turns) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[Platform]:
    """The platform's side of the worker protocol."""
    with platform() as running:
        yield running


def environment(api: Server, **changes: str) -> dict[str, str]:
    """What the operator sets."""
    return {
        "TRANSCRIPTION_ENDPOINT_ID": "words",
        "DIARIZATION_ENDPOINT_ID": f"{api.base}/turns",
        "RUNPOD_ENDPOINT_BASE_URL": api.base,
        "RUNPOD_API_KEY": KEY,
        **changes,
    }


@pytest.fixture(scope="module")
def worker(
    server: Platform, api: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """One worker for all; it must end cleanly, and its log must hold no secret."""
    running = Worker(
        MODULE,
        tmp_path_factory.mktemp("orchestrator") / "log",
        **environment(api, WORKER_CONCURRENCY="4"),
        **server.environment,
    )
    yield running
    assert running.stop() == 0
    assert not [
        secret
        for secret in (KEY, "geheim", "Geheimnis", "HTTP Request", "stamina.retry")
        if secret in running.log
    ]


def test_a_job_is_answered_from_both_endpoints(server: Platform, worker: Worker) -> None:
    """Words of one, speakers of the other."""
    server.submit("good", {"audio_url": "https://example.com/good.mp3?token=geheim"})
    output = server.result("good")["output"]
    assert output["segments"] == [{"start": 1.0, "end": 1.4, "speaker": "1", "text": "Geheimnis."}]


def test_a_childs_error_is_the_jobs(server: Platform, api: Server, worker: Worker) -> None:
    """With its code, as from the single worker; and the other endpoint's job is cancelled."""
    server.submit("failing", {"audio_url": "https://example.com/fail.mp3"})
    assert server.result("failing") == {
        "error": "unsupported_audio: not a recording",
        "output": {"success": False, "code": "unsupported_audio", "retryable": False},
    }
    assert [asked.job_id for asked in api.endpoints["turns"].of("cancel")] == ["fail"]


def test_a_cancelled_job_cancels_both_of_its_jobs(
    server: Platform, api: Server, worker: Worker
) -> None:
    """By the platform's stop signal; while it ran, progress was told, and another job is answered
    meanwhile.
    """
    server.submit("waiting", {"audio_url": "https://example.com/wait.mp3"})
    server.wait("waiting", bool)
    server.submit("meanwhile", {"audio_url": "https://example.com/good.mp3"})
    assert server.result("meanwhile")["output"]["success"] is True
    server.stops.put("waiting")
    server.submit("after", {"audio_url": "https://example.com/good.mp3"})
    assert server.result("after")["output"]["success"] is True
    assert {tuple(post) for post in server.posts["waiting"]} == {("status", "output")}
    assert server.posts["waiting"][-1]["output"] == {"stage": "queued", "percent": 0}
    deadline = time.monotonic() + 10  # nothing orders the stop and the job after it
    for name in ("words", "turns"):
        while (
            "wait"
            not in (cancelled := [asked.job_id for asked in api.endpoints[name].of("cancel")])
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        assert cancelled.count("wait") == 1


@pytest.mark.parametrize(
    "name", ["TRANSCRIPTION_ENDPOINT_ID", "DIARIZATION_ENDPOINT_ID", "RUNPOD_API_KEY"]
)
def test_a_missing_setting_stops_the_worker_with_one_line_that_names_it(
    server: Platform, api: Server, tmp_path: Path, name: str
) -> None:
    """Before it takes a job."""
    worker = Worker(
        MODULE, tmp_path / "log", **environment(api, **{name: ""}), **server.environment
    )
    assert worker.process.wait(timeout=120) == 1
    assert (
        worker.log.splitlines()[-1]
        == f"invalid_settings: {name}: not set; the orchestrator needs two endpoints and a key "
        "that may use them"
    )


def test_a_key_that_is_refused_stops_the_worker(server: Platform, tmp_path: Path) -> None:
    """The fitness check names the setting; the key itself is nowhere."""
    with serve(words=Endpoint(), turns=Endpoint(health=[Reply(401, "no")])) as api:
        worker = Worker(MODULE, tmp_path / "log", **environment(api), **server.environment)
        assert worker.process.wait(timeout=120) == 1
    assert "check that RUNPOD_API_KEY may use it" in worker.log
    assert KEY not in worker.log
