"""The orchestrator against the REST API on loopback; behind it the real flows of the split workers,
with speech models that are told what they hear.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from bench.untimed import untimed
from core.domain.request import Decoding, SpeakerCount
from core.domain.timeline import Character, Diarization, Transcription, Turn, Voice, Word
from core.domain.watch import Watch
from core.errors import (
    Cancelled,
    DeadlineExceeded,
    EndpointRefused,
    InvalidRequest,
    JobFailed,
    SettingsError,
    UnsupportedLanguage,
    VoiceTooShort,
    WorkerError,
)
from core.flows.diarization import DiarizationFlow
from core.flows.orchestrated import OrchestratedFlow, load
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.media.cutting import Utterance, utterances
from core.remote import Pace
from core.settings import Settings
from core.speakers.identify import Matching
from core.wire.form import TranscriptFormat
from emulator.scripted import Asked, Reply, Script, serve
from emulator.scripted import Scripted as Endpoint
from emulator.simulated import Line
from handlers.runpod.failures import failure
from tests.asking import ask
from tests.media import gives, host, write_wav
from tests.replies import HTML, KEY, QUEUED, RESET, completed, failed, state

QUICK = Pace(
    tries=4,
    first_wait_s=0.02,
    longest_wait_s=0.05,
    jitter_s=0.01,
    request_s=10,
    first_poll_s=0.01,
    longest_poll_s=0.05,
)
URL = {"audio_url": "https://example.com/call.mp3?token=geheim"}
SECONDS = 75.0
WARNINGS = ("no words were found between 1.0 s and 2.0 s",)
MODEL = "three-voices"
VECTORS = ((1.0, 0.0, 0.0), (0.0, 0.8, 0.6), (0.0, -0.6, 0.8))
TEXT = ["So,", "Dr.", "Mayer,", "how", "are", "you?", "Fine.", "no", "no", "<i>", "3.5", "%"]


class Speech:
    """A speech model that hears a word every third of a second, whatever the sound is: the same
    wherever it is cut.
    """

    def prepared(self, decoding: Decoding) -> Decoding:
        """Any language but Klingon."""
        if decoding.language == "tlh":
            raise UnsupportedLanguage("language 'tlh' is not known")
        return decoding

    def cut(self, blocks: Any, *, start_s: float = 0.0, piece_s: float = 500.0) -> Any:
        """Cut as for most models."""
        return utterances(blocks, start_s=start_s, piece_s=piece_s)

    def transcribe(
        self,
        utterances: Any,
        *,
        decoding: Decoding,
        progress: Any,
        cancelled: Any,
        duration_s: float | None = None,
        heard: Any = None,
    ) -> Transcription:
        """Words that lie in one of the utterances."""
        spans = [utterance.span for utterance in utterances if isinstance(utterance, Utterance)]
        words = [
            word
            for word in map(self._word, range(300))
            if any(span.start <= word.start and word.end <= span.end for span in spans)
        ]
        characters = tuple(
            Character(word.start, word.end, char) for word in words for char in word.text
        )
        return Transcription(
            tuple(words),
            characters,
            decoding.language,
            WARNINGS,
        )

    @staticmethod
    def _word(index: int) -> Word:
        start = index / 3 + 0.01 * math.sin(index)
        confidence = None if index % 7 == 0 else abs(math.sin(index / 9))
        return Word(
            start, start + 0.2 + 0.05 * math.cos(index), TEXT[index % len(TEXT)], confidence
        )


class Speakers:
    """A speaker model that hears three who talk into each other."""

    matching = Matching(0.6, 0.1)

    def check(self, voice: Voice) -> None:
        """Take vectors of its own alone."""
        if voice.model != MODEL:
            raise InvalidRequest("the vector is of another model")

    def voice(self, waveform: Any, *, cancelled: Any) -> tuple[Voice, tuple[str, ...]]:
        """Whatever is sent is the second speaker's."""
        if waveform.duration < 2:
            raise VoiceTooShort("the audio is too short")
        return Voice(MODEL, VECTORS[1]), ("it is doubtful",)

    def diarize(
        self,
        waveform: Any,
        *,
        speakers: SpeakerCount,
        progress: Any,
        cancelled: Any,
        voices: bool = False,
    ) -> Diarization:
        """Turns at odd times."""
        starts = [
            waveform.start + 2.71828 * index for index in range(int(waveform.duration / 2.71828))
        ]
        exclusive = tuple(
            Turn(start, start + 2.3 + 0.4 * math.sin(start), str(1 + index % 3))
            for index, start in enumerate(starts)
        )
        ordinary = tuple(replace(turn, end=turn.end + 0.6) for turn in exclusive)
        asked = (f"the model was made to find {speakers.exact}",) if speakers.exact else ()
        heard = tuple(
            Voice(MODEL, vector, str(number), 0.1 + number)
            for number, vector in enumerate(VECTORS, start=1)
        )
        return Diarization(ordinary, exclusive, asked, voices=heard if voices else None)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Noise that a cut overlaps in, and pauses that it does not."""
    noise = np.random.default_rng(1).normal(0, 0.1, int(SECONDS * 16_000)).astype(np.float32)
    noise[20 * 16_000 : 21 * 16_000] = 0
    return write_wav(tmp_path_factory.mktemp("recording") / "a.wav", noise).read_bytes()


@pytest.fixture(scope="module")
def inline(recording: bytes) -> dict[str, str]:
    """The recording in the request."""
    return {"audio_base64": base64.b64encode(recording).decode()}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """For all roles."""
    monkeypatch.setenv("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "true")
    return Settings(temp_dir=tmp_path / "jobs", runpod_api_key=KEY, job_timeout=120)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_secret_or_unretrieved(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No log has the key, a URL's query or a word; no task fails unseen; no thread stays."""
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx2").setLevel(logging.ERROR)
    yield
    assert not [secret for secret in (KEY, "geheim", "Mayer") if secret in caplog.text]
    assert "never retrieved" not in caplog.text


def works(flow: Any) -> dict[str, Any]:
    """An endpoint behind which a flow works, one job after the other."""

    async def handle(job: dict[str, Any], _line: Line) -> object:
        try:
            return await asyncio.to_thread(ask, flow, job["input"], Watch())
        except WorkerError as error:
            return failure(error)

    return {"handler": handle}


@contextmanager
def orchestrator(
    settings: Settings, words: Endpoint, turns: Endpoint, pace: Pace = QUICK, **changes: object
) -> Iterator[OrchestratedFlow]:
    """A flow whose endpoints these are."""
    with serve(words=words, turns=turns) as server:
        changed = settings.model_copy(
            update={
                "transcription_endpoint_id": "words",
                "diarization_endpoint_id": f"{server.base_url}/turns",
                "runpod_endpoint_base_url": server.base_url,
                **changes,
            }
        )
        yield replace(load(changed), pace=pace)


def counts(endpoint: Endpoint) -> dict[str, int]:
    """How often each route was asked."""
    return {route: len(endpoint.of(route)) for route in ("run", "cancel")}


# the same answer as the single worker's


@pytest.fixture
def both(settings: Settings) -> Iterator[Callable[..., tuple[str, str]]]:
    """Ask the single worker and the orchestrator the same; gives both answers as they are sent."""
    reader = Reader(settings)
    single = SingleFlow(reader, Speech(), Speakers())
    words = Endpoint(**works(TranscriptionFlow(reader, Speech())))
    turns = Endpoint(**works(DiarizationFlow(reader, Speakers())))

    def ask(**job_input: object) -> tuple[str, str]:
        return _outcome(single, job_input), _outcome(flow, job_input)

    with orchestrator(settings, words, turns) as flow:
        yield ask


def _outcome(flow: Any, job_input: object) -> str:
    try:
        return json.dumps(untimed(ask(flow, job_input, Watch())), allow_nan=False)
    except WorkerError as error:
        return f"{error.code}: {error}, {error.retryable}, {error.refresh_worker}"


@pytest.mark.parametrize("response_format", list(TranscriptFormat))
@pytest.mark.parametrize("timestamps", [False, True])
def test_the_answer_is_the_single_workers(
    both: Any, inline: dict[str, str], response_format: str, timestamps: bool
) -> None:
    """To the last byte, in every format."""
    single, orchestrated = both(**inline, response_format=response_format, timestamps=timestamps)
    assert orchestrated == single
    assert "Mayer" in single


@pytest.mark.parametrize(
    "question",
    [
        {"diarize": False, "timestamps": True},
        {"diarize": False, "response_format": "srt"},
        {"start": 10.5, "end": 40, "response_format": "srt"},
        {"start": 30, "response_format": "verbose_json"},
        {"num_speakers": 3, "language": "de"},
        {"min_speakers": 1, "max_speakers": 4, "audio_format": "wav"},
        {"language": "und", "diarize": None},
        {"language": "en", "replace": {"mayer": "Meier", "how are": "what were", "no no": "no"}},
        {"keyterms": ["Dr. Mayer"], "language": "ja", "task": "translate", "remove_fillers": True},
        {"replace": {"fine": ""}, "timestamps": True, "response_format": "verbose_json"},
        {"language": "de", "remove_fillers": True, "response_format": "vtt", "timestamps": True},
    ],
)
def test_every_field_does_what_it_does_in_the_single_worker(
    both: Any, inline: dict[str, str], question: dict[str, object]
) -> None:
    """Ranges, counts, languages, and no speakers at all."""
    single, orchestrated = both(**inline, **question)
    assert orchestrated == single
    assert '"success": true' in single


def test_usage_is_told_by_both_with_the_orchestrators_own_view_beside_the_workers(
    settings: Settings, inline: dict[str, str]
) -> None:
    """The same figures, and besides the seconds in which it waited for each endpoint; the length is
    that of the range.
    """
    reader = Reader(settings)
    words = Endpoint(**works(TranscriptionFlow(reader, Speech())))
    turns = Endpoint(**works(DiarizationFlow(reader, Speakers())))
    question = {**inline, "start": 10.5, "end": 40}
    single = ask(SingleFlow(reader, Speech(), Speakers()), question)["usage"]
    with orchestrator(settings, words, turns) as flow:
        orchestrated = ask(flow, question)["usage"]
    assert single["seconds_of_audio"] == orchestrated["seconds_of_audio"] == 29.5
    assert single["model"] == orchestrated["model"] == settings.model_id
    kinds = ["download", "decode", "speech", "speakers", "merge"]
    assert list(single["seconds"]) == kinds
    spent = orchestrated["seconds"]
    assert list(spent) == [*kinds, "transcription", "diarization"]
    assert single["seconds"]["decode"] > 0
    assert spent["decode"] > 0
    assert spent["transcription"] >= spent["speech"]


def test_warnings_are_told_once_and_in_order(both: Any, recording: bytes) -> None:
    """Of a recording that was cut short, which both workers notice."""
    half = base64.b64encode(recording[: len(recording) // 2]).decode()
    single, orchestrated = both(audio_base64=half, num_speakers=2)
    assert orchestrated == single
    assert ["cut short" in warning for warning in json.loads(single)["warnings"]] == [
        True,
        False,
        False,
    ]


WRONG = {
    "nothing": {},
    "unknown field": {**URL, "lang": "en"},
    "counts that do not agree": {**URL, "num_speakers": 2, "max_speakers": 3},
    "unknown format": {**URL, "response_format": "rttm"},
    "not base64": {"audio_base64": "/etc/passwd"},
    "no bytes": {"audio": "data:audio/wav;base64,"},
    "data without base64": {"audio": "data:audio/wav,abc"},
    "ftp": {"audio_url": "ftp://example.com/a.mp3"},
    "no host": {"audio_url": "https:///a.mp3"},
    "not an object": "https://example.com/a.mp3",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_refused_as_the_single_worker_does_before_any_job(
    settings: Settings, name: str
) -> None:
    """With the same code and the same sentence."""
    single = SingleFlow(Reader(settings), Speech(), Speakers())
    words, turns = Endpoint(status=[QUEUED]), Endpoint(status=[QUEUED])
    with orchestrator(settings, words, turns) as flow:
        assert _outcome(flow, WRONG[name]) == _outcome(single, WRONG[name])
    assert words.asked == turns.asked == []


@pytest.mark.parametrize(
    "question",
    [
        {"audio_base64": base64.b64encode(b"Dear all, here is the recording.\n" * 9).decode()},
        {"start": 1000},
        {"language": "tlh"},
    ],
)
def test_what_only_a_worker_can_see_comes_back_with_its_code(
    both: Any, inline: dict[str, str], question: dict[str, object]
) -> None:
    """Unsupported audio, a range outside, an unknown language."""
    single, orchestrated = both(**(question if "audio" in str(question) else inline | question))
    assert orchestrated == single
    assert '"success"' not in single


OF_ANOTHER_ROLE = {
    "diarization": lambda reader: DiarizationFlow(reader, Speakers()),
    "single": lambda reader: SingleFlow(reader, Speech(), Speakers()),
}


@pytest.mark.parametrize("role", OF_ANOTHER_ROLE)
def test_a_worker_of_another_role_in_the_place_of_the_transcription_worker_is_told(
    settings: Settings, role: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator mixed up the endpoints; the caller's request is right, and no worker is old."""
    words = Endpoint(**works(OF_ANOTHER_ROLE[role](Reader(settings))))
    with orchestrator(settings, words, Endpoint(status=[QUEUED])) as flow:
        assert _outcome(flow, URL) == (
            "endpoint_refused: the transcription endpoint does not take response_format as a "
            "transcription worker of this version does; check TRANSCRIPTION_ENDPOINT_ID, "
            "False, False"
        )
    assert counts(words)["run"] == 1
    assert "before 0.2" not in caplog.text


def test_a_transcription_worker_in_the_place_of_the_diarization_worker_is_told(
    settings: Settings,
) -> None:
    """By the field that it does not have; callers who can do without speakers get the words."""
    turns = Endpoint(**works(TranscriptionFlow(Reader(settings), Speech())))
    asked = {**URL, "num_speakers": 2}
    with orchestrator(settings, Endpoint(status=[WORDS]), turns) as flow:
        assert _outcome(flow, asked) == (
            "endpoint_refused: the diarization endpoint does not take num_speakers as a "
            "diarization worker of this version does; check DIARIZATION_ENDPOINT_ID, False, False"
        )
        answer = ask(flow, {**asked, "on_diarization_error": "transcript_only"})
    assert answer["warnings"] == [
        "no speakers: diarization failed with endpoint_refused; this is the transcript alone"
    ]


def test_on_diarization_error_takes_two_words(settings: Settings) -> None:
    """And no other."""
    with orchestrator(settings, Endpoint(), Endpoint()) as flow:
        assert "on_diarization_error" in _outcome(flow, {**URL, "on_diarization_error": "ignore"})


# parts


@pytest.mark.parametrize(("fanout", "timestamps"), [(2, False), (3, True), (7, False)])
def test_a_recording_in_parts_is_the_whole(
    settings: Settings, recording: bytes, fanout: int, timestamps: bool
) -> None:
    """No word is lost or doubled, also where parts meet in the middle of speech and where a part
    has none.
    """
    reader = Reader(settings)
    words = Endpoint(**works(TranscriptionFlow(reader, Speech())))
    turns = Endpoint(**works(DiarizationFlow(reader, Speakers())))
    with host() as files, orchestrator(settings, words, turns, transcription_fanout=fanout) as flow:
        question = {
            "audio": files.url("/a.wav", gives(recording)),
            "timestamps": timestamps,
            "response_format": "verbose_json",
        }
        assert _outcome(flow, question) == _outcome(
            SingleFlow(reader, Speech(), Speakers()), question
        )
    assert [asked.body["input"]["part"] for asked in _by_part(words)] == [
        {"index": index, "of": fanout} for index in range(fanout)
    ]
    assert counts(turns) == {"run": 1, "cancel": 0}


def _by_part(words: Endpoint) -> list[Asked]:
    return sorted(words.of("run"), key=lambda asked: asked.body["input"]["part"]["index"])


@pytest.mark.parametrize(
    "question", [{"audio_base64": "UklGRg=="}, {**URL, "start": 5}, {**URL, "end": 5}]
)
def test_a_range_and_what_stands_in_the_request_are_not_parted(
    settings: Settings, question: dict[str, object]
) -> None:
    """One job, without `part`."""
    words, turns = Endpoint(status=[WORDS]), Endpoint(status=[TURNS])
    parts = {"transcription_fanout": 4, "diarization_fanout": 4}
    with orchestrator(settings, words, turns, **parts) as flow:
        ask(flow, question, Watch())
    for endpoint in (words, turns):
        (asked,) = endpoint.of("run")
        assert "part" not in asked.body["input"]


def test_s3_is_a_url(settings: Settings) -> None:
    """The orchestrator needs no settings for it."""
    words, turns = Endpoint(status=[WORDS]), Endpoint(status=[TURNS])
    with orchestrator(settings, words, turns, transcription_fanout=2) as flow:
        ask(flow, {"audio": "s3://calls/1.opus"}, Watch())
    assert counts(words)["run"] == 2


def test_where_one_part_fails_all_others_are_cancelled(settings: Settings) -> None:
    """Each exactly once, and the part's own code is what the caller reads."""

    def fate(asked: Asked) -> Reply:
        return failed("out_of_memory", "too large") if asked.job_id == broken() else QUEUED

    words = Endpoint(status=fate)
    turns = Endpoint(status=[QUEUED])

    def broken() -> str:
        return next((job.id for job in words.jobs if job.input["part"]["index"] == 1), "")

    with (
        orchestrator(settings, words, turns, transcription_fanout=3) as flow,
        pytest.raises(JobFailed) as caught,
    ):
        ask(flow, URL, Watch())
    assert caught.value.code == "out_of_memory"
    assert sorted(asked.job_id for asked in words.of("cancel")) == sorted(
        {job.id for job in words.jobs} - {broken()}
    )
    assert counts(turns) == {"run": 1, "cancel": 1}


# together

WORDS = completed(
    {
        "language": "en",
        "duration": 3.2,
        "warnings": [],
        "words": [{"word": "Yes.", "start": 1.0, "end": 1.4, "confidence": 0.9}],
    }
)
TURNS = completed(
    {
        "warnings": [],
        "segments": [{"start": 0.5, "end": 2.0, "speaker": "1"}],
        "exclusive_segments": [{"start": 0.5, "end": 2.0, "speaker": "1"}],
    }
)


def after(seconds: float, reply: Reply, before: Reply = QUEUED) -> Script:
    """A job that is done some time after the first look at it."""
    first: list[float] = []

    def script(asked: Asked) -> Reply:
        first.append(asked.at)
        return reply if asked.at - first[0] >= seconds else before

    return script


def test_both_endpoints_work_at_the_same_time(settings: Settings) -> None:
    """Two jobs of two seconds together take little more than one."""
    words, turns = Endpoint(status=after(2, WORDS)), Endpoint(status=after(2, TURNS))
    with orchestrator(settings, words, turns, Pace()) as flow:
        started = time.monotonic()
        answer = ask(flow, URL, Watch())
        assert time.monotonic() - started < 3.6
    assert answer["segments"] == [{"start": 1.0, "end": 1.4, "speaker": "1", "text": "Yes."}]


def test_each_endpoint_is_asked_only_what_is_its_own(settings: Settings) -> None:
    """The recording of both; words of one, speakers of the other; as long as the job may take."""
    words, turns = Endpoint(status=[WORDS]), Endpoint(status=[TURNS])
    asked = {
        **URL,
        "language": "en",
        "min_speakers": 2,
        "start": 1,
        "end": 9,
        "response_format": "srt",
        "on_diarization_error": "fail",
    }
    with orchestrator(settings, words, turns) as flow:
        ask(flow, asked, Watch())
    recording = {"audio": URL["audio_url"], "start": 1.0, "end": 9.0}
    policy = {"executionTimeout": 120_000, "ttl": 120_000}
    of_words = {**recording, "language": "en", "response_format": "compact"}
    assert words.of("run")[0].body == {"input": of_words, "policy": policy}
    assert turns.of("run")[0].body == {"input": {**recording, "min_speakers": 2}, "policy": policy}
    assert {one.key for one in (*words.asked, *turns.asked)} == {f"Bearer {KEY}"}


def test_without_speakers_only_transcription_is_called(settings: Settings) -> None:
    """`diarize: false`."""
    words, turns = Endpoint(status=[WORDS]), Endpoint()
    with orchestrator(settings, words, turns) as flow:
        assert ask(flow, {**URL, "diarize": False}, Watch())["text"] == "Yes."
    assert turns.asked == []


def test_progress_of_both_is_one_that_never_goes_back(settings: Settings) -> None:
    """It is that of the one behind; a job that the platform runs again does not set it back."""
    steps = [
        ("downloading", 0),
        ("decoding", 5),
        ("transcribing", 10),
        ("transcribing", 80),
        ("downloading", 0),
        ("transcribing", 50),
    ]
    words = Endpoint(
        status=[
            QUEUED,
            *(
                state("IN_PROGRESS", output={"stage": stage, "percent": done})
                for stage, done in steps
            ),
            WORDS,
        ]
    )
    told: list[tuple[str, float]] = []
    with orchestrator(
        settings,
        words,
        Endpoint(
            status=after(
                0.4, TURNS, state("IN_PROGRESS", output={"stage": "diarizing", "percent": 60})
            )
        ),
    ) as flow:
        ask(flow, URL, Watch(lambda stage, fraction: told.append((stage, fraction))))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert told[-1] == ("merging", 1.0)
    assert max(
        fraction for stage, fraction in told if stage == "diarizing" and fraction < 1
    ) == pytest.approx(0.6)


def test_a_large_file_in_the_request_is_refused_before_any_job(settings: Settings) -> None:
    """By /runsync the orchestrator gets up to 20 MB, by /run it can pass on 10."""
    words, turns = Endpoint(), Endpoint()
    with orchestrator(settings, words, turns) as flow:
        outcome = _outcome(flow, {"audio_base64": base64.b64encode(bytes(9_000_000)).decode()})
    assert outcome.startswith(
        "source_too_large: the request has 12.0 MB and the platform carries 10 MB"
    )
    assert words.asked == turns.asked == []


# one fails


@pytest.mark.parametrize("broken", ["words", "turns"])
def test_where_one_fails_the_other_is_cancelled_and_the_cause_is_told(
    settings: Settings, broken: str
) -> None:
    """Once; with the code, the sentence and `retryable` of the worker."""
    endpoints = {name: Endpoint(status=[QUEUED]) for name in ("words", "turns")}
    endpoints[broken] = Endpoint(status=[QUEUED, failed("unsupported_audio", "not a recording")])
    with (
        orchestrator(settings, **endpoints) as flow,
        pytest.raises(JobFailed, match=r"^not a recording$") as caught,
    ):
        ask(flow, URL, Watch())
    assert (caught.value.code, caught.value.retryable) == ("unsupported_audio", False)
    assert counts(endpoints.pop(broken)) == {"run": 1, "cancel": 0}
    assert [counts(other) for other in endpoints.values()] == [{"run": 1, "cancel": 1}]


def test_the_first_cause_wins(settings: Settings) -> None:
    """Also where the other fails while it is cancelled."""
    words = Endpoint(status=after(0.2, failed("damaged_audio", "first")))
    turns = Endpoint(
        status=after(0.5, failed("out_of_memory", "second")), cancel=[Reply(500, "no")]
    )
    with orchestrator(settings, words, turns) as flow:
        assert _outcome(flow, URL).startswith("damaged_audio: first")


def test_a_sibling_that_is_still_being_submitted_is_cancelled_too(settings: Settings) -> None:
    """Its id comes late, and is waited for."""
    turns = Endpoint(run=[Reply(body={"id": "late"}, delay_s=0.5)], status=[QUEUED])
    with (
        orchestrator(settings, Endpoint(run=[Reply(401, "no")]), turns) as flow,
        pytest.raises(EndpointRefused),
    ):
        ask(flow, URL, Watch())
    assert [asked.job_id for asked in turns.of("cancel")] == ["late"]


def test_siblings_are_cancelled_once_whenever_one_fails(settings: Settings) -> None:
    """At twenty moments by chance, of which some lie in the submission."""
    chance = random.Random(3)
    for _ in range(20):
        moment = chance.uniform(0, 0.15)
        words = Endpoint(
            run=[Reply(body={"id": "w"}, delay_s=0.05)],
            status=after(moment, failed("damaged_audio", "broken")),
        )
        turns = Endpoint(
            run=[Reply(body={"id": "t"}, delay_s=chance.choice([0.0, 0.1, 0.2]))], status=[QUEUED]
        )
        with orchestrator(settings, words, turns) as flow:
            assert _outcome(flow, URL).startswith("damaged_audio: broken")
        assert counts(words) == {"run": 1, "cancel": 0}
        assert counts(turns) == {"run": 1, "cancel": 1}


def test_a_caller_who_cancels_ends_both_jobs(settings: Settings) -> None:
    """Each once, within a second."""
    words, turns = Endpoint(status=[QUEUED]), Endpoint(status=[QUEUED])

    def cancelled() -> bool:
        return bool(words.of("status") and turns.of("status"))

    started = time.monotonic()
    with orchestrator(settings, words, turns) as flow, pytest.raises(Cancelled):
        ask(flow, URL, Watch(cancelled=cancelled))
    assert time.monotonic() - started < 2
    assert counts(words) == counts(turns) == {"run": 1, "cancel": 1}


def test_the_deadline_ends_everything(settings: Settings) -> None:
    """And a second later nothing goes on, though nobody answers the cancelling."""
    words, turns = (Endpoint(status=[QUEUED], cancel=[Reply(body={}, delay_s=4)]) for _ in range(2))
    started = time.monotonic()
    with (
        orchestrator(settings, words, turns, job_timeout=1.0) as flow,
        pytest.raises(DeadlineExceeded),
    ):
        ask(flow, URL, Watch())
    assert time.monotonic() - started < 2.2
    assert counts(words) == counts(turns) == {"run": 1, "cancel": 1}


@pytest.mark.parametrize(
    ("scripts", "code"),
    [
        ({"status": [failed("out_of_memory", "too large")]}, "out_of_memory"),
        ({"run": [Reply(401, "no")]}, "endpoint_refused"),
        ({"run": [RESET]}, "endpoint_unavailable"),
        ({"status": [HTML]}, "endpoint_unavailable"),
        ({"status": [Reply(404, "gone")]}, "job_expired"),
        ({"status": [completed({"text": "of a transcription worker"})]}, "endpoint_refused"),
        ({"status": [QUEUED]}, "deadline_exceeded"),
    ],
)
def test_who_can_do_without_speakers_gets_the_transcript(
    settings: Settings, scripts: dict[str, Any], code: str
) -> None:
    """As with `diarize: false`, and a warning that says why."""
    words, turns = Endpoint(status=after(0.3, WORDS)), Endpoint(**scripts)
    with orchestrator(settings, words, turns, job_timeout=2.0) as flow:
        answer = ask(flow, {**URL, "on_diarization_error": "transcript_only"}, Watch())
        plain = ask(flow, {**URL, "diarize": False}, Watch())
    assert untimed(answer) == untimed(plain) | {
        "warnings": [f"no speakers: diarization failed with {code}; this is the transcript alone"]
    }
    assert counts(words) == {"run": 2, "cancel": 0}


def test_nobody_can_do_without_words(settings: Settings) -> None:
    """`transcript_only` is no help where transcription fails."""
    words, turns = (
        Endpoint(status=after(0.2, failed("damaged_audio", "broken"))),
        Endpoint(status=[QUEUED]),
    )
    with orchestrator(settings, words, turns) as flow:
        assert _outcome(flow, {**URL, "on_diarization_error": "transcript_only"}).startswith(
            "damaged_audio: broken"
        )
    assert counts(turns) == {"run": 1, "cancel": 1}


# one worker


def test_many_jobs_at_once_do_not_meet(settings: Settings) -> None:
    """Sixteen threads, each with its own answer or error; and when they are done no thread is
    left.
    """

    def said(asked: Asked) -> Reply:
        return Reply(
            body={"id": asked.body["input"]["audio"].rsplit("/", 1)[1], "status": "IN_QUEUE"}
        )

    def ended(asked: Asked) -> Reply:
        if int(asked.job_id) % 5 == 0:
            return failed("damaged_audio", asked.job_id)
        return completed(
            {
                "language": "en",
                "duration": 1.0,
                "words": [{"word": asked.job_id, "start": 0.0, "end": 0.5}],
                "segments": [],
                "exclusive_segments": [],
            }
        )

    before = threading.active_count()
    words, turns = Endpoint(run=said, status=ended), Endpoint(run=said, status=ended)
    with orchestrator(settings, words, turns) as flow, ThreadPoolExecutor(16) as pool:
        outcomes = list(
            pool.map(
                lambda number: _outcome(flow, {"audio_url": f"https://example.com/{number}"}),
                range(64),
            )
        )
    for number, outcome in enumerate(outcomes):
        assert (
            outcome.startswith(f"damaged_audio: {number},")
            if number % 5 == 0
            else json.loads(outcome)["text"] == str(number)
        )
    time.sleep(0.2)
    assert threading.active_count() <= before + 1


def test_a_rehearsal_fails_only_where_the_key_is_refused(settings: Settings) -> None:
    """Also when it is called on an event loop, as the SDK does."""

    async def rehearse(flow: OrchestratedFlow) -> None:
        flow.rehearse(Path())

    for reply in (Reply(body={}), Reply(503, "busy"), Reply(404, "?"), RESET):
        with orchestrator(settings, Endpoint(health=[reply]), Endpoint(health=[reply])) as flow:
            asyncio.run(rehearse(flow))
    with (
        orchestrator(settings, Endpoint(), Endpoint(health=[Reply(401, "no")])) as flow,
        pytest.raises(EndpointRefused, match="RUNPOD_API_KEY"),
    ):
        asyncio.run(rehearse(flow))


def test_a_rehearsal_hands_on_what_nobody_expected(settings: Settings) -> None:
    """A worker that cannot even ask does not start."""
    with (
        orchestrator(
            settings, Endpoint(), Endpoint(), runpod_api_key=SecretStr("schlüssel")
        ) as flow,
        pytest.raises(UnicodeEncodeError),
    ):
        flow.rehearse(Path())


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "DIARIZATION_ENDPOINT_ID, TRANSCRIPTION_ENDPOINT_ID, RUNPOD_API_KEY"),
        ({"diarization_endpoint_id": "a", "transcription_endpoint_id": "b"}, "RUNPOD_API_KEY"),
        ({"diarization_endpoint_id": "a", "runpod_api_key": KEY}, "TRANSCRIPTION_ENDPOINT_ID"),
    ],
)
def test_what_is_not_set_is_named(
    given: dict[str, Any], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it in one line."""
    for name in ("DIARIZATION_ENDPOINT_ID", "TRANSCRIPTION_ENDPOINT_ID", "RUNPOD_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match=f"^{missing}: not set; [^\n]*$"):
        load(Settings(**given))


def test_both_endpoints_cannot_be_the_same() -> None:
    """Nor an id and the URL that it becomes."""
    url = "https://api.runpod.ai/v2/abc123"
    for speakers in ("abc123", url, f"{url}/"):
        settings = Settings(
            transcription_endpoint_id="abc123", diarization_endpoint_id=speakers, runpod_api_key=KEY
        )  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="_ENDPOINT_ID: they name the same endpoint"):
            load(settings)


def test_an_id_becomes_a_url_and_a_url_stays_one() -> None:
    """RunPod's own address, unless told otherwise."""
    settings = Settings(
        diarization_endpoint_id="abc123",
        transcription_endpoint_id="http://127.0.0.1:8000/v2/words/",
        runpod_api_key=KEY,
    )  # type: ignore[arg-type]
    flow = load(settings)
    assert flow.diarization.url == "https://api.runpod.ai/v2/abc123"
    assert flow.transcription.url == "http://127.0.0.1:8000/v2/words"
    assert KEY not in repr(flow)
