"""Who is answered, when, and with which error: a real server around a flow that obeys."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.domain.codes import SECOND_CODES, is_retryable
from core.domain.request import LocalFile
from core.errors import SettingsError, WorkerError
from handlers.openai import responding, serving, uploads
from handlers.openai.errors import status_of
from handlers.openai.settings import ServerSettings
from tests.handlers.openai.served import SECRET, Served, form, served

TRANSCRIPTIONS = "/v1/audio/transcriptions"
TEXT = "One two. Three four. Five six."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server with room for one request that is worked on and two that wait."""
    with served(tmp_path, max_queue=2) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for all tests that leave it as they find it."""
    with served(tmp_path_factory.mktemp("shared")) as running:
        yield running


def test_a_recording_becomes_text_and_its_file_is_removed(server: Served) -> None:
    """The flow sees a file with the bytes that were sent; afterwards nothing is left of it."""
    reply = server.transcribe(model="whisper-1")
    assert (reply.status, reply.json["text"]) == (200, TEXT)
    assert isinstance(server.flow.requests[0].recording.source, LocalFile)
    assert server.left == []


@pytest.mark.parametrize(
    ("response_format", "media_type", "begins"),
    [
        ("json", "application/json", '{"success": true'),
        ("text", "text/plain; charset=utf-8", TEXT),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,000 --> "),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n"),
        ("verbose_json", "application/json", '{"success": true'),
        ("diarized_json", "application/json", '{"success": true'),
    ],
)
def test_each_format_is_what_clients_expect_of_it(
    shared: Served, response_format: str, media_type: str, begins: str
) -> None:
    """Text formats are text, not text in JSON."""
    reply = shared.transcribe(response_format=response_format)
    assert reply.headers["content-type"] == media_type
    assert reply.content.decode().startswith(begins)


def test_what_has_no_effect_is_told(shared: Served) -> None:
    """In the warnings of JSON, in a header of text; nothing is told of what is as it should be."""
    sentence = "temperature has no effect: of all words the likeliest are taken"
    assert shared.transcribe(temperature="0.7").json["warnings"] == [sentence]
    text = shared.transcribe(temperature="0.7", response_format="text")
    assert text.headers["x-warnings"] == sentence
    assert shared.transcribe(temperature="0.0", chunking_strategy="auto").json["warnings"] == []


def test_granularities_choose_the_lists(shared: Served) -> None:
    """Without the field both are there."""

    def lists(**fields: object) -> set[str]:
        answer = shared.transcribe(response_format="verbose_json", **fields).json
        return {"words", "segments"} & answer.keys()

    assert lists() == {"words", "segments"}
    assert lists(**{"timestamp_granularities[]": ["word"]}) == {"words"}
    assert lists(**{"timestamp_granularities[]": ["segment"]}) == {"segments"}
    assert lists(**{"timestamp_granularities[]": ["word", "segment"]}) == {"words", "segments"}


# --- paths ---


def test_the_model_and_openais_names_for_it_are_listed(shared: Served) -> None:
    """Clients that look for `whisper` or `transcribe` find something to choose."""
    names = [model["id"] for model in shared.ask("GET", "/v1/models").json["data"]]
    assert names[0] == "embedded"
    assert {"whisper-1", "gpt-4o-transcribe-diarize"} < {*names}
    assert shared.ask("GET", "/v1/models/embedded").json["object"] == "model"
    assert shared.ask("GET", "/v1/models/other").error["code"] == "unknown_model"


def test_errors_have_openais_shape(shared: Served) -> None:
    """With our code, the sentence, and the field if the sentence names one."""
    assert shared.ask("GET", "/nothing").status == 404
    assert shared.ask("GET", TRANSCRIPTIONS).status == 405
    reply = shared.transcribe(response_format="docx")
    assert reply.status == 400
    assert reply.error.keys() == {"message", "type", "param", "code"}
    assert reply.error["param"] == "response_format"
    assert reply.error["code"] == "invalid_request"
    assert reply.error["type"] == "invalid_request_error"
    assert shared.transcribe(model="other").error["code"] == "unknown_model"


def test_translation_is_refused_by_a_model_that_cannot(server: Served) -> None:
    """With a sentence, before anything is decoded, or by the flow."""
    reply = server.post(form([("file", "answer")]), "/v1/audio/translations")
    assert (reply.status == 400) or server.flow.requests[0].decoding.task == "translate"


def test_a_bug_is_an_internal_error_without_its_text(
    shared: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the answer nor the log has the exception's message."""
    reply = shared.transcribe("bug")
    assert (reply.status, reply.error["code"]) == (500, "internal_error")
    assert SECRET not in reply.error["message"]
    assert SECRET not in caplog.text
    assert "KeyError at served.py:" in caplog.text


def test_every_code_has_a_status() -> None:
    """What may succeed later is 408 or 5xx, which official clients repeat; the rest is not."""
    for code in {kind.code for kind in _kinds(WorkerError)} | SECOND_CODES:
        status = status_of(code)
        assert 400 <= status < 600
        if is_retryable(code):
            assert status in {408, 500, 502, 503, 504}, code
    assert status_of("source_too_large") == 413
    assert status_of("unsupported_language") == 400


def _kinds(kind: type[WorkerError]) -> list[type[WorkerError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _kinds(child))]


# --- loading and failing ---


def test_a_server_that_loads_says_so(tmp_path: Path) -> None:
    """204 for RunPod's load balancer, 503 for health, and for a recording when to come again."""
    with served(tmp_path, is_loaded=False) as server:
        assert server.ask("GET", "/ping").status == 204
        assert server.ask("GET", "/health").json["status"] == "loading"
        reply = server.transcribe()
        assert (reply.status, reply.error["code"]) == (503, "loading")
        assert int(reply.headers["retry-after"]) > 0
        server.app.use(server.flow)
        assert server.ask("GET", "/ping").status == 200
        assert server.ask("GET", "/health").json["status"] == "ready"


def test_a_poisoned_process_answers_and_is_unhealthy(server: Served) -> None:
    """So that whoever balances sends nobody else; the process is told to end."""
    told: list[bool] = []
    server.app.on_broken = lambda: told.append(True)
    reply = server.transcribe("poison")
    assert (reply.status, reply.error["code"]) == (503, "model_failed")
    assert told == [True]
    assert server.ask("GET", "/ping").status == 503
    assert server.ask("GET", "/health").json["status"] == "broken"


def test_so_is_one_that_was_poisoned_on_the_way_to_an_answer(server: Served) -> None:
    """The caller gets the words, and nobody else is sent."""
    reply = server.transcribe("spoil")
    assert (reply.status, reply.json["text"]) == (200, "One two. Three four. Five six.")
    assert server.ask("GET", "/health").json["status"] == "broken"


def test_so_is_one_whose_caller_has_hung_up(server: Served) -> None:
    """Nobody is left to be told of the error but those who would come next."""
    body, content_type = form([("file", "lose")])
    connection = server.connect()
    connection.request("POST", TRANSCRIPTIONS, body, {"Content-Type": content_type})
    assert server.flow.began.acquire(timeout=60)
    connection.close()
    server.until("parakeet_disconnects_total", 1)
    assert server.ask("GET", "/health").json["status"] == "broken"


# --- who is answered ---


def test_a_key_is_asked_for_where_there_is_one(tmp_path: Path) -> None:
    """Everywhere but at the page that asks for it and the two paths that balancers ask."""
    with served(tmp_path, api_key="sk-right") as server:
        for headers in (
            {},
            {"Authorization": "Bearer sk-wrong"},
            {"Authorization": "Basic sk-right"},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer ä"},
        ):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            reply = server.post(form([("file", "answer")]), **encoded)  # type: ignore[arg-type]
            assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
        for closed in ("/metrics", "/v1/models", "/nothing"):
            assert server.ask("GET", closed).status == 401
        assert server.ask("GET", "/").status == 200
        assert server.ask("GET", "/ping").status == 200
        assert server.ask("GET", "/health").status == 200
        right = {"Authorization": "bearer sk-right", "Host": "pod.example.com"}
        assert server.post(form([("file", "answer")]), **right).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.com"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Host": "["},
        {"Host": "127.0.0.1@evil.example.com"},
        {"Host": "127.0.0.1.evil.example.com:8000"},
    ],
)
def test_without_a_key_a_web_page_is_not_answered(shared: Served, headers: dict[str, str]) -> None:
    """Not even through the browser of somebody on this machine."""
    before = [*shared.flow.requests]
    reply = shared.post(form([("file", "answer")]), **headers)
    assert (reply.status, reply.error["code"]) == (403, "host_not_allowed")
    assert shared.flow.requests == before


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_without_a_key_this_machine_is_answered(shared: Served, host: str) -> None:
    """By each of its names."""
    assert shared.ask("GET", "/v1/models", headers={"Host": host}).status == 200


def test_whoever_allows_it_is_open_to_all(tmp_path: Path) -> None:
    """ALLOW_ANONYMOUS leaves the check of the host out."""
    with served(tmp_path, allow_anonymous=True) as server:
        assert server.ask("GET", "/v1/models", headers={"Host": "pod.example.com"}).status == 200


def test_no_browser_is_invited(shared: Served) -> None:
    """There is no CORS header, and OPTIONS is refused."""
    reply = shared.ask("OPTIONS", TRANSCRIPTIONS)
    assert reply.status == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_server_open_to_others_needs_a_key() -> None:
    """Or somebody who says that none is wanted; else it does not start."""
    with pytest.raises(SettingsError, match=r"^API_KEY: not set, and 0\.0\.0\.0 can be"):
        ServerSettings().check_host("0.0.0.0")
    ServerSettings().check_host("127.0.0.1")
    ServerSettings(api_key="sk").check_host("0.0.0.0")
    ServerSettings(allow_anonymous=True).check_host("0.0.0.0")


@pytest.mark.parametrize("key", ["sk a", "schlüssel", "a\tb"])
def test_a_key_that_no_header_can_carry_is_refused(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, without the key in the message."""
    monkeypatch.setenv("API_KEY", key)
    with pytest.raises(SettingsError, match=r"^API_KEY: give ASCII") as raised:
        ServerSettings.from_environment()
    assert key not in str(raised.value)


# --- limits ---


def test_one_too_many_is_told_when_to_come_again(server: Served) -> None:
    """One is worked on, two wait, the fourth gets 429; when the first are done there is room."""
    with ThreadPoolExecutor(3) as callers:
        asked = [callers.submit(server.transcribe, "wait") for _ in range(3)]
        assert server.flow.began.acquire(timeout=30)
        server.until("parakeet_queue ", 2)
        reply = server.transcribe()
        assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert server.metric("parakeet_working ") == 1
        server.flow.free.set()
        assert [reply.result().status for reply in asked] == [200] * 3
    assert server.transcribe().status == 200
    assert server.metric('parakeet_errors_total{code="rate_limit_exceeded"}') == 1


def test_a_body_is_refused_as_soon_as_it_is_too_large(tmp_path: Path) -> None:
    """While its sender still sends, who reads the answer all the same."""
    with served(tmp_path, max_audio_bytes=100_000) as server:
        reply = server.post(form([("file", b"x" * 3_000_000)]))
        assert (reply.status, reply.error["code"]) == (413, "source_too_large")
        assert server.post(form([("file", b"x" * 100_000)])).status == 200
        assert server.left == []


def test_one_who_stops_sending_loses_the_place(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is 408, whose code says that another try may help."""
    monkeypatch.setattr(responding, "IDLE_S", 0.2)
    begun, _ = _begin(server)
    response = begun.getresponse()
    assert response.status == 408
    assert json.loads(response.read())["error"]["code"] == "download_timed_out"
    server.until("parakeet_uploads ", 0)


def test_those_who_send_slowly_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where nobody may wait; once their bodies have arrived, each has its turn."""
    monkeypatch.setattr(uploads, "QUICK_S", 0.0)
    with served(tmp_path, max_queue=0) as server:
        slow = [_begin(server) for _ in range(3)]
        server.until("parakeet_uploads ", 3)
        assert server.metric("parakeet_queue ") == 0
        assert server.transcribe().status == 200
        for connection, rest in slow:
            connection.send(rest)
        assert [connection.getresponse().status for connection, _ in slow] == [200] * 3


def test_a_quick_body_is_refused_if_the_last_place_was_taken_meanwhile(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that many who come at once do not make the queue longer than it may be."""
    monkeypatch.setattr(uploads, "QUICK_S", 60.0)
    late, rest = _begin(server)
    server.until("parakeet_uploads ", 1)
    with ThreadPoolExecutor(3) as callers:
        asked = [callers.submit(server.transcribe, "wait") for _ in range(3)]
        server.until("parakeet_queue ", 2)
        late.send(rest)
        assert late.getresponse().status == 429
        server.flow.free.set()
        assert [reply.result().status for reply in asked] == [200] * 3


def test_the_slowest_sender_gives_way_if_all_places_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only after its grace: before, the new one is told to come again."""
    with served(tmp_path, max_uploads=1) as server:
        slow, _ = _begin(server)
        server.until("parakeet_uploads ", 1)
        refused = server.transcribe()
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert refused.error["message"] == "all places for uploads (1) are taken; try again later"
        assert int(refused.headers["retry-after"]) > 0
        monkeypatch.setattr(uploads, "GRACE_S", 0.0)
        assert server.transcribe().status == 200
        response = slow.getresponse()
        assert (response.status, json.loads(response.read())["error"]) == (
            408,
            {
                "message": "the body came slowly, and others wanted its place; try again",
                "type": "invalid_request_error",
                "param": None,
                "code": "download_timed_out",
            },
        )


def _begin(server: Served) -> tuple[http.client.HTTPConnection, bytes]:
    """Send the first bytes of a request; return the connection and the rest of the body."""
    body, content_type = form([("file", "answer")])
    connection = server.connect()
    connection.putrequest("POST", TRANSCRIPTIONS)
    connection.putheader("Content-Type", content_type)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:20])
    return connection, body[20:]


def test_a_body_may_come_in_chunks(server: Served) -> None:
    """Of any size, without its length before it."""
    body, content_type = form([("file", "answer"), ("model", "whisper-1")])
    connection = server.connect()
    pieces = (body[begin : begin + 7] for begin in range(0, len(body), 7))
    headers = {"Content-Type": content_type}
    connection.request("POST", TRANSCRIPTIONS, pieces, headers, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["text"]) == (200, TEXT)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=["TLS", "words", "another version", "a length that is none", "a chunk that is none"],
)
def test_what_is_no_http_is_a_typed_error(shared: Served, sent: bytes) -> None:
    """And the end of the connection."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as odd:
        odd.sendall(sent)
        answer = b"".join(iter(lambda: odd.recv(10_000), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_request"
    shared.until("parakeet_queue ", 0)


def test_one_who_does_not_read_loses_the_place(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large answer is not kept for him."""
    monkeypatch.setattr(responding, "IDLE_S", 1.0)
    body, content_type = form([("file", "large")])
    connection = server.connect()
    connection.request("POST", TRANSCRIPTIONS, body, {"Content-Type": content_type})
    server.until("parakeet_disconnects_total", 1)
    server.until("parakeet_queue ", 0)
    connection.close()


@pytest.mark.parametrize("bounded", [{"max_audio_bytes": 100_000}, {"role": "orchestrated"}])
def test_a_body_that_says_how_large_it_is_need_not_be_sent(
    tmp_path: Path, bounded: dict[str, object]
) -> None:
    """It is refused before it, as `Expect: 100-continue` has it."""
    with served(tmp_path, **bounded) as server:
        connection = server.connect()
        connection.putrequest("POST", TRANSCRIPTIONS)
        connection.putheader("Content-Length", "90000000")
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["error"]["code"] == "source_too_large"


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/audio/tran", b"GET /ping HTTP/1.1\r\nHost: x\r\n"]
)
def test_a_head_that_does_not_come_ends_the_connection(
    shared: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Whether nothing, half a line or half a head was sent."""
    monkeypatch.setattr(serving, "HEAD_S", 0.2)
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as silent:
        silent.sendall(sent)
        assert _rest(silent) == b""


def test_an_endless_head_ends_the_connection(shared: Served) -> None:
    """Before it fills the memory."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as endless:
        lines = (f"x-{number}: {'y' * 1000}\r\n".encode() for number in range(10_000))
        with pytest.raises(OSError):  # noqa: PT011  which one, the system says
            endless.sendall(b"GET /ping HTTP/1.1\r\n" + b"".join(lines))


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""


# --- the end ---


@pytest.mark.parametrize("stream", ["false", "true"])
def test_one_who_hangs_up_frees_the_worker(server: Served, stream: str) -> None:
    """The flow is told, its thread ends, and the next request is worked on."""
    body, content_type = form([("file", "wait"), ("stream", stream)])
    connection = server.connect()
    connection.request("POST", TRANSCRIPTIONS, body, {"Content-Type": content_type})
    assert server.flow.began.acquire(timeout=30)
    connection.close()
    assert server.flow.cancelled.acquire(timeout=30)
    assert server.transcribe().status == 200
    assert server.metric("parakeet_disconnects_total") == 1
    assert server.left == []


def test_one_who_hangs_up_while_waiting_is_never_worked_on(server: Served) -> None:
    """Nor does the recording stay."""
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(server.transcribe, "wait")
        assert server.flow.began.acquire(timeout=30)
        body, content_type = form([("file", "answer")])
        connection = server.connect()
        connection.request("POST", TRANSCRIPTIONS, body, {"Content-Type": content_type})
        server.until("parakeet_queue ", 1)
        connection.close()
        server.until("parakeet_queue ", 0)
        server.flow.free.set()
        assert first.result().status == 200
    assert len(server.flow.requests) == 1


def test_a_server_that_ends_answers_what_it_has_begun(server: Served) -> None:
    """And takes no new connection meanwhile."""
    with ThreadPoolExecutor(1) as callers:
        begun = callers.submit(server.transcribe, "wait")
        assert server.flow.began.acquire(timeout=30)
        server.server.should_exit = True
        deadline = time.monotonic() + 30
        while _listens(server.port):
            assert time.monotonic() < deadline
        server.flow.free.set()
        assert begun.result().status == 200
    server.thread.join(30)
    assert not server.thread.is_alive()


def test_a_server_that_has_waited_long_enough_cancels(tmp_path: Path) -> None:
    """DRAIN_TIMEOUT bounds the wait for a request that does not end; its caller is told."""
    with served(tmp_path, drain_timeout=0) as server, ThreadPoolExecutor(1) as callers:
        begun = callers.submit(server.transcribe, "wait")
        assert server.flow.began.acquire(timeout=30)
        server.server.should_exit = True
        assert server.flow.cancelled.acquire(timeout=30)
        server.thread.join(30)
        assert not server.thread.is_alive()
        assert (begun.result().status, begun.result().error["code"]) == (503, "shutting_down")
    assert server.left == []


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False
