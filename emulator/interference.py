"""The ASGI middleware that counts an endpoint's exchanges and lets faults spoil them."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.endpoint import Endpoint
from emulator.exchange import Exchange


class Interference:
    """Counts every exchange of an endpoint and hands the struck ones to their faults."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint]) -> None:
        self._app, self._endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        endpoint, route = self._find(scope)
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        endpoint.requests[route] += 1
        fault = endpoint.faults.exchange(route)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            exchange = Exchange(self._app, scope, receive, send)
            await exchange.read()
            await fault.strike(exchange)

    def _find(self, scope: Scope) -> tuple[Endpoint | None, str]:
        parts = scope["path"].split("/") if scope["type"] == "http" else []
        if len(parts) < 4 or parts[1] != "v2":
            return None, ""
        return self._endpoints.get(parts[2]), parts[3]
