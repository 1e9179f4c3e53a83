"""The server's paths.

POST /v1/audio/transcriptions, /v1/audio/translations
GET  /
GET  /v1/models, /v1/models/{id}
GET  /health, /ping, /metrics
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from core import __version__
from core.errors import WorkerError
from core.flows.flow import Flow
from core.settings import Settings
from handlers.openai.answering import Body, as_json
from handlers.openai.asking import known_fields
from handlers.openai.auth import Door
from handlers.openai.errors import (
    Loading,
    NoSuchModel,
    NoSuchPath,
    Refusal,
    WrongMethod,
)
from handlers.openai.metrics import CONTENT_TYPE, Metrics
from handlers.openai.responding import Exchange, Told, answered
from handlers.openai.roles import ALIASES, ROLES
from handlers.openai.seats import Seats
from handlers.openai.settings import ServerSettings
from handlers.openai.start_page import start_page
from handlers.openai.transcriptions import Transcriptions
from handlers.openai.uploads import Uploads
from handlers.openai.work import Worker

_OPEN = ("/", "/health", "/ping")
"""Paths that need no key: a page that asks for it, and whether the server is ready and how busy."""
_MODEL = re.compile(r"/v1/models/(.{1,200})")

Act = Callable[[Exchange], Awaitable[None]]


class App:
    """The server without its sockets: an ASGI application."""

    def __init__(self, settings: Settings, server: ServerSettings) -> None:
        """It answers `loading` until it gets its flow."""
        role = ROLES[server.flow]
        self._models = (role.model(settings),)
        self._known = known_fields(role.kind)
        self._threads = settings.worker_concurrency
        self._seats = Seats(self._threads, server.max_queue)
        self._uploads = Uploads(server.max_uploads)
        self._metrics = Metrics(self._seats, self._uploads)
        self._door = Door(server)
        self._worker: Worker | None = None
        self._began = int(time.time())
        self._transcriptions = Transcriptions(
            settings, role, self._models, self._seats, self._uploads, self._metrics
        )
        self.on_broken: Callable[[], None] = lambda: None
        """Called when the process can no longer be trusted."""
        self._is_broken = False
        self.paths: dict[str, dict[str, Act]] = {
            "/": {"GET": self._show_start},
            "/v1/audio/transcriptions": {"POST": self._transcribe},
            "/v1/audio/translations": {"POST": self._translate},
            "/v1/models": {"GET": self._list_models},
            "/health": {"GET": self._tell_health},
            "/ping": {"GET": self._pong},
            "/metrics": {"GET": self._tell_metrics},
        }
        """What answers each method of each path."""

    def use(self, flow: Flow[Any]) -> None:
        """Answer with this flow from now on."""
        self._worker = Worker(flow, self._threads, self._break)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(scope, receive, send)
        told = Told(failed=self._failed, gone=self._metrics.gone)
        await answered(exchange, self._answer, told, known=self._known)

    async def _answer(self, exchange: Exchange) -> None:
        path, method = exchange.path, exchange.request.method
        if path not in _OPEN:
            self._door.check(exchange.request.headers)
        methods = self.paths.get(path) or (
            {"GET": self._tell_model} if _MODEL.fullmatch(path) else None
        )
        if methods is None:
            raise NoSuchPath(f"there is nothing here; known are {', '.join(self.paths)}")
        if method not in methods:
            raise WrongMethod(f"this path takes {', '.join(methods)}")
        await methods[method](exchange)

    def _failed(self, error: WorkerError | Refusal) -> None:
        self._metrics.failed(error.code)

    def _break(self) -> None:
        self._is_broken = True
        self.on_broken()

    async def _show_start(self, exchange: Exchange) -> None:
        await exchange.respond(start_page())

    async def _transcribe(self, exchange: Exchange) -> None:
        await self._transcriptions.answer(exchange, self._ready())

    async def _translate(self, exchange: Exchange) -> None:
        await self._transcriptions.answer(exchange, self._ready(), translate=True)

    def _ready(self) -> Worker:
        if self._worker is None:
            raise Loading("the models are being loaded; try again soon")
        return self._worker

    async def _list_models(self, exchange: Exchange) -> None:
        models = [self._model(name) for name in (*self._models, *ALIASES)]
        await exchange.respond(Body(as_json({"object": "list", "data": models})))

    async def _tell_model(self, exchange: Exchange) -> None:
        match = _MODEL.fullmatch(exchange.path)
        name = match[1] if match else ""
        if name not in (*self._models, *ALIASES):
            raise NoSuchModel(f"model: {name[:80]!r} is not here; GET /v1/models lists all")
        await exchange.respond(Body(as_json(self._model(name))))

    def _model(self, name: str) -> dict[str, object]:
        return {
            "id": name,
            "object": "model",
            "created": self._began,
            "owned_by": "parakeet-workers",
        }

    async def _tell_health(self, exchange: Exchange) -> None:
        """Answer 200 if the server takes requests, else 503, with the reason."""
        status = "broken" if self._is_broken else "ready" if self._worker else "loading"
        health: dict[str, object] = {
            "status": status,
            "version": __version__,
            "working": self._seats.working,
            "waiting": self._seats.waiting,
            "receiving": self._uploads.receiving,
        }
        await exchange.respond(Body(as_json(health)), 200 if status == "ready" else 503)

    async def _pong(self, exchange: Exchange) -> None:
        """Answer as RunPod's load balancer wants it: 204 while loading, 200 if ready."""
        status = 503 if self._is_broken else 200 if self._worker else 204
        await exchange.respond(Body(b"", "text/plain"), status)

    async def _tell_metrics(self, exchange: Exchange) -> None:
        await exchange.respond(Body(self._metrics.text(), CONTENT_TYPE))
