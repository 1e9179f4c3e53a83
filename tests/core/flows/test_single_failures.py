"""The single worker whose speaker model fails: what the caller gets, and what the orchestrator
answers in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from bench.untimed import untimed
from core.domain.timeline import Diarization, Transcription
from core.domain.watch import Watch
from core.errors import Cancelled, ModelFailed, OutOfMemory, WorkerError
from core.flows.diarization import DiarizationFlow
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.settings import Settings
from core.wire.job_input import SingleInput, parse
from emulator.scripted import Scripted as Endpoint
from tests.asking import ask
from tests.core.flows.test_orchestrated import (
    Speakers,
    Speech,
    inline,
    orchestrator,
    recording,
    settings,
    works,
)

__all__ = ["inline", "recording", "settings"]

TRANSCRIPT_ONLY = {"on_diarization_error": "transcript_only"}


class Silent(Speakers):
    """A speaker model that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def diarize(self, *_: Any, **__: Any) -> Diarization:
        """Raise."""
        raise self.error


class Waiting(Speakers):
    """A speaker model that works until it is cancelled."""

    def __init__(self) -> None:
        self.started = threading.Event()

    def diarize(self, *_: Any, cancelled: Callable[[], bool], **__: Any) -> Diarization:
        """Wait."""
        self.started.set()
        while not cancelled():
            threading.Event().wait(0.01)
        raise Cancelled("the job was cancelled")


class Reporting(Speech):
    """A speech model that says when it is done."""

    def transcribe(self, *args: Any, progress: Callable[[float], None], **more: Any) -> Any:
        """Do as the other, and say so."""
        heard = super().transcribe(*args, progress=progress, **more)
        progress(1.0)
        return heard


class Deaf(Speech):
    """A speech model that fails."""

    def transcribe(self, *_: Any, **__: Any) -> Transcription:
        """Raise."""
        raise OutOfMemory("too large")


@pytest.mark.parametrize("error", [OutOfMemory("too large"), ModelFailed("broken")])
@pytest.mark.parametrize("response_format", ["json", "verbose_json", "srt"])
def test_who_can_do_without_speakers_gets_the_transcript(
    settings: Settings, inline: dict[str, str], error: WorkerError, response_format: str
) -> None:
    """As with `diarize: false`, and a warning that says why; the orchestrator answers the same."""
    reader = Reader(settings)
    asked = {**inline, **TRANSCRIPT_ONLY, "response_format": response_format}
    single = SingleFlow(reader, Speech(), Silent(error))
    answer = untimed(ask(single, asked))
    plain = untimed(ask(single, {**asked, "diarize": False}))
    said = f"no speakers: diarization failed with {error.code}; this is the transcript alone"
    assert answer == plain | {"warnings": [said, *plain["warnings"]]}
    words = Endpoint(**works(TranscriptionFlow(reader, Speech())))
    turns = Endpoint(**works(DiarizationFlow(reader, Silent(error))))
    with orchestrator(settings, words, turns) as flow:
        assert untimed(ask(flow, asked)) == answer


@pytest.mark.parametrize("error", [OutOfMemory("too large"), ModelFailed("broken")])
def test_a_transcript_says_whether_its_process_can_go_on(
    settings: Settings, inline: dict[str, str], error: WorkerError
) -> None:
    """After a failed GPU it cannot, also if the caller can do without speakers; nor does that
    failure hide behind one of the words.
    """
    request = parse(SingleInput, {**inline, **TRANSCRIPT_ONLY}).request
    transcript = SingleFlow(Reader(settings), Speech(), Silent(error)).run(request, Watch())
    assert transcript.refresh_worker is error.refresh_worker
    with pytest.raises(ModelFailed if error.refresh_worker else OutOfMemory):
        SingleFlow(Reader(settings), Deaf(), Silent(error)).run(request, Watch())


def test_progress_does_not_wait_for_a_failed_diarization(
    settings: Settings, inline: dict[str, str]
) -> None:
    """It comes to its end with the words, and never goes back."""
    shown: list[float] = []
    single = SingleFlow(Reader(settings), Reporting(), Silent(OutOfMemory("too large")))
    watch = Watch(report=lambda _, fraction: shown.append(fraction))
    ask(single, {**inline, **TRANSCRIPT_ONLY}, watch)
    assert shown == sorted(shown)
    assert shown[-1] == 1


def test_speakers_are_missed_unless_the_caller_says_otherwise(
    settings: Settings, inline: dict[str, str]
) -> None:
    """By default, and with `fail`."""
    single = SingleFlow(Reader(settings), Speech(), Silent(OutOfMemory("too large")))
    for asked in (inline, {**inline, "on_diarization_error": "fail"}):
        with pytest.raises(OutOfMemory):
            ask(single, asked)


def test_a_bug_is_not_hidden(settings: Settings, inline: dict[str, str]) -> None:
    """Only failures that have a code are done without."""
    single = SingleFlow(Reader(settings), Speech(), Silent(KeyError("bug")))
    with pytest.raises(KeyError):
        ask(single, {**inline, **TRANSCRIPT_ONLY})


def test_nobody_can_do_without_words(settings: Settings, inline: dict[str, str]) -> None:
    """The failure of the speech model ends the job, and stops the speaker model."""
    single = SingleFlow(Reader(settings), Deaf(), Waiting())
    with pytest.raises(OutOfMemory):
        ask(single, {**inline, **TRANSCRIPT_ONLY})


def test_a_cancelled_job_is_not_a_failed_diarization(
    settings: Settings, inline: dict[str, str]
) -> None:
    """It gets no answer."""
    speakers = Waiting()
    single = SingleFlow(Reader(settings), Speech(), speakers)
    with pytest.raises(Cancelled):
        ask(single, {**inline, **TRANSCRIPT_ONLY}, Watch(cancelled=speakers.started.is_set))
