"""A transcript as it becomes known, in OpenAI's events."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import LocalFile, Recording, SingleRequest, SpeakerCount
from core.domain.timeline import Transcript, Word
from core.transcript.channels import segments_by_speaker
from core.transcript.segments import split_segments
from core.wire.form import Form, TranscriptFormat
from handlers.openai import transcriptions
from handlers.openai.asking import Question
from handlers.openai.events import Events
from tests.handlers.openai.served import SECRET, WORDS, Served, form, served

TEXT = " ".join(word.text for word in WORDS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server that works on one request."""
    with served(tmp_path) as running:
        yield running


def question(response_format: TranscriptFormat, speakers: SpeakerCount | None = None) -> Question:
    """A streamed question."""
    recording = Recording(LocalFile(Path("upload")))
    return Question(SingleRequest(recording, speakers=speakers), Form(response_format), True)


def read(lines: Iterator[bytes]) -> list[dict[str, object]]:
    """The events of lines."""
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def test_words_come_before_the_end(server: Served) -> None:
    """The first are there while the flow still works; the last event has the whole text."""
    body, content_type = form([("file", "wait"), ("stream", "true")])
    connection = server.connect()
    connection.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": content_type})
    response = connection.getresponse()
    assert response.headers["content-type"].startswith("text/event-stream")
    first = json.loads(response.readline().removeprefix(b"data: "))
    assert first == {"type": "transcript.text.delta", "delta": "One two. Three"}
    server.flow.free.set()
    rest = read(line for line in response.read().strip().split(b"\n\n"))
    assert [event["type"] for event in rest] == ["transcript.text.delta", "transcript.text.done"]
    assert rest[-1]["text"] == first["delta"] + str(rest[0]["delta"]) == TEXT


def test_a_stream_that_the_server_ends_says_so(tmp_path: Path) -> None:
    """By an event, after which the response is complete."""
    body, content_type = form([("file", "wait"), ("stream", "true")])
    with served(tmp_path, drain_timeout=0) as server:
        connection = server.connect()
        connection.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": content_type})
        response = connection.getresponse()
        assert b"delta" in response.readline()
        server.server.should_exit = True
        (event,) = read(line for line in response.read().strip().split(b"\n\n"))
    assert event["type"] == "error"
    assert "'shutting_down'" in str(event["error"])


@pytest.mark.parametrize(
    ("fields", "speakers"),
    [
        ({"response_format": "verbose_json"}, {"unknown"}),
        ({"response_format": "diarized_json"}, {"unknown"}),
        ({"response_format": "json"}, set()),
        ({}, set()),
    ],
)
def test_formats_with_times_have_segments(
    server: Served, fields: dict[str, str], speakers: set[str]
) -> None:
    """The others have words alone."""
    events = server.transcribe(stream="true", **fields).events
    segments = [event for event in events if event["type"] == "transcript.text.segment"]
    assert {event["speaker"] for event in segments} == speakers
    if segments:
        assert [event["id"] for event in segments] == ["seg_001", "seg_002", "seg_003"]
        assert [event["text"] for event in segments] == ["One two.", "Three four.", "Five six."]
        assert [event["start"] for event in segments] == [0.0, 1.0, 2.0]
    assert events[-1] == {"type": "transcript.text.done", "text": TEXT}


@given(st.lists(st.integers(1, len(WORDS)), max_size=4), st.booleans(), st.booleans())
def test_however_the_words_come_the_events_give_the_whole(
    cuts: list[int], has_speakers: bool, are_all_heard: bool
) -> None:
    """All deltas together are the text, and the segments those of the transcript."""
    asked = question(TranscriptFormat.VERBOSE_JSON, SpeakerCount() if has_speakers else None)
    events = Events(asked)
    bounds = sorted({0, *cuts, *([len(WORDS)] if are_all_heard else [])})
    told = []
    for begin, end in itertools.pairwise(bounds):
        told += read(events.heard(WORDS[begin:end]))
    speaker = "1" if has_speakers else None
    words = tuple(Word(one.start, one.end, one.text, speaker=speaker) for one in WORDS)
    told += read(events.done(Transcript(3.0, words, split_segments(words))))
    deltas = [event["delta"] for event in told if event["type"] == "transcript.text.delta"]
    assert "".join(map(str, deltas)) == TEXT == told[-1]["text"]
    segments = [event for event in told if event["type"] == "transcript.text.segment"]
    assert [event["text"] for event in segments] == [one.text for one in split_segments(words)]
    assert {event["speaker"] for event in segments} == {speaker or "unknown"}


def test_silence_is_a_stream_of_one_event() -> None:
    """Its text is empty."""
    events = Events(question(TranscriptFormat.VERBOSE_JSON))
    assert read(events.heard(())) == []
    assert read(events.done(Transcript(3.0, (), ()))) == [
        {"type": "transcript.text.done", "text": ""}
    ]


def test_deltas_are_the_text_of_people_who_speak_at_once() -> None:
    """Segment by segment, though their words lie between one another."""
    words = tuple(
        Word(at / 2, at / 2 + 0.9, text, speaker=f"Channel {1 + at % 2}")
        for at, text in enumerate(["Good", "Who", "night.", "knows?"])
    )
    transcript = Transcript(6.0, words, segments_by_speaker(words), diarized=True)
    delta, done = read(Events(question(TranscriptFormat.JSON)).done(transcript))
    assert delta["delta"] == done["text"] == "Good night. Who knows?"


def test_deltas_have_blanks_only_where_the_script_has_them() -> None:
    """Within one, and between two."""
    words = tuple(
        Word(float(at), at + 0.5, one) for at, one in enumerate(["今日", "は", "OK", "。"])
    )
    events = Events(question(TranscriptFormat.JSON))
    told = read(event for part in (words[:1], words[1:3]) for event in events.heard(part))
    told += read(events.done(Transcript(4.0, words, split_segments(words))))
    assert [event["delta"] for event in told[:-1]] == ["今日", "は OK", " 。"]
    assert told[-1]["text"] == "今日は OK 。"


def test_an_early_error_has_its_status(server: Served) -> None:
    """Nothing was sent yet, so the answer is that of any request."""
    reply = server.transcribe("poison", stream="true")
    assert (reply.status, reply.error["code"]) == (503, "model_failed")


def test_a_late_error_is_the_last_event(server: Served) -> None:
    """The status is out already; the stream ends in order, and nothing of ours leaks into it."""
    reply = server.transcribe("bug", stream="true")
    assert reply.status == 200
    assert reply.events[-1]["error"]["code"] == "internal_error"
    assert SECRET.encode() not in reply.content
    server.until('parakeet_errors_total{code="internal_error"}', 1)


def test_a_silent_stream_says_that_it_lives(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By comments, so that no proxy hangs up."""
    monkeypatch.setattr(transcriptions, "KEEP_ALIVE_S", 0.05)
    body, content_type = form([("file", "wait"), ("stream", "true")])
    connection = server.connect()
    connection.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": content_type})
    response = connection.getresponse()
    lines = [response.readline() for _ in range(5)]
    assert lines[2] == b": still working\n"
    server.flow.free.set()
    assert TEXT.encode() in response.read()


@pytest.mark.parametrize("value", ["yes", "1", "streamed"])
def test_stream_is_true_or_false(server: Served, value: str) -> None:
    """Anything else is refused."""
    assert server.transcribe(stream=value).error["param"] == "stream"
