"""A server on a loopback port, whose flow does what the recording says; all else is real."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.domain.request import LocalFile
from core.domain.timeline import Transcript, Word
from core.domain.watch import Watch
from core.errors import Cancelled, ModelFailed
from core.settings import Settings
from core.transcript.segments import split_segments
from handlers.openai.app import App
from handlers.openai.serving import Server
from handlers.openai.settings import ServerSettings

WORDS = tuple(
    Word(index * 0.5, index * 0.5 + 0.4, text)
    for index, text in enumerate(["One", "two.", "Three", "four.", "Five", "six."])
)
SECRET = "the quick brown secret"


class Obedient:
    """A flow that does as the recording says."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.began = threading.Semaphore(0)
        """Released once for each request that waits."""
        self.free = threading.Event()
        """Set: those that wait may end."""
        self.cancelled = threading.Semaphore(0)
        """Released once for each request that was cancelled."""

    def run(self, request: Any, watch: Watch) -> Transcript:
        """Do it."""
        self.requests.append(request)
        source = request.recording.source
        order = "answer"
        if isinstance(source, LocalFile):
            with source.path.open() as recording:
                order = recording.read(20)
        act = getattr(self, f"_{order}", self._answer)
        act(watch)
        words = (Word(0.0, 1.0, "x" * 30_000_000),) if order == "large" else WORDS
        transcript = Transcript(3.0, words, split_segments(words), language="en")
        return replace(transcript, refresh_worker=order == "spoil")

    def rehearse(self, recording: Path) -> None:
        """Check that the recording is there."""
        assert recording.is_file()

    def _answer(self, watch: Watch) -> None:
        if watch.heard:
            watch.heard(WORDS[:3])
            watch.heard(WORDS[3:5])

    def _wait(self, watch: Watch) -> None:
        if watch.heard:
            watch.heard(WORDS[:3])
        self.began.release()
        deadline = time.monotonic() + 60
        while not self.free.wait(0.02):
            if watch.cancelled():
                self.cancelled.release()
                raise Cancelled("the caller took it back")
            assert time.monotonic() < deadline

    def _bug(self, watch: Watch) -> None:
        self._answer(watch)
        raise KeyError(SECRET)

    def _lose(self, watch: Watch) -> None:
        with contextlib.suppress(Cancelled):
            self._wait(watch)
        raise ModelFailed("the GPU failed; the worker is replaced")

    def _poison(self, _: Watch) -> None:
        raise ModelFailed("the GPU failed; the worker is replaced")


class _InThread(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the tests."""
        yield


@dataclass
class Served:
    """A running server."""

    port: int
    flow: Obedient
    app: App
    server: Server
    folder: Path
    thread: threading.Thread = field(init=False)

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return connect(self.port)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """Send a request and read the whole response."""
        return ask(self.port, method, path, body, headers)

    def transcribe(self, order: str = "answer", **fields: Any) -> Reply:
        """POST a recording."""
        return self.post(form([("file", order), *listed(fields)]))

    def post(
        self, sent: tuple[bytes, str], path: str = "/v1/audio/transcriptions", **headers: str
    ) -> Reply:
        """POST a form."""
        body, content_type = sent
        return self.ask("POST", path, body, {"Content-Type": content_type, **headers})

    def metric(self, name: str) -> float:
        """Return the value of a metric."""
        lines = self.ask("GET", "/metrics").content.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def until(self, name: str, value: float) -> None:
        """Wait until a metric has a value."""
        deadline = time.monotonic() + 30
        while (now := self.metric(name)) != value:
            assert time.monotonic() < deadline, (name, now)
            time.sleep(0.02)

    @property
    def left(self) -> list[Path]:
        """The files that stay in the folder of recordings; they go just after the answer."""
        deadline = time.monotonic() + 10
        while (left := list((self.folder / "jobs").glob("*"))) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left


@dataclass
class Reply:
    """A response."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.content)

    @property
    def error(self) -> Any:
        """The error in it."""
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The events of a stream."""
        lines = self.content.decode().split("\n\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def connect(port: int) -> http.client.HTTPConnection:
    """Open a connection."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


def ask(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Reply:
    """Send a request and read the whole response."""
    connection = connect(port)
    try:
        connection.request(method, path, body or None, headers or {})
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def listed(fields: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Fields one by one; of a list, each element."""
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one


def form(fields: Iterable[tuple[str, str | bytes]]) -> tuple[bytes, str]:
    """Encode a form; the field `file` is a file."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, value in fields:
        file = '; filename="speech.mp3"' if name == "file" else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + (value.encode() if isinstance(value, str) else value) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@contextlib.contextmanager
def served(
    folder: Path, *, is_loaded: bool = True, role: Any = "single", **settings: Any
) -> Iterator[Served]:
    """Run a server around a flow that obeys; settings are those of both kinds."""
    own = {name: settings.pop(name) for name in [*settings] if name in ServerSettings.model_fields}
    flow_settings = Settings(temp_dir=folder / "jobs", model_id="embedded", **settings)
    server_settings = ServerSettings(flow=role, **own)
    app = App(flow_settings, server_settings)
    flow = Obedient()
    if is_loaded:
        app.use(flow)
    server = _InThread(app, server_settings)
    listening = socket.create_server(("127.0.0.1", 0))
    running = Served(listening.getsockname()[1], flow, app, server, folder)
    running.thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    running.thread.start()
    try:
        yield running
    finally:
        flow.free.set()
        server.should_exit = True
        running.thread.join(30)
