"""The three workers as their users meet them: real processes, the SDK's local API, the embedded
models, a dialogue nobody trained on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jiwer
import pytest

from bench.untimed import untimed
from core.flows.orchestrated import OrchestratedFlow, load
from core.settings import Settings
from core.wire.form import TranscriptFormat
from emulator.server import Server
from emulator.simulated import Handler, Line
from tests.asking import ask
from tests.launched import Post, launched
from tests.local_api import LocalWorker
from tests.media import ffmpeg

ROLES = ("single", "transcription", "diarization")
EXAMPLES = Path(__file__).parents[2] / "examples"
DIALOGUE = EXAMPLES / "dialogue.mp3"
REFERENCE = json.loads((EXAMPLES / "dialogue.json").read_text())
AUDIO = {"audio_base64": base64.b64encode(DIALOGUE.read_bytes()).decode()}
FRAME_S = 0.081
"""Word times are multiples of 0.08 s; what is in a batch besides may tip one of two equally likely
frames.
"""
EMBEDDED = {"MODEL_ID": "embedded", "DIARIZATION_MODEL_ID": "embedded"}


class Workers:
    """The base URLs and the temp folder of the running workers."""

    def __init__(self, urls: dict[str, str], temp_dir: Path, logs: dict[str, Path]) -> None:
        self.urls, self.temp_dir, self.logs = urls, temp_dir, logs
        self._outputs: dict[str, dict[str, Any]] = {}

    def job(self, role: str, job_input: object) -> dict[str, Any]:
        """Run one job by /runsync and give the whole answer."""
        body = json.dumps({"input": job_input}).encode()
        request = urllib.request.Request(
            f"{self.urls[role]}/runsync", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    def output(self, role: str, **job_input: object) -> dict[str, Any]:
        """The output of a job on the dialogue that must succeed; the same question is asked
        once.
        """
        question = json.dumps([role, job_input], sort_keys=True)
        if question not in self._outputs:
            job = self.job(role, {**AUDIO, **job_input})
            assert job["status"] == "COMPLETED", job
            self._outputs[question] = job["output"]
        return self._outputs[question]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """All three roles, started side by side."""
    folder = tmp_path_factory.mktemp("workers")
    urls, logs = {}, {}
    with ExitStack() as stack:
        running = []
        for role in ROLES:
            logs[role] = folder / f"{role}.log"
            jobs = str(folder / "jobs")
            worker = LocalWorker(f"handlers.{role}", logs[role], TEMP_DIR=jobs, **EMBEDDED)
            stack.callback(worker.stop)
            urls[role] = worker.url
            running.append(worker)
        for worker in running:
            worker.wait_until_up()
        yield Workers(urls, folder / "jobs", logs)


def plain(text: str) -> str:
    """Lower case, letters and apostrophes only."""
    return " ".join("".join(c for c in text.lower() if c.isalpha() or c in "' ").split())


def test_single_answers_with_words_speakers_and_times(workers: Workers) -> None:
    """An unseen dialogue in mp3 comes back with nearly all its words, the right number of speakers,
    and times in order.
    """
    answer = workers.output("single", response_format="verbose_json")
    spoken = " ".join(word["text"] for word in REFERENCE["words"])
    assert jiwer.wer(plain(spoken), plain(answer["text"])) <= 0.25
    assert answer["num_speakers"] == len({word["speaker"] for word in REFERENCE["words"]})
    assert answer["duration"] == pytest.approx(REFERENCE["duration"], abs=0.2)
    times = [(word["start"], word["end"]) for word in answer["words"]]
    assert times == sorted(times)
    assert all(0 <= start <= end <= answer["duration"] for start, end in times)


def test_diarization_answers_with_turns(workers: Workers) -> None:
    """The diarization worker gives ordinary and exclusive turns of the same speakers."""
    answer = workers.output("diarization")
    assert answer["num_speakers"] == len({word["speaker"] for word in REFERENCE["words"]})
    assert {turn["speaker"] for turn in answer["exclusive_segments"]} == {
        turn["speaker"] for turn in answer["segments"]
    }


def test_transcription_alone_has_no_speakers(workers: Workers) -> None:
    """Without turns the transcription worker gives the same text as the single one, and nobody's
    name.
    """
    answer = workers.output("transcription", timestamps=True)
    assert answer["text"] == workers.output("single", diarize=False)["text"]
    assert "segments" not in answer
    assert " ".join(word["text"] for word in answer["timestamps"]["word"]) == answer["text"]


def test_split_equals_single(workers: Workers) -> None:
    """Diarization first, then transcription with its turns: the words carry the speakers that the
    single worker gives them.
    """
    turns = workers.output("diarization")["exclusive_segments"]
    split = workers.output(
        "transcription", diarization_segments=turns, response_format="verbose_json"
    )
    single = workers.output("single", response_format="verbose_json")
    assert [(w["word"], w["speaker"]) for w in split["words"]] == [
        (w["word"], w["speaker"]) for w in single["words"]
    ]


@pytest.fixture(scope="module")
def orchestrated(workers: Workers) -> Iterator[OrchestratedFlow]:
    """The orchestrator, between which and the running workers the emulator stands."""

    def hand_to(role: str) -> Handler:
        async def run(job: dict[str, Any], _line: Line) -> object:
            asked = {name: value for name, value in job["input"].items() if name != "audio"}
            return await asyncio.to_thread(workers.output, role, **asked)

        return run

    with Server() as server:
        endpoints = [
            server.simulate(role, hand_to(role)).name for role in ("transcription", "diarization")
        ]
        yield load(
            Settings(
                transcription_endpoint_id=endpoints[0],
                diarization_endpoint_id=endpoints[1],
                runpod_endpoint_base_url=server.base_url,
                runpod_api_key="any",  # type: ignore[arg-type]
            )
        )


@pytest.mark.parametrize("response_format", list(TranscriptFormat))
def test_orchestrated_equals_single(
    workers: Workers, orchestrated: OrchestratedFlow, response_format: TranscriptFormat
) -> None:
    """To the last byte, in every format; on twenty other dialogues: `python -m bench.equality`."""
    answer = ask(orchestrated, {**AUDIO, "response_format": str(response_format)})
    assert json.dumps(untimed(answer)) == json.dumps(
        untimed(workers.output("single", response_format=response_format))
    )


@pytest.mark.parametrize("response_format", list(TranscriptFormat))
def test_every_format_holds_the_same_words(workers: Workers, response_format: str) -> None:
    """Whatever the format, `text` is the whole text, and `success` is true."""
    answer = workers.output("single", response_format=response_format)
    assert answer["success"] is True
    assert plain(answer["text"]) == plain(workers.output("single", response_format="json")["text"])


def test_the_parts_of_a_recording_make_the_whole(workers: Workers) -> None:
    """Three parts, asked for one by one, hold together the words of the whole, each once."""
    parts = [workers.output("transcription", part={"index": index, "of": 3}) for index in range(3)]
    assert (
        " ".join(part["text"] for part in parts if part["text"])
        == workers.output("transcription")["text"]
    )
    assert {part["duration"] for part in parts} == {workers.output("transcription")["duration"]}


def test_a_range_keeps_the_times_of_the_whole_file(workers: Workers) -> None:
    """With start and end only that range is transcribed, and its words stand where they stand in
    the whole file.
    """
    middle = REFERENCE["duration"] / 2
    part = workers.output("single", start=middle, response_format="verbose_json")
    assert part["words"]
    assert all(word["start"] >= middle - 0.01 for word in part["words"])
    whole = workers.output("single", response_format="verbose_json")
    late = {word["word"]: word["start"] for word in whole["words"] if word["start"] > middle + 1}
    near = [
        abs(late[word["word"]] - word["start"]) for word in part["words"] if word["word"] in late
    ]
    assert sorted(near)[len(near) // 2] < 0.2


def test_nothing_is_left_behind_and_no_transcript_is_logged(workers: Workers) -> None:
    """After the jobs the temp folder is empty, and the logs hold no sentence of the dialogue."""
    text = max((segment["text"] for segment in workers.output("single")["segments"]), key=len)
    assert list(workers.temp_dir.iterdir()) == []
    assert not any(text in log.read_text() for log in workers.logs.values())


def has_transcribed(posts: list[Post]) -> bool:
    """Tell whether a job's progress shows that something of it has been transcribed."""
    return any(
        post["output"]["stage"] == "transcribing" and post["output"]["percent"] > 0
        for post in posts
    )


def test_two_jobs_at_once_and_one_is_cancelled(tmp_path: Path) -> None:
    """A transcription worker that takes four jobs at a time: the cancelled one ends within 2 s, the
    other's answer is as if alone.
    """
    ffmpeg("-stream_loop", "59", "-i", DIALOGUE, "-c", "copy", tmp_path / "long.mp3")
    long = {"audio_base64": base64.b64encode((tmp_path / "long.mp3").read_bytes()).decode()}
    four = {"WORKER_CONCURRENCY": "4", "TEMP_DIR": str(tmp_path / "jobs")}
    with (
        Server() as server,
        launched(server, "handlers.transcription", tmp_path, **four, **EMBEDDED) as worker,
    ):
        worker.submit("long", long)
        worker.wait_for_line("long", "Started", timeout_s=600)
        worker.wait("long", has_transcribed, timeout_s=600)
        worker.submit("short", {**AUDIO, "timestamps": True})
        worker.wait_for_line("short", "Started")
        worker.cancel("long")
        worker.wait_for_line("long", "Stopping job.")
        heard = time.monotonic()
        worker.wait_for_line("long", "Job stopped.")
        assert time.monotonic() - heard <= 2
        together = worker.result("short")["output"]
        worker.submit("again", {**AUDIO, "timestamps": True})
        alone = worker.result("again")["output"]
    assert worker.exit_codes == {0}
    assert all(post["status"] == "IN_PROGRESS" for post in worker.posts("long"))
    assert together["text"] == alone["text"]
    for one, other in zip(together["timestamps"]["word"], alone["timestamps"]["word"], strict=True):
        assert one["start"] == pytest.approx(other["start"], abs=FRAME_S)
    assert list((tmp_path / "jobs").iterdir()) == []
