"""A Hugging Face hub on the loopback: the requests that `snapshot_download` makes, ranges too, and
the refusals that the real hub gives.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LARGE = 1 << 20
"""Files of more bytes are named by their SHA-256, others by git's kind of sum."""
PIECE = 1 << 16
"""Bytes that a slow hub sends at once."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the hub holds and how it answers."""

    repositories: Mapping[str, Mapping[str, bytes]]
    """The files of each model id."""
    gated: bool = False
    """Files are given only to `accepted` tokens."""
    private: bool = False
    """Models are shown only to `accepted` tokens."""
    broken: bool = False
    """Every answer is a 503."""
    bytes_per_s: float | None = None
    """How fast files are sent; None is at once."""
    damaged: bool = False
    """Large files arrive with their first byte changed."""
    revisions: frozenset[str] | None = None
    """The branches, tags and commits that it knows; None is any."""
    accepted: str = "hf_accepted"
    url: str = ""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and authorization of each request."""
    ranges: list[str] = field(default_factory=list)
    """The `Range` of each request that wanted a part of a file."""


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve the hub on a free port; its `url` is set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        authorization = self.headers.get("Authorization")
        self.hub.requests.append((self.command, path, authorization))
        known = authorization == f"Bearer {self.hub.accepted}"
        model_id, name = self._target(path)
        files = self.hub.repositories.get(model_id)
        if self.hub.broken:
            self._answer(503, b"")
        elif files is None or (self.hub.private and not known):
            self._answer(
                404 if authorization and known else 401, b"", {"X-Error-Code": "RepoNotFound"}
            )
        elif self._asks_for_no_revision(path):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/api/") and "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
                for name, data in files.items()
            ]
            self._answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        elif path.startswith("/api/"):
            about = {
                "id": model_id,
                "sha": COMMIT,
                "siblings": [{"rfilename": name} for name in files],
            }
            self._answer(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
        elif self.hub.gated and not known:
            self._answer(403 if authorization else 401, b"", {"X-Error-Code": "GatedRepo"})
        elif name in files:
            self._send(files[name])
        else:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})

    def _send(self, data: bytes) -> None:
        etag = _oid(data)
        if self.hub.damaged and len(data) > LARGE:
            data = bytes([data[0] ^ 1]) + data[1:]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range") if self.command == "GET" else None
        if asked is None:
            self._answer(200, data, headers)
            return
        self.hub.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").partition("-")[0])
        self._answer(
            206,
            data[first:],
            headers | {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"},
        )

    do_HEAD = do_GET  # noqa: N815  the name is the server's

    def _asks_for_no_revision(self, path: str) -> bool:
        asked = re.search(r"/(?:revision|resolve|tree)/([^/]+)", path)
        known = self.hub.revisions
        return asked is not None and known is not None and unquote(asked[1]) not in known

    @staticmethod
    def _target(path: str) -> tuple[str, str]:
        parts = path.removeprefix("/api/models/").strip("/").split("/")
        return "/".join(parts[:2]), "/".join(parts[4:])

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):
                self._write(body)

    def _write(self, body: bytes) -> None:
        if self.hub.bytes_per_s is None or len(body) < PIECE:
            self.wfile.write(body)
            return
        for start in range(0, len(body), PIECE):
            self.wfile.write(body[start : start + PIECE])
            time.sleep(PIECE / self.hub.bytes_per_s)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _oid(data: bytes) -> str:
    if len(data) > LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
