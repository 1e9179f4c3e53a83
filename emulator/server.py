"""The emulator as one HTTP server, for as long as a coroutine runs or in a thread beside a test.

with Server() as server:
    endpoint = server.simulate("transcription", handler)
    ... requests to f"{server.url}/v2/transcription/run" ...
    assert not endpoint.queue.unfinished()
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from emulator import api, worker_api
from emulator.endpoint import Endpoint
from emulator.faults import Schedule
from emulator.interference import Interference
from emulator.rules import Rules
from emulator.scaler import Bounds, Launcher, Scaler
from emulator.simulated import Handler, SimulatedLauncher
from emulator.worker_process import ProcessLauncher

KEEP_ALIVE_S = 75
"""As proxies usually do. The SDK posts a result over a connection that was idle while the job ran,
and does not try again if the server has just closed it.
"""

_Answer = TypeVar("_Answer")


class Emulator:
    """The endpoints and the HTTP server in front of them, on the running event loop."""

    def __init__(
        self, *, api_key: str | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Listen from here on, but answer only while `run` runs. Port 0 takes a free one.

        Raise OSError if the port is taken.
        """
        self.endpoints: dict[str, Endpoint] = {}
        self._socket = socket.create_server((host, port))
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        self._server = _Uvicorn(
            uvicorn.Config(
                Interference(_make_app(self.endpoints, api_key), self.endpoints),
                lifespan="off",
                ws="none",
                loop="asyncio",
                proxy_headers=False,
                access_log=False,
                log_level="error",
                log_config=None,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )

    def add(
        self, name: str, rules: Rules | None = None, faults: Schedule | None = None
    ) -> Endpoint:
        """Open an endpoint without workers. Whoever comes to take jobs is one."""
        endpoint = self.endpoints[name] = Endpoint(name, rules, faults)
        endpoint.open()
        return endpoint

    async def remove(self, name: str) -> None:
        """Close an endpoint. Its jobs are gone."""
        await self.endpoints[name].close()  # its workers need it until they have ended
        del self.endpoints[name]

    async def run(self, until: Coroutine[Any, Any, Any]) -> None:
        """Serve until `until` has ended, then end all workers and at last the server.

        Workers need the server to end.
        """
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        try:
            await until
        finally:
            await asyncio.gather(*(endpoint.close() for endpoint in self.endpoints.values()))
            self._server.should_exit = True
            await serving


class Server:
    """An emulator in a thread of its own: `with Server() as server`."""

    def __init__(self, *, api_key: str | None = None, rules: Rules | None = None) -> None:
        self._api_key, self._rules = api_key, rules
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        self._emulator: Emulator

    def __enter__(self) -> Self:
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._emulator = Emulator(api_key=self._api_key)
        self._loop.call_soon(started.set_result, None)
        self._thread.start()
        started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The address, without a path."""
        return self._emulator.url

    @property
    def base_url(self) -> str:
        """The value of RUNPOD_ENDPOINT_BASE_URL for clients."""
        return f"{self.url}/v2"

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints by name. Look at them from any thread, but change them by `call` only."""
        return self._emulator.endpoints

    def call(self, act: Callable[..., _Answer], *arguments: object) -> _Answer:
        """Call a function on the emulator's thread and return what it returns."""

        async def run() -> _Answer:
            return act(*arguments)

        return self.wait(run())

    def wait(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Run a coroutine on the emulator's thread and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def add(
        self, name: str, *, rules: Rules | None = None, faults: Schedule | None = None
    ) -> Endpoint:
        """Open an endpoint without workers."""
        return self.call(self._emulator.add, name, rules or self._rules, faults)

    def remove(self, name: str) -> None:
        """Close an endpoint."""
        self.wait(self._emulator.remove(name))

    def scale(self, endpoint: Endpoint, launcher: Launcher, bounds: Bounds | None = None) -> Scaler:
        """Give an endpoint workers: by default one, always on."""
        return self.call(Scaler, endpoint, launcher, bounds or Bounds(min_workers=1, max_workers=1))

    def simulate(
        self,
        name: str,
        handler: Handler,
        *,
        bounds: Bounds | None = None,
        concurrency: int = 1,
        cold_start_s: float = 0.0,
        rules: Rules | None = None,
        faults: Schedule | None = None,
    ) -> Endpoint:
        """Open an endpoint whose workers are coroutines that run `handler`."""
        endpoint = self.add(name, rules=rules, faults=faults)
        self.scale(endpoint, SimulatedLauncher(handler, concurrency, cold_start_s), bounds)
        return endpoint

    def launch(
        self,
        name: str,
        module: str,
        log_folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        bounds: Bounds | None = None,
        rules: Rules | None = None,
        faults: Schedule | None = None,
    ) -> Endpoint:
        """Open an endpoint whose workers are processes: `python -m module`."""
        endpoint = self.add(name, rules=rules, faults=faults)
        self.scale(
            endpoint, ProcessLauncher(module, self.url, log_folder, environment or {}), bounds
        )
        return endpoint

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._emulator.run(self._stop.wait()))


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the emulator: workers must end before the server."""
        yield


def _make_app(endpoints: Mapping[str, Endpoint], api_key: str | None) -> FastAPI:
    app = FastAPI(title="RunPod on one machine", docs_url=None, redoc_url=None)
    app.state.endpoints, app.state.api_key = endpoints, api_key
    app.include_router(api.router)
    app.include_router(worker_api.router)

    @app.exception_handler(HTTPException)
    async def say(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, status_code=error.status_code)

    return app
