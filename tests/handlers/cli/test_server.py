"""transcribe, by a server with OpenAI's API: its requests as they arrive, and its answers."""

from __future__ import annotations

import base64
import email.policy
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from pathlib import Path

import pytest

from core.domain.request import Edits
from core.domain.usage import Usage
from core.wire.form import Form, TranscriptFormat
from core.wire.job_input import SingleInput
from core.wire.render import render
from handlers.cli.written import write
from handlers.openai.asking import read
from handlers.openai.multipart import Upload
from tests.examples.conftest import ROOT
from tests.handlers.cli.conftest import SOUND, Command, files
from tests.page import transcripts

Answer = tuple[int, dict[str, str], bytes]
VERBOSE = Form(TranscriptFormat.VERBOSE_JSON)


def transcript() -> Answer:
    """What our own server answers."""
    answer = render(transcripts.golden(), VERBOSE)
    return 200, {}, json.dumps(answer).encode()


@dataclass
class Asked:
    """One upload."""

    path: str
    key: str | None
    fields: dict[str, list[bytes]] = field(default_factory=dict)
    file: tuple[str, bytes] = ("", b"")


@dataclass
class OpenAi:
    """A server that answers as it is told and keeps what came."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[], Answer] = transcript

    def take(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Read an upload and answer."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        head = f"Content-Type: {handler.headers['Content-Type']}\r\n\r\n".encode()
        form = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        came = Asked(handler.path, handler.headers.get("Authorization"))
        for part in form.iter_parts():
            content = part.get_payload(decode=True)
            name = part.get_param("name", header="content-disposition")
            if part.get_filename():
                came.file = (part.get_filename(), content)
            else:
                came.fields.setdefault(name, []).append(content)
        self.asked.append(came)
        status, headers, answer = self.answer()
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)


@pytest.fixture
def openai() -> Iterator[OpenAi]:
    """A server on this machine."""
    told = OpenAi()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.take(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording, and a folder for temporary ones."""
    monkeypatch.setenv("TEMP_DIR", str(tmp_path / ".tmp"))
    path = tmp_path / "call.wav"
    path.write_bytes(SOUND)
    return path


def error(code: str | None, message: str) -> bytes:
    """An error in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": "x", "code": code}}).encode()


def test_a_file_is_uploaded_and_its_answer_written(
    command: Command, openai: OpenAi, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key, without a newline behind it, the fields that every server knows, and ours."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary\n")
    ended = command(
        "transcribe", recording, "--server", openai.url, "--speakers", "2", "--language", "en"
    )
    assert ended.code == 0
    (asked,) = openai.asked
    assert asked.path == "/v1/audio/transcriptions"
    assert asked.key == "Bearer sk-canary"
    assert asked.file == ("call.wav", SOUND)
    assert asked.fields == {
        "model": [b"whisper-1"],
        "response_format": [b"verbose_json"],
        "timestamp_granularities[]": [b"word", b"segment"],
        "language": [b"en"],
        "num_speakers": [b"2"],
        "diarize": [b"true"],
    }
    assert (recording.parent / "call.txt").read_text().startswith("Speaker A: I met someone,")
    assert "canary" not in ended.err


def test_what_is_asked_of_the_words_is_sent_as_our_own_server_takes_it(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """Lists and objects as JSON; the answer's usage is kept in the file."""
    words = ("--keyterms", "Osei,[x]", "--replace", "acme=ACME", "--remove-fillers")
    usage = Usage(22.0, "embedded", {"download": 0.5, "speech": 1.5})
    told = replace(transcripts.golden(), usage=usage)
    openai.answer = lambda: (200, {}, json.dumps(render(told, VERBOSE)).encode())
    command("transcribe", recording, "--server", openai.url, "--format", "json", *words)
    asked = openai.asked[0].fields
    form = {name.removesuffix("[]"): [one.decode() for one in asked[name]] for name in asked}
    request = read(Upload(form, recording), SingleInput, ("whisper-1",)).request
    assert request.decoding.keyterms == ("Osei", "[x]")
    assert request.edits == Edits({"acme": "ACME"}, remove_fillers=True)
    written = json.loads((recording.parent / "call.json").read_text("utf-8"))
    assert written["usage"] == json.loads(openai.answer()[2])["usage"]


def test_known_voices_are_sent_as_openai_wants_them(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """Names, and data URLs of their recordings."""
    command("transcribe", recording, "--server", openai.url, "--known", f"Ada={recording}")
    asked = openai.asked[0].fields
    assert asked["known_speaker_names[]"] == [b"Ada"]
    (reference,) = asked["known_speaker_references[]"]
    head, _, text = reference.partition(b",")
    assert head == b"data:application/octet-stream;base64"
    assert base64.b64decode(text) == SOUND
    assert "known_speakers" not in asked


def test_a_file_whose_name_is_not_utf8_is_one_like_others(
    openai: OpenAi, recording: Path, tmp_path: Path
) -> None:
    """It gets its files, in every format, and a line of JSON that is JSON."""
    recording.rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    arguments = ("--server", openai.url, "--format", "html,txt", "--json")
    ended = subprocess.run(
        [sys.executable, "-m", "handlers.cli", "transcribe", ".", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout)["files"] == ["caf\udce9.html", "caf\udce9.txt"]
    assert "caf%E9.wav" in (tmp_path / "caf\udce9.html").read_text()
    assert openai.asked[0].file == ("caf?.wav", SOUND)


def test_for_words_alone_only_openais_own_fields_are_sent(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """So that a strict server takes them."""
    command("transcribe", recording, "--server", openai.url, "--speakers", "none")
    names = {"model", "response_format", "timestamp_granularities[]"}
    assert openai.asked[0].fields.keys() == names


def test_the_subtitles_are_those_that_the_server_would_write(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """To the last byte: nothing is lost on the way through verbose_json."""
    command("transcribe", recording, "--server", f"{openai.url}/v1/", "--format", "srt,vtt")
    for name in ("srt", "vtt"):
        wanted = render(transcripts.golden(), Form(TranscriptFormat(name)))[name]
        assert (recording.parent / f"call.{name}").read_text("utf-8") == wanted


def test_of_channels_everything_is_what_the_server_would_write(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """Nobody's sentence is cut because somebody else speaks in its midst."""
    made = transcripts.split()
    openai.answer = lambda: (200, {}, json.dumps(render(made, VERBOSE)).encode())
    asked = ("transcribe", recording, "--server", openai.url, "--channels", "split")
    assert command(*asked, "--format", "vtt,txt,json,rttm").code == 0
    written = {path.suffix: path.read_text("utf-8") for path in recording.parent.glob("call.*")}
    assert written[".vtt"] == render(made, Form(TranscriptFormat.VTT))["vtt"]
    assert json.loads(written[".json"])["segments"] == render(made, VERBOSE)["segments"]
    assert written[".txt"].startswith("Channel 1: So I went to the office, and they told me")
    assert written[".rttm"].splitlines()[:2] == [
        "SPEAKER recording 1 0.000 8.400 <NA> <NA> Channel_1 <NA> <NA>",
        "SPEAKER recording 1 4.100 0.400 <NA> <NA> Channel_2 <NA> <NA>",
    ]


def test_turns_of_channels_are_those_of_their_words(tmp_path: Path) -> None:
    """On this machine too: no speaker model ran."""
    write(transcripts.split(), ["rttm"], tmp_path / "call")
    assert (tmp_path / "call.rttm").read_text().startswith("SPEAKER recording 1 0.000 8.400")


def test_words_without_speakers_are_a_transcript_too(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """As OpenAI's own model answers: no speaker, no confidence."""
    words = [
        {"word": "Hello", "start": 0.0, "end": 0.5},
        {"word": "there.", "start": 0.5, "end": 1},
    ]
    answer = {"task": "transcribe", "language": "english", "duration": 1.0, "words": words}
    answer["usage"] = {"type": "duration", "seconds": 1}
    openai.answer = lambda: (200, {}, json.dumps(answer).encode())
    assert command("transcribe", recording, "--server", openai.url).code == 0
    assert (recording.parent / "call.txt").read_text() == "Hello there.\n"


def test_words_with_their_blanks_are_words(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """As servers on faster-whisper and whisper.cpp answer."""
    texts = [" Hello", " ", " there.\n"]
    words = [{"word": word, "start": at, "end": at + 0.5} for at, word in enumerate(texts)]
    answer = {"language": "en", "duration": 3.0, "words": words}
    openai.answer = lambda: (200, {}, json.dumps(answer).encode())
    command("transcribe", recording, "--server", openai.url, "--format", "txt,json")
    assert (recording.parent / "call.txt").read_text() == "Hello there.\n"
    assert json.loads((recording.parent / "call.json").read_text())["text"] == "Hello there."


def test_the_terminal_obeys_no_name_and_no_server(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """Control characters and line ends are shown as such."""
    recording.rename(recording.with_name("a\nb\x1b[2J.wav"))
    openai.answer = lambda: (400, {}, error(None, "no \x1b]0;title\x07 model"))
    ended = command("transcribe", ".", "--server", openai.url)
    assert "a b�[2J.wav: endpoint_refused: the server says: no �]0;title� model\n" in ended.err
    assert "\x1b" not in ended.err


def test_sentences_of_a_script_without_blanks_have_none_between(
    command: Command, openai: OpenAi, recording: Path
) -> None:
    """As the worker's own text has them."""
    words = [
        {"word": word, "start": at, "end": at + 0.5}
        for at, word in enumerate(["今日", "です。", "中止", "です。"])
    ]
    answer = {"language": "ja", "duration": 4.0, "words": words}
    openai.answer = lambda: (200, {}, json.dumps(answer).encode())
    command("transcribe", recording, "--server", openai.url)
    assert (recording.parent / "call.txt").read_text("utf-8") == "今日です。中止です。\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (415, {}, error("unsupported_audio", "unsupported_audio: no recording; send one")),
            "unsupported_audio: no recording; send one",
        ),
        (
            (401, {}, error("invalid_api_key", "Incorrect API key provided")),
            "invalid_api_key: Incorrect API key provided",
        ),
        ((400, {}, error(None, "no such model")), "endpoint_refused: the server says: no such"),
        ((400, {}, b'{"error": "no such model"}'), "endpoint_refused: the server says: no such"),
        ((400, {}, b'{"error": null}'), "endpoint_refused: the server does not take this"),
        ((404, {}, b"<html>"), "endpoint_refused: the server does not take this (HTTP status 404)"),
        ((200, {}, b"<html>"), "endpoint_refused: the answer of the server is not JSON"),
        ((200, {}, b'{"text": "hi"}'), "endpoint_refused: the answer of the server has no words"),
        ((200, {}, b"[1]"), "endpoint_refused: the answer of the server has no words"),
        ((503, {}, b""), "endpoint_unavailable: the server is busy or down (HTTP status 503)"),
    ],
)
@pytest.mark.usefixtures("no_pauses")
def test_what_goes_wrong_is_told_in_a_sentence(
    command: Command, openai: OpenAi, recording: Path, answer: Answer, said: str
) -> None:
    """Exit code 1, and no file."""
    openai.answer = lambda: answer
    ended = command("transcribe", recording, "--server", openai.url)
    assert ended.code == 1
    assert f"call.wav: {said}" in ended.err
    assert files(recording.parent) == {"call.wav"}


@pytest.mark.usefixtures("no_pauses")
def test_a_busy_server_is_asked_again(command: Command, openai: OpenAi, recording: Path) -> None:
    """The whole file is sent again."""
    answers = iter([(429, {"Retry-After": "1"}, b""), (500, {}, b""), transcript()])
    openai.answer = lambda: next(answers)
    assert command("transcribe", recording, "--server", openai.url).code == 0
    assert [asked.file[1] for asked in openai.asked] == [SOUND] * 3


@pytest.mark.parametrize(
    ("answer", "uploads", "said"),
    [
        ((502, {}, error("endpoint_refused", "wrong key")), 1, "endpoint_refused: wrong key"),
        ((503, {}, error("out_of_memory", "too long")), 3, "out_of_memory: too long"),
        ((429, {}, error("of_another", "too many")), 3, "of_another: too many"),
        (
            (500, {}, error(None, "no room")),
            3,
            "endpoint_unavailable: the server is busy or down (HTTP status 500); it says: no room",
        ),
    ],
)
@pytest.mark.usefixtures("no_pauses")
def test_a_server_that_fails_is_told_in_its_own_words(
    command: Command, openai: OpenAi, recording: Path, answer: Answer, uploads: int, said: str
) -> None:
    """A file is sent again if its code, or else the status, says that this may help."""
    openai.answer = lambda: answer
    assert f"call.wav: {said}\n" in command("transcribe", recording, "--server", openai.url).err
    assert len(openai.asked) == uploads


@pytest.mark.usefixtures("no_pauses")
def test_a_server_that_is_not_there_is_told(command: Command, recording: Path) -> None:
    """Exit code 1."""
    ended = command("transcribe", recording, "--server", "http://127.0.0.1:9")
    assert ended.code == 1
    assert "endpoint_unavailable: the server cannot be reached (ConnectError)" in ended.err


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "http://host/?key=1", "http://[x"]
)
def test_what_is_no_url_of_a_server_is_refused(command: Command, recording: Path, url: str) -> None:
    """Exit code 2."""
    ended = command("transcribe", recording, "--server", url)
    assert ended.code == 2
    assert "--server: give a URL such as http://localhost:8000" in ended.err


def test_a_key_that_no_header_can_carry_is_refused(
    command: Command, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and one line without the key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-schlüssel")
    ended = command("transcribe", recording, "--server", "http://127.0.0.1:9")
    assert ended.code == 2
    assert ended.err == (
        "parakeet-workers: OPENAI_API_KEY: give ASCII letters, digits and signs, without blanks\n"
    )
