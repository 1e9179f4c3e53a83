"""Requests: what each role takes, and what it says to what it does not take."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Decoding, SpeakerCount, Task
from core.domain.timeline import Turn
from core.errors import InvalidRequest
from core.wire.form import DiarizationFormat, TranscriptFormat
from core.wire.job_input import (
    AudioInput,
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)

URL = "https://example.com/talk.mp3?signature=geheim"
ROLES: list[type[AudioInput]] = [
    SingleInput,
    OrchestratorInput,
    DiarizationInput,
    TranscriptionInput,
]


def _refusal(kind: type[AudioInput], **fields: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse(kind, {"audio_url": URL} | fields)
    return str(refused.value)


# the recording


@pytest.mark.parametrize("kind", ROLES)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", URL),
        ("audio", "UklGRg=="),
        ("audio", "data:audio/wav;base64,UklGRg=="),
        ("audio_url", "s3://bucket/key.wav"),
        ("audio_url", "data:audio/wav;base64,UklGRg=="),
        ("audio_base64", "UklGRg=="),
    ],
)
def test_one_recording_is_taken_in_any_of_its_forms(
    kind: type[AudioInput], field: str, value: str
) -> None:
    """A URL, a data URI or base64, under the general name or a plain one."""
    assert parse(kind, {field: f" {value}\n"}).recording.source.value == value


@pytest.mark.parametrize("kind", ROLES)
def test_no_recording_is_refused(kind: type[AudioInput]) -> None:
    """The message names the three fields."""
    with pytest.raises(
        InvalidRequest, match="exactly one of audio, audio_url, audio_base64; none was given"
    ):
        parse(kind, {})


def test_two_recordings_are_refused() -> None:
    """The message says which two."""
    assert (
        _refusal(SingleInput, audio="UklGRg==")
        == "give exactly one of audio, audio_url, audio_base64; audio and audio_url were given"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"audio": ""}, "audio is empty"),
        ({"audio": " \n"}, "audio is empty"),
        ({"audio": "", "audio_url": " "}, "audio and audio_url are empty; give a URL"),
        ({"audio": 5}, "audio: input should be a valid string"),
        ({"audio": ["UklGRg=="]}, "audio: input should be a valid string"),
        ({"audio_url": "talk.mp3"}, "audio_url is not a URL"),
        ({"audio_base64": "https://example.com/talk.mp3"}, "audio_base64 is a URL; use audio_url"),
    ],
)
def test_a_recording_of_the_wrong_kind_is_refused(fields: dict[str, Any], message: str) -> None:
    """Each with its own sentence."""
    with pytest.raises(InvalidRequest, match=message):
        parse(SingleInput, fields)


@pytest.mark.parametrize("value", [None, [], "https://example.com/talk.mp3", 5])
def test_an_input_that_is_no_object_is_refused(value: object) -> None:
    """With an example of what it should be."""
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse(SingleInput, value)


def test_a_presigned_url_stays_out_of_sight() -> None:
    """Neither the request nor its source show it when they are printed, and no refusal repeats
    it.
    """
    asked = parse(SingleInput, {"audio_url": URL})
    assert "geheim" not in repr(asked) + str(asked) + repr(asked.request)
    assert "geheim" not in _refusal(SingleInput, audio=URL, start="soon", lang="en")


# the answer's place


@pytest.mark.parametrize("kind", ROLES)
def test_every_role_takes_a_place_for_its_answer(kind: type[AudioInput]) -> None:
    """Without one, the answer is the job's output; an empty one is none."""
    url = "https://example.com/a.json?signature=geheim"
    asked = parse(kind, {"audio_url": URL, "output_url": f" {url}\n"})
    assert asked.destination is not None
    assert (asked.destination.value, asked.destination.scheme) == (url, "https")
    assert "geheim" not in repr(asked) + str(asked) + repr(asked.destination)
    for nothing in ({}, {"output_url": ""}, {"output_url": None}):
        assert parse(kind, {"audio_url": URL, **nothing}).destination is None


# each field


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (SingleInput, {"audio_format": 3}, "audio_format: input should be a valid string"),
        (SingleInput, {"language": 3}, "language: input should be a valid string"),
        (
            SingleInput,
            {"task": "summarise"},
            "task: input should be 'transcribe' or 'translate'",
        ),
        (
            SingleInput,
            {"keyterms": "Dashwood"},
            'keyterms: input should be a list of texts, such as ["Ringstrasse", "Dr. Osei"]',
        ),
        (
            TranscriptionInput,
            {"keyterms": ["a"] * 101},
            "keyterms: list has 101 terms and at most 100 are taken",
        ),
        (
            SingleInput,
            {"keyterms": ["a", "b" * 201]},
            "keyterms.1: string should have at most 200 characters",
        ),
        (
            SingleInput,
            {"keyterms": ["  "]},
            "keyterms.0: string should have at least 1 character",
        ),
        (
            SingleInput,
            {"response_format": "docx"},
            "response_format: input should be 'json', 'verbose_json', 'diarized_json', 'text', "
            "'srt', 'vtt' or 'html'",
        ),
        (
            DiarizationInput,
            {"response_format": "srt"},
            "response_format: input should be 'json' or 'rttm'",
        ),
        (SingleInput, {"timestamps": "yes"}, "timestamps: input should be a valid boolean"),
        (SingleInput, {"timestamp": 1}, "timestamp: input should be a valid boolean"),
        (
            SingleInput,
            {"timestamps": True, "timestamp": False},
            "timestamps and timestamp are one field and were given different values; leave one out",
        ),
        (SingleInput, {"diarize": "no"}, "diarize: input should be a valid boolean"),
        (
            SingleInput,
            {"num_speakers": 0},
            "num_speakers: input should be greater than or equal to 1",
        ),
        (SingleInput, {"num_speakers": True}, "num_speakers: input should be a valid integer"),
        (SingleInput, {"min_speakers": 2.5}, "min_speakers: input should be a valid integer"),
        (SingleInput, {"max_speakers": "three"}, "max_speakers: input should be a valid integer"),
        (
            DiarizationInput,
            {"max_speakers": 101},
            "max_speakers: input should be less than or equal to 100",
        ),
        (
            DiarizationInput,
            {"num_speakers": 2, "max_speakers": 3},
            "give num_speakers, or min_speakers and max_speakers, not both",
        ),
        (
            DiarizationInput,
            {"min_speakers": 3, "max_speakers": 2},
            "min_speakers is larger than max_speakers",
        ),
        (SingleInput, {"channels": "left"}, "channels: input should be 'mix' or 'split'"),
        (
            SingleInput,
            {"channels": "split", "num_speakers": 2},
            "channels split has one speaker on each channel; leave out num_speakers, min_speakers "
            "and max_speakers",
        ),
        (
            TranscriptionInput,
            {"channels": "split", "diarization_segments": []},
            "give channels split or diarization_segments, not both",
        ),
        (
            TranscriptionInput,
            {"channels": "split", "part": {"index": 0, "of": 2}},
            "give channels split or part, not both",
        ),
        (SingleInput, {"start": -1}, "start: input should be greater than or equal to 0"),
        (SingleInput, {"start": True}, "start: input should be a valid number"),
        (SingleInput, {"start": float("nan")}, "start: input should be a finite number"),
        (SingleInput, {"end": "1:10"}, "end: input should be a valid number"),
        (SingleInput, {"end": 0}, "end must be after start"),
        (SingleInput, {"start": 5, "end": 5}, "end must be after start"),
        (
            TranscriptionInput,
            {"diarization_segments": "1"},
            "diarization_segments: input should be a list",
        ),
        (
            TranscriptionInput,
            {"diarization_segments": [{"start": 0, "end": 1}]},
            "diarization_segments.0.speaker: field required",
        ),
        (
            TranscriptionInput,
            {
                "diarization_segments": [
                    {"start": 0, "end": 1, "speaker": "1"},
                    {"start": 2, "end": 1, "speaker": "1"},
                ]
            },
            "diarization_segments.1: end is before start",
        ),
        (
            TranscriptionInput,
            {"diarization_segments": [{"start": 0, "end": 1, "speaker": " "}]},
            "diarization_segments.0.speaker: string should have at least 1 character",
        ),
        (
            TranscriptionInput,
            {"diarization_segments": [{"start": 0, "end": 1, "speaker": "1", "name": "A"}]},
            "diarization_segments.0.name: unknown field; known are end, speaker, start",
        ),
        (
            TranscriptionInput,
            {"part": 1},
            "part: input should be a valid dictionary or instance of Part",
        ),
        (
            TranscriptionInput,
            {"part": {"index": 3, "of": 3}},
            "part: index counts from 0 and must be smaller than of",
        ),
        (TranscriptionInput, {"part": {"index": 0}}, "part.of: field required"),
        (
            TranscriptionInput,
            {"part": {"index": 0, "of": 2, "off": 2}},
            "part.off: unknown field; did you mean of?",
        ),
        (
            TranscriptionInput,
            {"part": {"index": 0, "of": 2}, "start": 1},
            "give part, or start and end, not both",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_the_fields_name(
    kind: type[AudioInput], fields: dict[str, Any], message: str
) -> None:
    """The whole sentence, as the caller reads it."""
    assert _refusal(kind, **fields) == message


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lang", "language"),
        ("diarise", "diarize"),
        ("speakers", "num_speakers"),
        ("url", "audio_url"),
        ("format", "audio_format"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known_one(name: str, near: str) -> None:
    """Also where the spelling is that of another country."""
    assert _refusal(SingleInput, **{name: 1}) == f"{name}: unknown field; did you mean {near}?"


def test_an_unknown_field_near_none_is_refused_with_all_known_ones() -> None:
    """So that nobody has to look them up; a long name is cut."""
    message = _refusal(DiarizationInput, **{"x" * 500: 1})
    assert message.startswith(
        "x" * 60 + ": unknown field; known are audio, audio_base64, audio_format, audio_url, end, "
    )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (DiarizationInput, {"language": "en"}),
        (DiarizationInput, {"timestamps": True}),
        (TranscriptionInput, {"num_speakers": 2}),
        (TranscriptionInput, {"diarize": True}),
        (SingleInput, {"diarization_segments": []}),
        (SingleInput, {"part": {"index": 0, "of": 2}}),
    ],
)
def test_a_field_of_another_role_is_unknown(kind: type[AudioInput], fields: dict[str, Any]) -> None:
    """A worker that would ignore a field refuses it."""
    assert _refusal(kind, **fields).endswith(
        ": unknown field; other roles have it, this one does not"
    )


def test_several_faults_are_told_together() -> None:
    """At most three, so that a wrong list of thousands stays readable."""
    assert _refusal(SingleInput, start="a", end="b").count(": input should be") == 2
    wrong = [{"start": "a", "end": "b", "speaker": 0.5, "name": 1}] * 1000
    assert _refusal(TranscriptionInput, diarization_segments=wrong).count(";") == 2


@pytest.mark.parametrize("kind", ROLES)
def test_null_is_as_good_as_not_given(kind: type[AudioInput]) -> None:
    """Typed clients send null for what their caller left out."""
    assert parse(
        kind, {"audio_url": URL} | dict.fromkeys(set(kind.model_fields) - {"audio_url"})
    ) == parse(kind, {"audio_url": URL})


def test_a_misspelled_field_is_refused_even_as_null() -> None:
    """Null does not hide that nobody reads the field."""
    assert _refusal(SingleInput, languge=None) == "languge: unknown field; did you mean language?"


# what the flows see


def test_the_defaults_are_those_of_the_table() -> None:
    """JSON with speakers and without timestamps, of the whole recording."""
    request = parse(SingleInput, {"audio_url": URL})
    assert (request.response_format, request.timestamps, request.diarize) == (
        TranscriptFormat.JSON,
        False,
        True,
    )
    assert (request.start, request.end, request.language, request.speakers) == (
        None,
        None,
        None,
        SpeakerCount(),
    )
    assert parse(DiarizationInput, {"audio_url": URL}).response_format is DiarizationFormat.JSON
    assert parse(TranscriptionInput, {"audio_url": URL}).turns is None


def test_timestamp_is_another_name_for_timestamps() -> None:
    """Both are in use."""
    assert parse(SingleInput, {"audio_url": URL, "timestamp": True}).timestamps


def test_the_number_of_speakers_is_never_made_of_the_least() -> None:
    """At least two is not exactly two."""
    assert parse(SingleInput, {"audio_url": URL, "min_speakers": 2}).speakers == SpeakerCount(
        at_least=2
    )
    assert parse(SingleInput, {"audio_url": URL, "num_speakers": 2}).speakers == SpeakerCount(
        exact=2
    )
    assert parse(SingleInput, {"audio_url": URL, "max_speakers": 2}).speakers == SpeakerCount(
        at_most=2
    )


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), st.sampled_from(["1", "2"])), max_size=20
    )
)
def test_the_callers_turns_come_in_order(fields: list[tuple[float, float, str]]) -> None:
    """Whatever order they were sent in."""
    sent = [
        {"start": start, "end": start + length, "speaker": speaker}
        for start, length, speaker in fields
    ]
    turns = parse(TranscriptionInput, {"audio_url": URL, "diarization_segments": sent}).turns
    assert turns is not None
    assert sorted(turns, key=lambda turn: (turn.start, turn.end)) == list(turns)
    assert {(turn.start, turn.end, turn.speaker) for turn in turns} == {
        (one["start"], one["end"], one["speaker"]) for one in sent
    }
    assert all(type(turn) is Turn for turn in turns)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_field_names = st.sampled_from(
    sorted({name for kind in ROLES for name in kind.model_fields} | {"timestamp", "x"})
)


@given(st.sampled_from(ROLES), st.dictionaries(_field_names, _json, max_size=5) | _json)
def test_any_json_is_either_a_request_or_refused(kind: type[AudioInput], job_input: object) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(InvalidRequest):
        assert parse(kind, job_input).recording.source.value


def test_task_and_key_terms_reach_the_decoding() -> None:
    """However the task is spelled; terms lose the blanks around them."""
    asked = parse(SingleInput, {"audio": URL, "task": "Translate", "keyterms": [" Osei ", "Wien"]})
    assert asked.request.decoding == Decoding(task=Task.TRANSLATE, keyterms=("Osei", "Wien"))
    assert parse(SingleInput, {"audio": URL}).request.decoding == Decoding()


@pytest.mark.parametrize("field", [{"task": "translate"}, {"keyterms": ["Osei"]}])
def test_diarization_knows_no_words(field) -> None:
    """Fields about words are refused by the worker that hears none."""
    assert _refusal(DiarizationInput, **field).startswith(f"{next(iter(field))}: unknown field")
