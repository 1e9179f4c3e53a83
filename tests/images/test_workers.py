"""The images at work: locked up, with no way out but the emulator, on the embedded models."""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import jiwer
import pytest

from tests.images.build import ROLES
from tests.images.engine import ROOT, Engine, EngineError
from tests.images.platform import EMBEDDED, LOCKED, Platform, Worker

pytestmark = pytest.mark.images

DIALOGUE = {
    "audio_base64": base64.b64encode((ROOT / "examples" / "dialogue.mp3").read_bytes()).decode()
}
REFERENCE = json.loads((ROOT / "examples" / "dialogue.json").read_text())


@pytest.fixture(scope="module")
def workers(running: Platform) -> Iterator[dict[str, Worker]]:
    """One worker of each role, all of them ready."""
    with ExitStack() as stack:
        started = {role: stack.enter_context(running.worker(role)) for role in reversed(ROLES)}
        for role, worker in started.items():
            running.wait_until_ready(role, worker)
        yield started


def plain(text: str) -> str:
    """Lower case, letters and apostrophes only."""
    return " ".join("".join(c for c in text.lower() if c.isalpha() or c in "' ").split())


@pytest.mark.parametrize("role", ["orchestrator", "single"])
def test_the_sample_comes_back_with_its_words_and_speakers(
    running: Platform, workers: dict[str, Worker], role: str
) -> None:
    """Out of the orchestrator's container, which has the other two do it, and out of the single
    worker's.
    """
    assert workers
    answer = running.run(role, {**DIALOGUE, "response_format": "verbose_json"})
    spoken = " ".join(word["text"] for word in REFERENCE["words"])
    assert jiwer.wer(plain(spoken), plain(answer["text"])) <= 0.25
    assert answer["num_speakers"] == REFERENCE["num_speakers"]
    assert {word["speaker"] for word in answer["words"]} >= {"1", "2", "3"}


@pytest.mark.parametrize("role", ROLES)
def test_a_worker_has_no_rights(workers: dict[str, Worker], role: str) -> None:
    """Python is process 1 and belongs to nobody special; it has no capability and can get none."""
    worker = workers[role]
    status = dict(
        line.split(":\t", 1)
        for line in worker.do("cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )
    assert set(status["Uid"].split()) == {"10001"}
    assert "0" not in status["Gid"].split()
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert worker.do("cat", "/proc/1/cmdline").split("\0")[:3] == [
        "python",
        "-m",
        f"handlers.{role}",
    ]


@pytest.mark.parametrize("role", ROLES)
def test_a_worker_can_write_to_tmp_alone(workers: dict[str, Worker], role: str) -> None:
    """Not beside its code, not into its libraries, not into a home."""
    worker = workers[role]
    for folder in ("/app", "/app/core", "/opt/venv/lib", "/root", "/home", "/var", "/usr/local"):
        with pytest.raises(EngineError):
            worker.do("touch", f"{folder}/written")
    worker.do("touch", "/tmp/written")


def test_no_worker_was_short_of_memory(workers: dict[str, Worker], engine: Engine) -> None:
    """The limits hold and suffice; this runs after the jobs above."""
    for worker in workers.values():
        assert engine.container(worker.name)["HostConfig"]["Memory"] == 4 << 30
        assert worker.state["Running"], worker.logs()[-2000:]
        assert not worker.state["OOMKilled"]


@pytest.mark.parametrize("role", ROLES)
def test_a_worker_that_is_told_to_end_finishes_its_job(
    running: Platform, workers: dict[str, Worker], role: str
) -> None:
    """SIGTERM in the middle of a job: the answer is posted, then the container ends with code 0."""
    job_id = running.submit(role, DIALOGUE)
    running.until(lambda: running.status(role, job_id)["status"] == "IN_PROGRESS", 60)
    if role == "orchestrator":  # in the middle: its own jobs are under way
        running.until(lambda: running.health("transcription")["running"] > 0, 60)
    assert workers[role].stop(timeout_s=120) == 0, workers[role].logs()[-2000:]
    job = running.status(role, job_id)
    assert job["status"] == "COMPLETED", job
    assert job["output"]["success"] is True


@pytest.mark.parametrize("role", ROLES)
def test_what_a_worker_prints_has_no_word_of_the_transcript(
    workers: dict[str, Worker], role: str
) -> None:
    """Nor a traceback, nor a warning about a folder that it could not write to."""
    printed = workers[role].logs()
    assert "Traceback" not in printed
    assert "Read-only file system" not in printed
    assert "Permission denied" not in printed
    assert "Can I ask you" not in printed


WRONG = [
    ("single", {**EMBEDDED, "CHUNK_DURATION": "long"}, "CHUNK_DURATION"),
    ("single", {**EMBEDDED, "WORKER_CONCURRENCY": "0"}, "WORKER_CONCURRENCY"),
    ("transcription", {"MODEL_ID": "/models/gone.nemo"}, "gone.nemo"),
    ("transcription", {}, "nvidia/parakeet-tdt-0.6b-v2"),
    ("diarization", {"DIARIZATION_MODEL_ID": "not an id"}, "not an id"),
    ("diarization", {}, "pyannote/speaker-diarization-community-1"),
    (
        "orchestrator",
        {"RUNPOD_API_KEY": "any", "DIARIZATION_ENDPOINT_ID": "d"},
        "TRANSCRIPTION_ENDPOINT_ID",
    ),
    ("orchestrator", {"JOB_TIMEOUT": "-1"}, "JOB_TIMEOUT"),
]


@pytest.mark.parametrize(
    ("role", "variables", "named"),
    WRONG,
    ids=[f"{role}-{named.replace('/', '-')}" for role, _, named in WRONG],
)
def test_a_wrong_or_missing_setting_ends_in_one_line(
    engine: Engine, images: dict[str, str], role: str, variables: dict[str, str], named: str
) -> None:
    """That names it; the exit code is 1.

    A model that is nowhere, with no network to fetch it by, ends the same way.
    """
    settings = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    done = engine.attempt("run", "--rm", "--network", "none", *LOCKED, *settings, images[role])
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""


def test_a_worker_that_is_told_to_end_while_it_starts_ends(
    running: Platform, images: dict[str, str]
) -> None:
    """Also as process 1, for which Linux drops signals that nobody handles."""
    assert images
    with running.worker("single") as worker:
        running.until(lambda: "model" in worker.logs(), 120)
        assert worker.stop(timeout_s=60) == 128 + signal.SIGTERM, worker.logs()


def test_an_image_can_be_tried_without_the_platform(engine: Engine, images: dict[str, str]) -> None:
    """By the SDK's local API, as docs/images.md has it."""
    page = (ROOT / "docs" / "images.md").read_text()
    written = re.search(r"docker (run [^\n]*) \\\n  \S+ (python -m handlers.single [^\n]*)", page)
    assert written
    options, command = map(shlex.split, written.groups())
    options = [
        option.replace("8000:8000", "127.0.0.1::8000") for option in options if option != "--rm"
    ]
    container = engine.do(*options, "--detach", images["single"], *command).strip()
    try:
        port = engine.container(container)["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            Platform.until(lambda: _answers(client), 120)
            job = client.post("/runsync", json={"input": DIALOGUE}).json()
        assert job["output"]["num_speakers"] == REFERENCE["num_speakers"]
    finally:
        engine.do("rm", "--force", container)


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/openapi.json").status_code == 200
    except httpx2.HTTPError:
        return False
