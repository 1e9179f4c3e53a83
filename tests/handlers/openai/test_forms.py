"""Forms: pieces of any size, what clients send, and what is no form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import LocalFile, Range
from core.errors import InvalidRequest
from core.wire.job_input import SingleInput, TranscriptionInput
from handlers.openai.asking import Question, read
from handlers.openai.brackets import gather
from handlers.openai.errors import NoSuchModel
from handlers.openai.multipart import MAX_FIELD_BYTES, MAX_FIELDS, Limit, Upload, receive
from tests.handlers.openai.served import Served, form, listed, served

FILE = Path("upload")


def asked(kind: Any = SingleInput, **fields: Any) -> Question:
    """Read fields beside a file."""
    texts, spelled = gather(listed(fields))
    return read(Upload(texts, FILE, spelled), kind, ("nvidia/parakeet",))


def received(sent: tuple[bytes, str], folder: Path, sizes: list[int] | None = None) -> Upload:
    """Receive a form in pieces of these sizes."""
    body, content_type = sent

    async def chunks() -> AsyncIterator[bytes]:
        begin = 0
        for size in sizes or []:
            yield body[begin : begin + size]
            begin += size
        yield body[begin:]

    return asyncio.run(receive(content_type, chunks(), folder, limit=Limit(10_000)))


# --- pieces ---


@given(sizes=st.lists(st.integers(0, 200), max_size=30), content=st.binary(min_size=1))
def test_a_form_is_the_same_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], content: bytes
) -> None:
    """Also if they end inside a boundary, and whatever the file holds."""
    folder = tmp_path_factory.mktemp("form")
    sent = form([("model", "whisper-1"), ("file", content), ("include[]", "ä"), ("include[]", "b")])
    upload = received(sent, folder, sizes)
    assert upload.fields == {"model": ["whisper-1"], "include": ["ä", "b"]}
    assert upload.file is not None
    assert upload.file.read_bytes() == content


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "", "a" * 3000, "x\x00y", "..", "C:\\speech.wav"]
)
def test_the_files_name_has_no_say_in_where_it_goes(tmp_path: Path, name: str) -> None:
    """It is in the request's folder in any case."""
    body, content_type = form([("file", "sound")])
    sent = body.replace(b"speech.mp3", name.encode())
    assert received((sent, content_type), tmp_path).file == tmp_path / "upload"
    assert [path.name for path in tmp_path.iterdir()] == ["upload"]


# --- what clients send ---

CLIENTS: dict[str, dict[str, Any]] = {
    "openai, least": {"model": "whisper-1"},
    "openai, all": {
        "model": "gpt-4o-transcribe",
        "language": "en",
        "prompt": "Kevin, Carla",
        "response_format": "json",
        "temperature": "0",
        "timestamp_granularities[]": ["word", "segment"],
        "include[]": ["logprobs"],
        "stream": "true",
        "chunking_strategy[type]": "server_vad",
        "chunking_strategy[threshold]": "0.5",
    },
    "curl": {"chunking_strategy": '{"type": "server_vad", "threshold": 0.5}'},
    "Scriberr, a model of its own": {
        "model": "nvidia/parakeet",
        "response_format": "verbose_json",
        "language": "en",
        "temperature": "0.00",
    },
    "Scriberr, whisper-1": {
        "model": "whisper-1",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
        "prompt": "A meeting.",
        "temperature": "0.00",
    },
    "speakr, speakers": {
        "model": "gpt-4o-transcribe-diarize",
        "language": "en",
        "chunking_strategy": "auto",
        "response_format": "diarized_json",
    },
    "speakr, words": {"model": "gpt-4o-mini-transcribe", "prompt": "Kevin. Carla"},
    "OpenTranscribe": {
        "model": "gpt-4o-transcribe",
        "language": "en",
        "response_format": "verbose_json",
    },
}
"""Fields beside `file`, as these clients' sources of November 2026 write them."""


@pytest.mark.parametrize("client", CLIENTS)
def test_the_forms_of_known_clients_are_taken(client: str) -> None:
    """By the flow with speakers and by the one without."""
    for kind in (SingleInput, TranscriptionInput):
        question = asked(kind, **CLIENTS[client])
        assert question.request.recording.source == LocalFile(FILE)


@pytest.mark.parametrize(
    ("fields", "has_speakers"),
    [
        ({}, False),
        ({"response_format": "verbose_json"}, False),
        ({"response_format": "diarized_json"}, True),
        ({"model": "gpt-4o-transcribe-diarize"}, True),
        ({"diarize": "true", "response_format": "srt"}, True),
        ({"diarize": "false", "response_format": "diarized_json"}, False),
    ],
)
def test_speakers_are_looked_for_when_somebody_asks_for_them(
    fields: dict[str, str], has_speakers: bool
) -> None:
    """By the format, the model's name, or our own field, which has the last word."""
    assert (asked(**fields).request.speakers is not None) is has_speakers


def test_our_own_fields_are_fields_of_the_form() -> None:
    """Numbers, choices and JSON, as texts."""
    question = asked(num_speakers="2", start="1.5", end="9", diarize="true", timestamps="true")
    assert question.request.speakers.exact == 2
    assert question.request.recording.range == Range(1.5, 9.0)
    assert question.form.timestamps
    turns = [{"start": 0, "end": 1, "speaker": "Ada"}]
    labelled = asked(TranscriptionInput, diarization_segments=json.dumps(turns))
    assert labelled.request.turns[0].speaker == "Ada"


def test_a_recording_may_come_by_url() -> None:
    """In our own field, then without a file."""
    upload = Upload({"audio_url": ["https://example.com/a.mp3"]})
    question = read(upload, SingleInput, ())
    assert question.request.recording.source.value == "https://example.com/a.mp3"


@pytest.mark.parametrize("name", ["audio", "audio_url", "audio_base64"])
@pytest.mark.parametrize("value", ["file:///etc/passwd", "/etc/passwd", "LocalFile(/etc/passwd)"])
def test_no_text_becomes_a_file_of_this_machine(name: str, value: str) -> None:
    """Whatever a caller writes into a field is a URL or base64, or is refused."""
    try:
        question = read(Upload({name: [value]}), SingleInput, ())
    except InvalidRequest:
        return
    assert not isinstance(question.request.recording.source, LocalFile)


REFUSED = {
    "unknown field": ({"langauge": "en"}, "langauge: unknown field; did you mean language?"),
    "twice": ({"language": ["en", "de"]}, "language: was sent 2 times"),
    "language": ({"language": "x" * 200}, "language: "),
    "granularity": ({"timestamp_granularities[]": "letter"}, "timestamp_granularities: 'letter'"),
    "temperature": ({"temperature": "hot"}, "temperature: give a number from 0 to 1"),
    "temperature 2": ({"temperature": "2"}, "temperature: give a number from 0 to 1"),
    "strategy": ({"chunking_strategy": "fast"}, "chunking_strategy: is not JSON"),
    "depth": ({"diarization_segments": "[" * 100_000}, "diarization_segments: is not JSON"),
    "strategy's type": ({"chunking_strategy": "{}"}, "chunking_strategy: give auto"),
    "range": ({"start": "9", "end": "3"}, "end must be after start"),
    "speakers": ({"num_speakers": "0"}, "num_speakers: "),
    "output": ({"output_url": "https://a.b/c"}, "output_url: is for jobs"),
    "two sources": ({"audio_url": "https://a.b/c"}, "a file and audio_url were given"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_field_is_named(case: str) -> None:
    """With what is wrong."""
    fields, sentence = REFUSED[case]
    with pytest.raises(InvalidRequest) as raised:
        asked(**fields)
    assert str(raised.value).startswith(sentence)


def test_another_model_is_refused_with_those_that_are_here() -> None:
    """OpenAI's names for a transcription model are among them."""
    with pytest.raises(NoSuchModel, match="whisper-1"):
        asked(model="tts-1")


# --- what is no form ---

HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
END = b"\r\n--x--\r\n"


def field(name: str, value: str = "v", more: str = "") -> bytes:
    """One field of a form."""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "invalid_request"),
    "no boundary in it": (b"hello", "invalid_request"),
    "another boundary": (HEAD.replace(b"--x", b"--y") + b"a" + END, "invalid_request"),
    "only the end": (b"--x--\r\n", "invalid_request"),
    "no end": (HEAD + b"sound", "invalid_request"),
    "no line end after the head": (HEAD[:-2] + b"a" + END, "invalid_request"),
    "half a head": (HEAD[:30], "invalid_request"),
    "half an end": (HEAD + b"a\r\n--x", "invalid_request"),
    "head without a colon": (b"--x\r\nContent-Disposition\r\n\r\na" + END, "invalid_request"),
    "head with a wrong letter": (b"--x\r\nCont\x00ent: a\r\n\r\na" + END, "invalid_request"),
    "bare line feeds": (HEAD.replace(b"\r\n", b"\n") + b"a\n--x--\n", "invalid_request"),
    "no disposition": (b"--x\r\nContent-Type: a/b\r\n\r\na" + END, "invalid_request"),
    "no name": (b"--x\r\nContent-Disposition: form-data\r\n\r\na" + END, "invalid_request"),
    "an empty name": (field("") + HEAD + b"a" + END, "invalid_request"),
    "no head at all": (b"--x\r\n\r\na" + END, "invalid_request"),
    "a head too long": (b"--x\r\nX: " + b"y" * 10_000 + b"\r\n\r\na" + END, "invalid_request"),
    "too many heads": (b"--x\r\n" + b"X: y\r\n" * 50 + b"\r\na" + END, "invalid_request"),
    "too many fields": (field("model") * (MAX_FIELDS + 1) + END[2:], "invalid_request"),
    "fields too large": (field("prompt", "p" * (MAX_FIELD_BYTES + 1)) + END, "invalid_request"),
    "file empty": (HEAD + END, "empty_audio"),
    "file twice": (HEAD + b"a\r\n" + HEAD + b"b" + END, "invalid_request"),
    "no file": (field("model", "whisper-1") + END[2:], "invalid_request"),
    "file in another field": (field("audio", "a", '; filename="a.mp3"') + END, "invalid_request"),
    "a name that is not UTF-8": (
        HEAD + b"a\r\n" + field("q").replace(b'"q"', b'"\xff"') + END[2:],
        "invalid_request",
    ),
    "a value that is not UTF-8": (
        HEAD + b"a\r\n" + field("language").replace(b"v", b"\xff") + END[2:],
        "invalid_request",
    ),
    "half a character": (HEAD + b"a\r\n" + field("language", "\\ud83d") + END[2:], "ok?"),
    "a blank model": (HEAD + b"a\r\n" + field("model", " ") + END[2:], "ok?"),
    "a name alone": (
        HEAD + b"a\r\n" + field("known_speaker_names[]", "Ada") + END[2:],
        "invalid_request",
    ),
    "a voice alone": (
        HEAD + b"a\r\n" + field("known_speaker_references[]", "data:") + END[2:],
        "invalid_request",
    ),
    "brackets that do not match": (
        HEAD + b"a\r\n" + field("replace[a") + END[2:],
        "invalid_request",
    ),
    "an unknown field": (HEAD + b"a\r\n" + field("foo") + END[2:], "invalid_request"),
    "a wrong format": (
        HEAD + b"a\r\n" + field("response_format", "x") + END[2:],
        "invalid_request",
    ),
    "a wrong boolean": (HEAD + b"a\r\n" + field("diarize", "maybe") + END[2:], "invalid_request"),
    "a wrong number": (HEAD + b"a\r\n" + field("start", "1e999") + END[2:], "invalid_request"),
    "a wrong model": (HEAD + b"a\r\n" + field("model", "x" * 9999) + END[2:], "unknown_model"),
    "JSON for a text": (
        HEAD + b"a\r\n" + field("num_speakers", "[1]") + END[2:],
        "invalid_request",
    ),
    "a path as URL": (field("audio_url", "/etc/passwd") + END[2:], "invalid_request"),
}
TYPES = {
    "no type": "",
    "JSON": "application/json",
    "a form of another kind": "application/x-www-form-urlencoded",
    "no boundary": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "a boundary too long": f"multipart/form-data; boundary={'x' * 500}",
    "another multipart": "multipart/mixed; boundary=x",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all of them."""
    with served(tmp_path_factory.mktemp("forms")) as running:
        yield running


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_body_is_a_typed_error(server: Served, case: str) -> None:
    """With a code and a sentence, and the server goes on."""
    body, code = MALFORMED[case]
    reply = server.post((body, "multipart/form-data; boundary=x"))
    if code == "ok?":
        assert reply.status == 200
        return
    assert reply.error["code"] == code
    assert 400 <= reply.status < 500
    assert "Traceback" not in reply.error["message"]


@pytest.mark.parametrize("case", TYPES)
def test_a_body_of_another_type_is_a_typed_error(server: Served, case: str) -> None:
    """Whatever it holds."""
    reply = server.post((HEAD + b"a" + END, TYPES[case]))
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")


def test_nothing_of_them_stays(server: Served) -> None:
    """Neither a file nor a place that is taken."""
    for body, _ in MALFORMED.values():
        server.post((body, "multipart/form-data; boundary=x"))
    assert server.left == []
    server.until("parakeet_queue ", 0)
