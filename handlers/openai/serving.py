"""The server's sockets: it listens before its models are loaded, and ends when it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core import __version__
from core.errors import SettingsError, WorkerError
from core.flows.flow import Flow
from core.settings import Settings
from handlers.faults import internal_error, where
from handlers.openai import errors
from handlers.openai.answering import as_json
from handlers.openai.app import App
from handlers.openai.errors import Refusal
from handlers.openai.roles import ROLES
from handlers.openai.settings import ServerSettings

REHEARSAL = Path(__file__).parents[1] / "fitness.flac"
HEAD_S = 15.0
"""Seconds that a caller gets for the head of a request."""
MAX_HEAD_BYTES = 65_536
UNTAKEN_MS = 60_000
"""Milliseconds that a caller may leave the end of a response untaken."""
CANCEL_S = 5.0
"""Seconds for cancelled requests to end: a flow looks every half second."""
MAX_CONNECTIONS = 1000
"""More are refused at once: each costs a descriptor."""

log = logging.getLogger("parakeet.server")


class Bounded(HttpToolsProtocol):
    """A connection on which the head of a request may be neither late nor endless."""

    _timer: TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        was_waiting = self._is_waiting
        super().data_received(data)
        if not self._is_waiting:
            self._stop()
            return
        self._head_bytes = self._head_bytes + len(data) if was_waiting else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()
        elif self._timer is None:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in OpenAI's shape, and end the connection."""
        content = as_json(errors.body(Refusal(msg)))
        head = (
            f"HTTP/1.1 {Refusal.status} Bad Request\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        """Tell whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop(self) -> None:
        self._head_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Serves an app; a first SIGTERM or SIGINT drains it, a second ends it."""

    def __init__(self, app: App, settings: ServerSettings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Bounded,
                ws="none",
                loop="asyncio",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="error",
                timeout_graceful_shutdown=int(settings.drain_timeout),
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then cancel what is left and wait until no thread works for it."""
        await super().shutdown(sockets)
        for task in self.server_state.tasks:
            task.cancel()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=CANCEL_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order, with exit code 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


class Loading:
    """Loads a flow in a thread beside the server."""

    def __init__(self, app: App, settings: Settings, name: str) -> None:
        self._app, self._settings, self._role = app, settings, ROLES[name]
        self.failure: str | None = None
        """One line, if the flow could not be loaded."""
        self.is_done = False

    def start(self, server: Server) -> None:
        """Begin; if loading fails, end the server."""
        loop = asyncio.get_running_loop()

        def load() -> None:
            flow = self._flow()
            if flow is None:
                loop.call_soon_threadsafe(setattr, server, "should_exit", True)
            else:
                loop.call_soon_threadsafe(self._app.use, flow)
            self.is_done = True

        threading.Thread(target=load, name="loading", daemon=True).start()

    def _flow(self) -> Flow[Any] | None:
        """Load the flow and rehearse it, so that no caller is the first to learn that it fails."""
        began = time.perf_counter()
        try:
            flow = self._role.load(self._settings)
            flow.rehearse(REHEARSAL)
        except WorkerError as error:
            self.failure = f"{error.code}: {error}"
            return None
        except Exception as error:
            log.error("the models could not be loaded: %s", where(error))  # noqa: TRY400
            unexpected = internal_error(error)
            self.failure = f"{unexpected.code}: {unexpected}"
            return None
        log.info(
            "ready after %.2f s; parakeet-workers %s", time.perf_counter() - began, __version__
        )
        return flow


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raise SettingsError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise SettingsError(f"--host {host} --port {port}: {error.strerror}") from None


def serve(settings: Settings, server_settings: ServerSettings, listening: socket.socket) -> int:
    """Serve until a signal comes, and return the exit code: 1 if the models failed."""
    app = App(settings, server_settings)
    loading = Loading(app, settings, server_settings.flow)
    server = Server(app, server_settings)
    broken: list[bool] = []

    def end_broken() -> None:
        broken.append(True)
        server.should_exit = True

    app.on_broken = end_broken

    async def run() -> None:
        loading.start(server)
        await server.serve(sockets=[listening])

    asyncio.run(run())
    if loading.failure:
        log.error("%s", loading.failure)
    code = 1 if loading.failure or broken else 0
    if not loading.is_done:
        os._exit(code)  # a thread that loads a model cannot be stopped
    return code
