"""Speech that only the speaker model hears: it is asked for once more, whichever role does it.

The speech model is told what it hears, and misses seven seconds of a long recording.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.untimed import untimed
from core.domain.timeline import Span, Transcription
from core.domain.watch import Watch
from core.flows.diarization import DiarizationFlow
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.settings import Settings
from emulator.scripted import Asked, Reply
from emulator.scripted import Scripted as Endpoint
from tests.asking import ask
from tests.core.flows.test_orchestrated import Speakers, Speech, orchestrator, works
from tests.media import gives, host, write_wav
from tests.replies import KEY, completed, failed

QUIET = Span(24.0, 31.0)
"""What is missed, of 75 s."""
SHORT_S = 15.0
"""In a shorter stretch the model misses nothing."""
CHAIN = {"replace": {"dr.": "Mr.", "mr.": "Mrs.", "fine": "fine fine"}}
"""What it makes of a text is not what it makes of that again."""


class HardOfHearing(Speech):
    """A speech model that misses a stretch, unless it hears that alone."""

    def transcribe(self, utterances: Any, **rest: Any) -> Transcription:
        """Leave out the words of the stretch."""
        heard = list(utterances)
        found = super().transcribe(heard, **rest)
        if sum(one.duration for one in heard) < SHORT_S:
            return found
        return Transcription(
            tuple(one for one in found.words if not QUIET.overlap(one)),
            tuple(one for one in found.characters if not QUIET.overlap(one)),
            found.language,
        )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Noise, in which the models hear what they are told."""
    noise = np.random.default_rng(1).normal(0, 0.1, 75 * 16_000).astype(np.float32)
    return write_wav(tmp_path_factory.mktemp("recording") / "a.wav", noise).read_bytes()


@pytest.fixture
def question(recording: bytes) -> dict[str, object]:
    """All of it, with everything that an answer can have."""
    audio = base64.b64encode(recording).decode()
    return {"audio_base64": audio, "response_format": "verbose_json", "timestamps": True}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """For all roles."""
    monkeypatch.setenv("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "true")
    return Settings(temp_dir=tmp_path / "jobs", runpod_api_key=KEY, job_timeout=120)  # type: ignore[arg-type]


@pytest.fixture
def reader(settings: Settings) -> Reader:
    """Of those settings."""
    return Reader(settings)


def _missed(answer: dict[str, Any]) -> list[str]:
    return [
        word["word"]
        for word in answer["words"]
        if QUIET.overlap(Span(word["start"], word["end"])) > 0.1
    ]


def test_missed_words_of_a_turn_are_found_by_the_second_question(
    reader: Reader, question: dict[str, object]
) -> None:
    """They are those that the model hears alone, at their places, and the answer counts one place
    and has no gap.
    """
    answer = ask(SingleFlow(reader, HardOfHearing(), Speakers()), question)
    keen = ask(SingleFlow(reader, Speech(), Speakers()), question)
    assert len(_missed(answer)) > 15
    assert answer["words"] == keen["words"]
    assert answer["timestamps"] == keen["timestamps"]
    assert (answer["repaired"], answer["gaps"]) == (1, [])
    assert (keen["repaired"], keen["gaps"]) == (0, [])


def test_turns_that_the_caller_brings_do_the_same(
    reader: Reader, question: dict[str, object]
) -> None:
    """The transcription worker asks itself, for no more than the range if there is one; without
    turns it cannot know.
    """
    turns = ask(DiarizationFlow(reader, Speakers()), {"audio_base64": question["audio_base64"]})
    flow = TranscriptionFlow(reader, HardOfHearing())
    told = ask(flow, {**question, "diarization_segments": turns["segments"]})
    assert (told["repaired"], told["gaps"]) == (1, [])
    assert _missed(told)
    far = {"start": 1e306, "end": 1.1e306, "speaker": "1"}
    part = {"start": 25.0, "end": 60.0, "diarization_segments": [*turns["segments"], far]}
    ranged = ask(flow, {**question, **part})
    assert all(25 <= word["start"] < word["end"] <= 60 for word in ranged["words"])
    assert (ranged["repaired"], ranged["gaps"]) == (1, [])
    alone = ask(flow, question)
    assert (alone["repaired"], alone["coverage"]) == (0, None)
    assert not _missed(alone)


@pytest.mark.parametrize(("fanout", "edits"), [(1, CHAIN), (3, {})])
def test_orchestrator_asks_for_one_more_range_and_answers_as_the_single_worker(
    settings: Settings,
    reader: Reader,
    recording: bytes,
    question: dict[str, object],
    fanout: int,
    edits: dict[str, object],
) -> None:
    """To the last byte, also if the recording was parted before, or if words are replaced, which
    happens once.
    """
    words = Endpoint(**works(TranscriptionFlow(reader, HardOfHearing())))
    turns = Endpoint(**works(DiarizationFlow(reader, Speakers())))
    with host() as files, orchestrator(settings, words, turns, transcription_fanout=fanout) as flow:
        asked = {"audio": files.url("/a.wav", gives(recording))} | {
            name: value for name, value in question.items() if name != "audio_base64"
        }
        asked |= edits
        orchestrated = untimed(ask(flow, asked, Watch()))
        single = untimed(ask(SingleFlow(reader, HardOfHearing(), Speakers()), asked))
    assert json.dumps(orchestrated) == json.dumps(single)
    assert orchestrated["repaired"] == 1
    *first, last = (one.body["input"] for one in words.of("run"))
    assert len(first) == fanout
    assert last["start"] < QUIET.start < QUIET.end < last["end"]
    assert not {"part", "replace"} & set(last)


@pytest.mark.parametrize("reply", [failed("out_of_memory", "too large"), None])
def test_second_question_that_fails_or_waits_leaves_the_gap_in_the_answer(
    settings: Settings, reply: Reply
) -> None:
    """The words that were found are worth more than an error, and are not held back while the job
    waits in its queue: it is cancelled, and would not have outlived the wait.
    """
    words = {"language": "en", "duration": 9.0, "words": [{"word": "Yes.", "start": 1, "end": 1.4}]}
    turn = {"start": 1.0, "end": 6.0, "speaker": "1"}
    turns = completed({"segments": [turn], "exclusive_segments": [turn]})

    def fate(asked: Asked) -> Reply:
        return completed(words) if asked.job_id == heard.jobs[0].id else reply

    heard = Endpoint(status=fate)
    with orchestrator(settings, heard, Endpoint(status=[turns])) as flow:
        asked = {"audio_url": "https://example.com/a.mp3", "response_format": "verbose_json"}
        patience_s = 0.2 if reply is None else 30.0
        answer = ask(replace(flow, patience_s=patience_s), asked, Watch())
    first, second = (one.body["policy"] for one in heard.of("run"))
    assert second["ttl"] <= 30_000 < first["ttl"] == 120_000
    assert len(heard.of("cancel")) == (reply is None)
    assert answer["gaps"] == [{"start": 1.4, "end": 6.0}]
    assert answer["warnings"] == [
        "no words were found between 1.4 s and 6.0 s, where there is sound; it may be music or "
        "noise"
    ]


def test_nothing_is_added_once_somebody_has_listened(
    reader: Reader, question: dict[str, object]
) -> None:
    """All words were told in order; the gap is told instead."""
    flow = SingleFlow(reader, HardOfHearing(), Speakers())
    answer = ask(flow, question, Watch(heard=lambda _: None))
    assert answer["repaired"] == 0
    assert len(answer["gaps"]) == 1
