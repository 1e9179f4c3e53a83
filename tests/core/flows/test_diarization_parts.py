"""Diarization of parts by several jobs: one answer, or one error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Turn, Voice
from core.domain.watch import Watch
from core.errors import Cancelled, InvalidRequest, JobFailed
from core.flows.diarization import DiarizationFlow
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.media.audio import Samples
from core.settings import Settings
from core.wire.answers import read_part
from core.wire.form import DiarizationFormat, Form
from core.wire.job_input import DiarizationInput, parse
from core.wire.render import render
from emulator.scripted import Asked, Reply
from emulator.scripted import Scripted as Endpoint
from tests.asking import ask
from tests.core.flows.test_orchestrated import (
    TURNS,
    URL,
    WORDS,
    Speech,
    _outcome,
    counts,
    orchestrator,
    settings,
    works,
)
from tests.core.flows.test_orchestrated import Speakers as ThreeVoices
from tests.media import Host, gives, host, write_wav
from tests.replies import QUEUED, failed, state

__all__ = ["settings"]

SECONDS = 75.0
LEAST_S = 20.0
MODEL = "four-voices"
VECTORS = np.eye(4).tolist()
ADA = {"name": "Ada", "embedding": {"model": MODEL, "vector": VECTORS[2]}}
EVE = {"name": "Eve", "embedding": {"model": MODEL, "vector": [0.1, 0.1, 0.1, 0.1]}}


class Speakers(ThreeVoices):
    """A speaker model that knows four people, who take turns that do not depend on where a
    recording is cut, and numbers them as it meets them.
    """

    linking = 0.5

    def __init__(self) -> None:
        self.heard: list[Samples] = []

    def check(self, voice: Voice) -> None:
        """Take vectors of its own alone."""
        if voice.model != MODEL:
            raise InvalidRequest("the vector is of another model")

    def diarize(
        self,
        waveform: Any,
        *,
        speakers: SpeakerCount,
        progress: Any,
        cancelled: Any,
        voices: bool = False,
    ) -> Diarization:
        """Turns of 2.5 s, one every 2.7 s; the last speaker comes late."""
        self.heard.append(waveform.samples)
        numbers: dict[int, str] = {}
        turns = []
        for index in range(40):
            start, person = round(2.7 * index, 3), 3 if index > 17 and index % 2 else index % 3
            start, end = max(start, waveform.start), min(round(start + 2.5, 3), waveform.end)
            if start < end:
                number = numbers.setdefault(person, str(len(numbers) + 1))
                turns.append(Turn(start, end, number))
        heard = tuple(
            Voice(MODEL, tuple(VECTORS[person]), number, 10.0) for person, number in numbers.items()
        )
        told = (f"asked for {speakers}",) if speakers != SpeakerCount() else ()
        return Diarization(
            tuple(turns), tuple(turns), told, waveform.end, heard if voices else None
        )


@pytest.fixture
def files() -> Iterator[Host]:
    """A host of files."""
    with host() as server:
        yield server


@pytest.fixture
def url(files: Host, tmp_path: Path) -> str:
    """The address of a recording."""
    noise = np.random.default_rng(1).normal(0, 0.1, int(SECONDS * 16_000)).astype(np.float32)
    return files.url("/a.wav", gives(write_wav(tmp_path / "a.wav", noise).read_bytes()))


def diarization(settings: Settings, least_s: float = LEAST_S) -> DiarizationFlow:
    """A worker whose parts may be short."""
    return DiarizationFlow(Reader(settings), Speakers(), least_s)


def words(settings: Settings) -> Endpoint:
    """A transcription endpoint."""
    return Endpoint(**works(TranscriptionFlow(Reader(settings), Speech())))


def test_speakers_of_parts_are_those_of_the_whole(settings: Settings, url: str) -> None:
    """The answer is the single worker's, names, voices and warnings included; of four parts the
    recording is too short for one, and known voices are sent with the first alone.
    """
    turns = Endpoint(**works(diarization(settings)))
    question: dict[str, Any] = {
        "audio": url,
        "known_speakers": [ADA, EVE],
        "return_embeddings": True,
        "response_format": "verbose_json",
    }
    with orchestrator(settings, words(settings), turns, diarization_fanout=4) as flow:
        ours = json.loads(_outcome(flow, question))
    whole = json.loads(_outcome(SingleFlow(Reader(settings), Speech(), Speakers()), question))
    for voice in (*ours["embeddings"], *whole["embeddings"]):
        voice.pop("seconds")  # what two parts hear counts in both
    assert ours == whole
    assert {segment["speaker"] for segment in ours["segments"]} == {"1", "2", "Ada", "4"}
    asked = [one.body["input"] for one in turns.of("run")]
    assert sorted(one["part"]["index"] for one in asked) == [0, 1, 2, 3]
    assert [one["part"]["index"] for one in asked if "known_speakers" in one] == [0]


def test_a_recording_too_short_for_parts_is_one(settings: Settings, url: str) -> None:
    """It keeps the number of speakers that was asked for, which a part would not; the model hears
    it once, for the first part.
    """
    asked = {"audio": url, "num_speakers": 4, "part": {"index": 0, "of": 2}}
    flow = diarization(settings, least_s=60.0)
    answer = ask(flow, asked)
    empty = ask(flow, {**asked, "part": {"index": 1, "of": 2}})
    assert [len(samples) for samples in flow.diarizer.heard] == [SECONDS * 16_000, 0]  # type: ignore[attr-defined]
    assert (empty["part"]["start"], empty["segments"]) == (SECONDS, [])
    assert answer["part"]["end"] == answer["duration"] == SECONDS
    (warning,) = answer["warnings"]
    assert warning.startswith("asked for SpeakerCount(exact=4")


def test_a_worker_that_knows_no_parts_is_asked_for_the_whole(settings: Settings) -> None:
    """Once, after it has refused."""

    def reply(asked: Asked) -> Reply:
        sentence = "part: unknown field; other roles have it, this one does not"
        is_part = "part" in inputs(turns)[asked.job_id]
        return failed("invalid_request", sentence) if is_part else TURNS

    turns = Endpoint(status=reply)
    with orchestrator(settings, Endpoint(status=[WORDS]), turns, diarization_fanout=2) as flow:
        assert ask(flow, URL)["segments"][0]["speaker"] == "1"
    assert ["part" in asked.body["input"] for asked in turns.of("run")] == [True, True, False]


def inputs(endpoint: Endpoint) -> dict[str, Any]:
    """What each job asks, by its id."""
    return {job.id: job.input for job in endpoint.jobs}


def broken_part(turns: Endpoint, index: int) -> str:
    """The id of the job for a part; empty if there is none yet."""
    asked = inputs(turns).items()
    return next((job_id for job_id, one in asked if one["part"]["index"] == index), "")


def test_where_a_part_fails_all_other_jobs_are_cancelled(settings: Settings) -> None:
    """Each once, and its code is the caller's; who can do without speakers gets the words."""

    def fate(asked: Asked) -> Reply:
        is_broken = asked.job_id == broken_part(turns, 2)
        return failed("out_of_memory", "too large") if is_broken else QUEUED

    turns, spoken = Endpoint(status=fate), Endpoint(status=[QUEUED])
    with (
        orchestrator(settings, spoken, turns, diarization_fanout=3) as flow,
        pytest.raises(JobFailed) as caught,
    ):
        ask(flow, URL, Watch())
    assert caught.value.code == "out_of_memory"
    assert counts(turns) == {"run": 3, "cancel": 2}
    assert counts(spoken) == {"run": 1, "cancel": 1}

    turns, spoken = Endpoint(status=fate), Endpoint(status=[WORDS])
    with orchestrator(settings, spoken, turns, diarization_fanout=3) as flow:
        answer = ask(flow, {**URL, "on_diarization_error": "transcript_only"}, Watch())
    assert answer["warnings"] == [
        "no speakers: diarization failed with out_of_memory; this is the transcript alone"
    ]
    assert counts(turns) == {"run": 3, "cancel": 2}


def test_an_answer_that_says_nothing_of_its_part_is_refused(settings: Settings) -> None:
    """It may be of the whole, whose turns would then be counted several times."""
    turns = Endpoint(status=[TURNS])
    with orchestrator(settings, Endpoint(status=[WORDS]), turns, diarization_fanout=2) as flow:
        assert _outcome(flow, URL).startswith("endpoint_refused: the answer of the diarization")


def test_a_caller_who_cancels_ends_all_parts(settings: Settings) -> None:
    """Each once, though the words could do without them; progress is that of the slowest part."""
    turns, spoken = Endpoint(status=progress()), Endpoint(status=[WORDS])
    told: list[float] = []

    def cancelled() -> bool:
        return len({asked.job_id for asked in turns.of("status")}) == 3 and 0.25 in told

    watch = Watch(lambda _, fraction: told.append(fraction), cancelled)
    with (
        orchestrator(settings, spoken, turns, diarization_fanout=3) as flow,
        pytest.raises(Cancelled),
    ):
        ask(flow, {**URL, "on_diarization_error": "transcript_only"}, watch)
    assert counts(turns) == {"run": 3, "cancel": 3}
    assert max(told) == 0.25


def progress() -> Any:
    """Each job is further than the one before."""
    seen: dict[str, int] = {}

    def script(asked: Asked) -> Reply:
        number = seen.setdefault(asked.job_id, len(seen) + 1)
        return state("IN_PROGRESS", output={"stage": "diarizing", "percent": 25 * number})

    return script


def test_the_answer_about_a_part_is_read_back_as_it_was(settings: Settings, url: str) -> None:
    """Turns, margins, voices, and those of known speakers."""
    asked = {"audio": url, "part": {"index": 1, "of": 3}, "known_speakers": [ADA]}
    question = parse(DiarizationInput, asked)
    part = diarization(settings).run(question.request, Watch())
    answer = json.loads(json.dumps(render(part, Form(DiarizationFormat.JSON))))
    assert replace(read_part(answer), usage=None) == replace(part, usage=None)
    assert (answer["part"]["start"], answer["part"]["end"]) == (20.0, 40.0)
    assert answer["part"]["known_speakers"][0] == ADA
    assert len(answer["part"]["margin_segments"]) > 1
    assert answer["usage"]["seconds_of_audio"] == 75.0


def test_a_part_of_a_range_is_refused(settings: Settings) -> None:
    """As the transcription worker does."""
    asked = {**URL, "part": {"index": 0, "of": 2}, "start": 3}
    with pytest.raises(InvalidRequest, match="give part, or start and end, not both"):
        parse(DiarizationInput, asked)
