"""HTTP with one endpoint: a request, its answer, and whether to try again."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import anyio
import httpx2
import stamina

from core.domain.http_status import is_transient
from core.errors import EndpointRefused, EndpointUnavailable, WorkerError
from core.remote.pace import Pace
from core.remote.rest import Malformed

log = logging.getLogger("parakeet.remote")

_T = TypeVar("_T")

_GAVE_UP_WAITING = (504, 524)
"""A gateway passed the request on, but saw no answer; 524 is Cloudflare's."""
_FORBIDDEN = (401, 403)
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an endpoint."""

    name: str
    """Its role, as messages call it."""
    url: str
    """Without a slash at the end."""


def connect(key: str, *, pace: Pace, tls: ssl.SSLContext) -> httpx2.AsyncClient:
    """Return a client that keeps connections, for one event loop.

    It uses no proxy of the environment and follows no redirect.
    """
    return httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
        timeout=httpx2.Timeout(pace.request_s, connect=pace.connect_s),
        verify=tls,
        trust_env=False,
        follow_redirects=False,
    )


class Hiccup(EndpointUnavailable):
    """A failure that may pass."""

    def __init__(
        self, message: str, *, is_lost: bool = False, after_s: float | None = None
    ) -> None:
        super().__init__(f"{message}; try again later")
        self.is_lost = is_lost
        """The request may have been carried out; only its answer did not arrive."""
        self.after_s = after_s
        """Seconds that the server asks to wait."""


class Refusal(EndpointRefused):
    """An HTTP status that will not change."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.is_forbidden = status in _FORBIDDEN
        """The endpoint does not take the key."""
        self.is_not_found = status == _NOT_FOUND


class Exchange:
    """Sends requests to one endpoint."""

    def __init__(self, address: Address, client: httpx2.AsyncClient, pace: Pace) -> None:
        self._name = address.name
        self._url = address.url
        self._client = client
        self._pace = pace

    async def persist(self, attempt: Callable[[], Awaitable[_T]], deadline: float) -> _T:
        """Repeat an attempt after each Hiccup, ever more slowly; return its result.

        The server may ask for a longer wait, but not beyond the deadline.
        """
        tries = stamina.retry_context(
            on=lambda error: self._backoff(error, deadline),
            attempts=self._pace.tries,
            timeout=None,
            wait_initial=self._pace.first_wait_s,
            wait_max=self._pace.longest_wait_s,
            wait_jitter=self._pace.jitter_s,
        )
        async for one in tries:
            with one:
                return await attempt()
        raise AssertionError("stamina raises the last error")

    def _backoff(self, error: Exception, deadline: float) -> bool | float:
        """Return whether to try again, or the seconds until then if the server named them."""
        if not isinstance(error, Hiccup):
            return False
        log.info("%s | %s", self._name, error)
        left_s = deadline - anyio.current_time()
        return True if error.after_s is None or left_s <= 0 else min(error.after_s, left_s)

    async def send(
        self, method: str, path: str, parse: Callable[[bytes], _T], body: bytes | None = None
    ) -> _T:
        """Make one request and return its answer, parsed. Raise Hiccup or Refusal."""
        response = await self._response(method, path, body)
        if not response.is_success:
            raise self._failure(response)
        try:
            return parse(response.content)
        except Malformed:
            raise Hiccup(
                f"the {self._name} endpoint gave an answer that cannot be read", is_lost=True
            ) from None

    async def _response(self, method: str, path: str, body: bytes | None) -> httpx2.Response:
        headers = {} if body is None else {"Content-Type": "application/json"}
        url = f"{self._url}/{path}"
        try:
            with anyio.fail_after(self._pace.request_s):
                return await self._client.request(method, url, content=body, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise Hiccup(f"the {self._name} endpoint cannot be reached") from None
        except (httpx2.RequestError, TimeoutError):
            raise Hiccup(
                f"the connection to the {self._name} endpoint broke off", is_lost=True
            ) from None

    def _failure(self, response: httpx2.Response) -> WorkerError:
        status = response.status_code
        said = f"the {self._name} endpoint answered with HTTP status {status}"
        if is_transient(status):
            return Hiccup(
                said,
                is_lost=status in _GAVE_UP_WAITING,
                after_s=_retry_after_s(response.headers.get("Retry-After")),
            )
        if status in _FORBIDDEN:
            return Refusal(f"{said}; check that RUNPOD_API_KEY may use it", status)
        return Refusal(
            f"{said}; check {self._name.upper()}_ENDPOINT_ID and RUNPOD_ENDPOINT_BASE_URL", status
        )


def _retry_after_s(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks to wait; None if it cannot be read.

    RFC 9110, 10.2.3.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
