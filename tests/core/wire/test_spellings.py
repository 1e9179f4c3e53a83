"""Absent-like values, unmistakable spellings and broken text in requests."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.request import SpeakerCount
from core.errors import InvalidRequest
from core.wire.form import DiarizationFormat, TranscriptFormat, WorkerFormat
from core.wire.job_input import (
    AudioInput,
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)

URL = {"audio_url": "https://example.com/talk.mp3"}
ROLES: list[type[AudioInput]] = [
    SingleInput,
    OrchestratorInput,
    DiarizationInput,
    TranscriptionInput,
]
HALF = "\ud83d"
"""The first half of an emoji, as text cut by UTF-16 units ends with."""


def _refusal(kind: type[AudioInput], fields: dict[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse(kind, fields)
    return str(refused.value)


@pytest.mark.parametrize("nothing", [None, "", " ", "\n"])
@pytest.mark.parametrize("kind", ROLES)
def test_what_says_nothing_counts_as_left_out(kind: type[AudioInput], nothing: str | None) -> None:
    """In every field, the other two sources included: forms send what nobody filled in."""
    fields = set(kind.model_fields) - set(URL)
    assert parse(kind, URL | dict.fromkeys(fields, nothing)).recording == parse(kind, URL).recording
    assert parse(kind, URL | dict.fromkeys(fields, nothing)).form == parse(kind, URL).form


@pytest.mark.parametrize("source", ["audio", "audio_url", "audio_base64"])
def test_empty_sources_leave_the_full_one(source: str) -> None:
    """Whichever it is."""
    value = "UklGRg==" if source == "audio_base64" else URL["audio_url"]
    empty = dict.fromkeys(("audio", "audio_url", "audio_base64"), "")
    assert parse(SingleInput, empty | {source: value}).recording.source.value == value


@pytest.mark.parametrize("word", ["auto", "AUTO", " auto ", "und", "none", "null", "", None])
def test_an_undecided_language_is_none(word: str | None) -> None:
    """The model decides then, or the answer has none."""
    assert parse(SingleInput, URL | {"language": word}).request.decoding.language is None


@pytest.mark.parametrize("field", ["num_speakers", "min_speakers", "max_speakers"])
def test_an_automatic_number_of_speakers_is_unknown(field: str) -> None:
    """As if it had not been given."""
    assert parse(SingleInput, URL | {field: "auto"}).request.speakers == SpeakerCount()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("True", True), ("true", True), (" FALSE", False), ("false", False), (True, True)],
)
@pytest.mark.parametrize("field", ["diarize", "timestamps", "timestamp"])
def test_booleans_are_read_from_their_names(field: str, written: object, meant: bool) -> None:
    """In any case, as Python and JavaScript print them."""
    asked = parse(SingleInput, URL | {field: written})
    assert (asked.diarize if field == "diarize" else asked.timestamps) is meant


@pytest.mark.parametrize("written", ["yes", "on", "0", 0, 1, "word", [True]])
@pytest.mark.parametrize("field", ["diarize", "timestamps"])
def test_what_may_mean_either_is_no_boolean(field: str, written: object) -> None:
    """It is refused, with the field's name."""
    assert _refusal(SingleInput, URL | {field: written}) == (
        f"{field}: input should be a valid boolean"
    )


@pytest.mark.parametrize("written", [2, "2", " 2 ", 2.0, "02"])
def test_whole_numbers_are_read_from_text(written: object) -> None:
    """As forms and some encoders write them."""
    assert parse(SingleInput, URL | {"num_speakers": written}).num_speakers == 2


@pytest.mark.parametrize("written", ["2.5", "two", "-1", "1e1", "٢", True, [2], "9" * 5000])
def test_what_is_no_whole_number_is_refused(written: object) -> None:
    """However it is written; digits of other scripts and endless ones included."""
    assert "num_speakers: input should be" in _refusal(SingleInput, URL | {"num_speakers": written})


@pytest.mark.parametrize(("written", "meant"), [("10", 10.0), (" 1.5 ", 1.5), (3, 3.0)])
def test_times_are_read_from_text(written: object, meant: float) -> None:
    """The recording's range and the caller's turns alike."""
    assert parse(SingleInput, URL | {"end": written}).end == meant
    turn = {"start": 0, "end": written, "speaker": 7}
    (read,) = parse(TranscriptionInput, URL | {"diarization_segments": [turn]}).turns or ()
    assert (read.end, read.speaker) == (meant, "7")


@pytest.mark.parametrize("written", ["1:30", "nan", "inf", "-1", "1_0", "9" * 5000, "soon"])
def test_what_is_no_time_is_refused(written: str) -> None:
    """A clock's time too: whether 1:30 is minutes nobody can tell."""
    assert _refusal(SingleInput, URL | {"start": written}).startswith("start: input should be")


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        (SingleInput, "JSON", TranscriptFormat.JSON),
        (SingleInput, " Verbose-JSON ", TranscriptFormat.VERBOSE_JSON),
        (TranscriptionInput, "SRT", TranscriptFormat.SRT),
        (TranscriptionInput, "compact", WorkerFormat.COMPACT),
        (DiarizationInput, "RTTM", DiarizationFormat.RTTM),
    ],
)
def test_formats_are_read_in_any_case(kind: type[AudioInput], written: str, meant: object) -> None:
    """With a hyphen for the underscore too."""
    assert parse(kind, URL | {"response_format": written}).form.response_format is meant


def test_what_to_do_without_speakers_is_read_in_any_case() -> None:
    """As formats are."""
    asked = parse(OrchestratorInput, URL | {"on_diarization_error": "Transcript-Only"})
    assert asked.request.on_diarization_error == "transcript_only"


@pytest.mark.parametrize(
    ("one", "other", "meant"), [(True, True, True), ("true", True, True), (False, "False", False)]
)
def test_both_spellings_of_timestamps_may_agree(one: object, other: object, meant: bool) -> None:
    """Clients for two servers send both."""
    assert parse(SingleInput, URL | {"timestamps": one, "timestamp": other}).timestamps is meant


def test_one_of_both_spellings_may_be_empty() -> None:
    """Then the other one counts."""
    assert parse(SingleInput, URL | {"timestamps": None, "timestamp": True}).timestamps
    assert parse(SingleInput, URL | {"timestamps": True, "timestamp": ""}).timestamps


@pytest.mark.parametrize("kind", ROLES)
def test_half_a_character_is_refused_in_every_field(kind: type[AudioInput]) -> None:
    """By a sentence that can itself be sent: nobody could write the text into an answer."""
    for field in kind.model_fields:
        fields = (URL if field not in ("audio", "audio_base64") else {}) | {field: f"a{HALF}b"}
        said = _refusal(kind, fields)
        assert said.startswith(f"{field}: "), said
        assert said.encode()


@pytest.mark.parametrize(
    "fields",
    [
        {HALF: 1},
        {HALF: None},
        {f"lang{HALF}": "en"},
        {"part": {"index": 0, "of": 2, HALF: 1}},
        {"diarization_segments": [{"start": 0, "end": 1, "speaker": HALF}]},
        {"diarization_segments": [{"start": 0, "end": 1, "speaker": "1", HALF: 1}]},
    ],
    ids=range(6),
)
def test_half_a_character_is_refused_in_names_and_inside(fields: dict[str, Any]) -> None:
    """The refusal does not repeat it."""
    said = _refusal(TranscriptionInput, URL | fields)
    assert "half a character" in said
    assert said.encode()


def test_whole_characters_are_taken() -> None:
    """Of every plane."""
    turn = {"start": 0, "end": 1, "speaker": "Zoë 😀"}
    (read,) = parse(TranscriptionInput, URL | {"diarization_segments": [turn]}).turns or ()
    assert read.speaker == "Zoë 😀"
