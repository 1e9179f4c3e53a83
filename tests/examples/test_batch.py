"""batch: many recordings, some of them bad, and runs that go on where the last one stopped."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from core.errors import UnsupportedAudio
from core.wire.job_input import AudioInput
from emulator.job import Status
from emulator.server import Server
from examples import batch
from tests.examples.conftest import (
    ROOT,
    TEXT,
    URL,
    Behaviour,
    Platform,
    Run,
    Worker,
    command,
    until,
)

BAD = b"not a recording"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five recordings, one of them bad, and a file that is none."""
    recordings = tmp_path / "recordings"
    (recordings / "may").mkdir(parents=True)
    for name in ("a.wav", "b.mp3", "may/a.wav", "may/c.FLAC"):
        (recordings / name).write_bytes(b"RIFF, as far as the worker of the test cares")
    (recordings / "bad.wav").write_bytes(BAD)
    (recordings / "notes.txt").write_text("no recording")
    return recordings


def picky(request: AudioInput) -> None:
    """Refuse what is no recording."""
    if base64.b64decode(request.recording.source.value) == BAD:
        raise UnsupportedAudio("not a recording in a supported format; send one of wav, mp3")


def transcripts(out: Path) -> dict[str, str]:
    """All files in the folder for transcripts."""
    return {path.name: path.read_text() for path in sorted(out.iterdir())}


def test_one_bad_recording_harms_no_other(
    folder: Path, tmp_path: Path, platform: Platform, run: Run
) -> None:
    """Four transcripts, one failure listed with its reason, exit code 1."""
    endpoint = platform.open(Worker(behaviour=picky))
    ended = run(
        batch.main, folder, "--out", tmp_path / "out", "--endpoint", endpoint.name, "--jobs", 2
    )
    assert transcripts(tmp_path / "out") == dict.fromkeys(
        ("a.wav.txt", "b.mp3.txt", "may_a.wav.txt", "may_c.FLAC.txt"), TEXT
    )
    assert ended.code == 1
    assert ended.err.splitlines()[-2:] == [
        "1 failed:",
        f"  {folder / 'bad.wav'}: unsupported_audio: not a recording in a supported format; send "
        "one of wav, mp3",
    ]
    assert ended.err.startswith("5 recordings, 0 of them done already\n")


def test_a_folder_without_recordings_is_a_mistake(
    tmp_path: Path, platform: Platform, run: Run
) -> None:
    """Nothing is sent, and the program says what it looks for."""
    endpoint = platform.open(Worker())
    (tmp_path / "notes.txt").write_text("no recording")
    ended = run(batch.main, tmp_path, "--endpoint", endpoint.name)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("no recordings found; in folders, files ending with .wav .mp3")


def test_one_recording_is_not_recordings(tmp_path: Path, platform: Platform, run: Run) -> None:
    """And its options reach the worker."""
    endpoint = platform.open(Worker())
    options = ["--out", tmp_path, "--endpoint", endpoint.name, "--no-diarize", "--language", "en"]
    ended = run(batch.main, URL, *options)
    assert ended.err.startswith("1 recording, 0 of them done already\n")
    (job,) = endpoint.queue.ever
    assert (job.input["diarize"], job.input["language"]) == (False, "en")


def test_a_second_run_does_only_what_is_missing(
    folder: Path, tmp_path: Path, platform: Platform, run: Run
) -> None:
    """The bad recording is mended; nothing else is sent again."""
    worker = Worker(behaviour=picky)
    options = [
        "--out",
        tmp_path / "out",
        "--endpoint",
        platform.open(worker).name,
        "--format",
        "srt",
    ]
    run(batch.main, folder, *options)
    (folder / "bad.wav").write_bytes(b"RIFF, mended")
    worker.asked.clear()
    ended = run(batch.main, folder, *options)
    assert (ended.code, len(worker.asked)) == (0, 1)
    assert ended.err.startswith("5 recordings, 4 of them done already\n")
    assert transcripts(tmp_path / "out").keys() == {
        f"{name}.srt" for name in ("a.wav", "b.mp3", "bad.wav", "may_a.wav", "may_c.FLAC")
    }


def test_no_more_jobs_run_at_a_time_than_asked_for(
    tmp_path: Path, platform: Platform, run: Run
) -> None:
    """Three at most, and three at times, though the workers could do more."""
    lock, now, most = threading.Lock(), 0, 0

    def count(_: AudioInput) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.3)
        with lock:
            now -= 1

    endpoint = platform.open(Worker(behaviour=count), concurrency=9)
    urls = [f"https://example.com/{number}.mp3" for number in range(9)]
    assert (
        run(batch.main, *urls, "--out", tmp_path, "--endpoint", endpoint.name, "--jobs", 3).code
        == 0
    )
    assert len(transcripts(tmp_path)) == 9
    assert most == 3


def test_a_list_may_hold_files_and_urls(
    folder: Path, tmp_path: Path, platform: Platform, run: Run
) -> None:
    """One a line; a file that is not there is a failure like others, and a URL's query is not
    shown.
    """
    wishes = tmp_path / "list.txt"
    wishes.write_text(f"{folder / 'a.wav'}\n\n{URL}?signature=SECRET\n{tmp_path / 'gone.wav'}\n")
    worker = Worker()
    ended = run(
        batch.main,
        f"@{wishes}",
        "--out",
        tmp_path / "out",
        "--endpoint",
        platform.open(worker).name,
    )
    assert transcripts(tmp_path / "out").keys() == {"a.wav.txt", "example.com_call.mp3.txt"}
    assert f"{URL}?signature=SECRET" in [request.recording.source.value for request in worker.asked]
    assert ended.err.endswith(f"1 failed:\n  {tmp_path / 'gone.wav'}: No such file or directory")
    assert "SECRET" not in ended.err


def test_a_fresh_signature_is_the_same_recording(
    tmp_path: Path, platform: Platform, run: Run
) -> None:
    """Presigned URLs change from run to run; their transcripts do not move."""
    worker = Worker()
    options = ["--out", tmp_path, "--endpoint", platform.open(worker).name]
    run(batch.main, f"{URL}?signature=1", *options)
    run(batch.main, f"{URL}?signature=2", *options)
    assert len(worker.asked) == 1


@pytest.mark.usefixtures("platform")
def test_two_recordings_never_share_a_transcript(tmp_path: Path, run: Run) -> None:
    """Refused before anything is sent."""
    (tmp_path / "x").mkdir()
    for path in (tmp_path / "a.wav", tmp_path / "x" / "a.wav"):
        path.write_bytes(b"RIFF")
    ended = run(
        batch.main,
        tmp_path / "a.wav",
        tmp_path / "x" / "a.wav",
        "--out",
        tmp_path / "out",
        "--endpoint",
        "any",
    )
    assert ended.code == 1
    assert "would both become" in ended.err


def test_a_wrong_key_ends_the_run_at_once(
    folder: Path, tmp_path: Path, platform: Platform, run: Run
) -> None:
    """Not one failure per recording."""
    assert platform
    with Server(api_key="another") as strict:
        endpoint = strict.add("strict")
        ended = run(
            batch.main,
            folder,
            "--out",
            tmp_path / "out",
            "--endpoint",
            "strict",
            "--base-url",
            strict.base_url,
            "--jobs",
            1,
        )
    assert (
        ended.err.splitlines()[-1]
        == "endpoint_refused: check RUNPOD_API_KEY and the endpoint's id (HTTP status 401)"
    )
    assert endpoint.requests["run"] == 1


def test_ctrl_c_cancels_what_runs_and_leaves_what_is_done(
    folder: Path, tmp_path: Path, platform: Platform, stuck: Behaviour
) -> None:
    """No job is left behind and no half transcript."""
    worker = Worker(behaviour=lambda request: None if len(worker.asked) == 1 else stuck(request))
    endpoint = platform.open(worker, concurrency=5)
    arguments = command(
        "batch", folder, "--out", tmp_path / "out", "--endpoint", endpoint.name, "--jobs", 2
    )
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=dict(os.environ), stderr=subprocess.PIPE, text=True
    )
    until(
        lambda: (
            [job.status for job in endpoint.queue.ever]
            == [Status.COMPLETED, *[Status.IN_PROGRESS] * 2]
            and len(worker.asked) == 3
        )
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err
    assert [job.status for job in endpoint.queue.ever] == [
        Status.COMPLETED,
        *[Status.CANCELLED] * 2,
    ]
    assert len(transcripts(tmp_path / "out")) == 1
