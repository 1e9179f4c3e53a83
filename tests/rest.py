"""The platform's public REST API on loopback, as far as a client sees it, that answers by a
script.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "rpa_SECRETKEY"


@dataclass(frozen=True)
class Reply:
    """One answer; `body` goes out as it is, whatever its headers say."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    is_reset: bool = False
    """The connection is reset instead."""
    drip_s: float = 0.0
    """Seconds between two bytes."""


def state(status: str, **more: object) -> Reply:
    """What `/status` says."""
    return Reply(body={"id": "job", "status": status, **more})


def completed(output: object) -> Reply:
    """A job that is done."""
    return state("COMPLETED", output=output)


def failed(code: str, sentence: str, *, retryable: bool = False) -> Reply:
    """A job that failed in a worker of ours."""
    return state(
        "FAILED",
        error=f"{code}: {sentence}",
        output={"success": False, "code": code, "retryable": retryable},
    )


RESET = Reply(is_reset=True)
HTML = Reply(
    body="<!doctype html><title>One moment, please</title>", headers={"Content-Type": "text/html"}
)
QUEUED = state("IN_QUEUE")


@dataclass
class Asked:
    """One request that arrived."""

    route: str
    """`run`, `status`, `cancel`, `health`."""
    job_id: str
    at: float
    key: str
    body: Any


Script = Sequence[Reply] | Callable[[Asked], Reply]


class Endpoint:
    """One endpoint: per route the replies in order, the last one for ever; and all that was
    asked.
    """

    def __init__(self, **scripts: Script) -> None:
        self.scripts: dict[str, Script] = {
            "run": self._accept,
            "cancel": [state("CANCELLED")],
            "health": [Reply(body={})],
            **scripts,
        }
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._count: dict[str, int] = {}

    def _accept(self, _asked: Asked) -> Reply:
        return Reply(body={"id": f"job-{len(self.of('run'))}", "status": "IN_QUEUE"})

    def of(self, route: str) -> list[Asked]:
        """What was asked of one route."""
        return [asked for asked in self.asked if asked.route == route]

    def reply(self, asked: Asked) -> Reply:
        """The next reply."""
        with self._lock:
            self.asked.append(asked)
            count = self._count.get(asked.route, 0)
            self._count[asked.route] = count + 1
        script = self.scripts[asked.route]
        return script(asked) if callable(script) else script[min(count, len(script) - 1)]


class Server(ThreadingHTTPServer):
    """Endpoints by their ids."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        super().__init__(("127.0.0.1", 0), _Protocol)
        self.endpoints = endpoints
        self.base = f"http://127.0.0.1:{self.server_port}/v2"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is what is tested."""


class _Protocol(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        _, _, endpoint, route, *job_id = self.path.split("/")
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        asked = Asked(
            route, "".join(job_id), time.monotonic(), self.headers.get("Authorization", ""), body
        )
        reply = self.server.endpoints[endpoint].reply(asked)
        time.sleep(reply.delay_s)
        if reply.is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        data = (
            reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        )
        self.send_response(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if not reply.drip_s:
            self.wfile.write(data)
            return
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(reply.drip_s)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve(**endpoints: Endpoint) -> Iterator[Server]:
    """The API on a free loopback port."""
    with Server(endpoints) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
