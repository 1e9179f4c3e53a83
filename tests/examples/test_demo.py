"""The demo: what it says of a transcript, and how it ends when it is interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import InternalError
from core.settings import Settings
from emulator.server import Server
from emulator.simulated import Line
from examples import demo
from examples.client import JobError
from handlers.runpod.worker import make_handler
from tests.examples.conftest import ROOT, TEXT, URL, Worker

TRUTH = {
    "words": [
        {"text": text, "speaker": speaker}
        for text, speaker in [("Are", "A"), ("you", "A"), ("ready?", "A"), ("Yes.", "B")]
    ]
}


def heard(*words: tuple[str, str | None]) -> dict[str, object]:
    """Return an answer with these words and speakers."""
    return {"words": [{"word": word, "speaker": speaker} for word, speaker in words]}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demo in a folder, in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEMP_DIR": str(folder / "jobs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def test_a_perfect_transcript_has_every_word_and_speaker() -> None:
    """Whatever the labels, capitals and punctuation."""
    answer = heard(("are", "2"), ("you", "2"), ("ready", "2"), ("yes", "1"))
    assert demo.score(TRUTH, answer) == "of 4 words 4 are right, and 4 have the right speaker"


def test_wrong_words_and_wrong_speakers_are_counted_apart() -> None:
    """A misheard word may have the right speaker; a word of nobody has none."""
    answer = heard(("Are", "1"), ("you", None), ("steady?", "1"), ("Yes.", "2"))
    assert demo.score(TRUTH, answer) == "of 4 words 3 are right, and 3 have the right speaker"


def test_one_speaker_for_two_people_is_right_about_one() -> None:
    """The label counts for whoever has more of its words."""
    answer = heard(("Are", "1"), ("you", "1"), ("ready?", "1"), ("Yes.", "1"))
    assert demo.score(TRUTH, answer) == "of 4 words 4 are right, and 3 have the right speaker"


def test_only_a_file_of_words_and_speakers_is_the_truth(tmp_path: Path) -> None:
    """Whatever else has the recording's name is left alone."""
    (tmp_path / "meeting.json").write_text('{"title": "Meeting"}')
    assert demo.truth(tmp_path / "meeting.mp3") is None
    assert demo.truth(tmp_path / "other.mp3") is None
    known = demo.truth(demo.SAMPLE)
    assert known
    assert known["num_speakers"] == 3


@pytest.mark.usefixtures("platform")
def test_an_answer_is_left_behind_although_the_next_one_fails(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is saved as it comes."""
    monkeypatch.chdir(tmp_path)
    demo.OUTPUT.mkdir()
    worker = Worker()

    def no_subtitles(_: object) -> None:
        if worker.asked[-1].form.response_format == "srt":
            raise InternalError("no subtitles today")

    worker.behaviour = no_subtitles
    handler = make_handler(worker, worker.parse, Settings())

    async def handle(job: dict[str, Any], _: Line) -> object:
        return await handler(job)

    server.simulate("orchestrator", handle)
    with pytest.raises(JobError, match="internal_error: no subtitles today"):
        asyncio.run(demo.transcribe(server.base_url, {"audio_url": URL}))
    server.remove("orchestrator")
    (left,) = demo.OUTPUT.iterdir()
    assert TEXT in left.read_text()


def test_a_file_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    """In one line, and no worker has left a log."""
    ended = start(tmp_path, "nofile.mp3")
    _, said = ended.communicate(timeout=60)
    assert ended.returncode == 1
    assert "nofile.mp3" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "demo-output").exists()


def test_ctrl_c_ends_the_workers_in_order(tmp_path: Path) -> None:
    """A terminal sends SIGINT to the whole group: no traceback, exit code 130, nobody killed."""
    running = start(tmp_path)
    assert running.stdout
    while "ready after" not in running.stdout.readline():
        assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "")
    log = (tmp_path / "demo-output" / "workers" / "emulator.log").read_text()
    assert "code -9" not in log
    assert not list((tmp_path / "jobs").glob("*"))
