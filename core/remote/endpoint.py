"""One endpoint of the platform: a job from its submission to its output, through whatever the
network does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
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
from core.domain.watch import Report
from core.errors import (
    DeadlineExceeded,
    EndpointRefused,
    EndpointUnavailable,
    JobExpired,
    WorkerError,
)
from core.remote.rest import JobState, Malformed, output_of, progress_of, read_id, read_state

log = logging.getLogger("parakeet.remote")

_T = TypeVar("_T")

_GAVE_UP_WAITING = (504, 524)
"""A gateway took the request and passed it on, but saw no answer (524 is Cloudflare's)."""
_FORBIDDEN = (401, 403)
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is."""

    name: str
    """Its role, as messages call it."""
    url: str
    """Without a slash at the end."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long the client tries; times in seconds."""

    tries: int = 10
    first_wait_s: float = 0.2
    """Before the second try; each next wait is twice as long, up to `longest_wait_s`."""
    longest_wait_s: float = 10.0
    jitter_s: float = 0.5
    request_s: float = 30.0
    """For one request and the whole of its answer, however it drips."""
    connect_s: float = 10.0
    cancel_s: float = 5.0
    """For taking a job back."""
    last_s: float = 0.5
    """The same, at the least: also where the deadline is over."""
    first_poll_s: float = 0.1
    poll_share: float = 0.05
    """A poll that comes so much of the job's time later costs no more than that."""
    longest_poll_s: float = 2.0

    def until_poll_s(self, elapsed_s: float) -> float:
        """How long to wait before the next look at a job that was submitted so long ago; jittered,
        so that many jobs spread.
        """
        steady = min(self.longest_poll_s, max(self.first_poll_s, self.poll_share * elapsed_s))
        return steady * random.uniform(0.75, 1.25)  # noqa: S311  nothing secret


def connect(key: str, *, pace: Pace, tls: ssl.SSLContext) -> httpx2.AsyncClient:
    """Give a client that keeps connections, for one event loop; it goes nowhere that an address
    does not say.
    """
    return httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
        timeout=httpx2.Timeout(pace.request_s, connect=pace.connect_s),
        verify=tls,
        trust_env=False,
        follow_redirects=False,
    )


class _Hiccup(EndpointUnavailable):
    """What may go well the next time."""

    def __init__(
        self, message: str, *, is_lost: bool = False, after_s: float | None = None
    ) -> None:
        super().__init__(f"{message}; try again later")
        self.is_lost = is_lost
        """The request may have been carried out; only its answer did not arrive."""
        self.after_s = after_s
        """How long the server asks to wait."""
        self.is_worth_another = True


class _Refusal(EndpointRefused):
    """An HTTP status that will be the same the next time."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Endpoint:
    """Runs jobs in one endpoint, any number at once, in one event loop."""

    def __init__(self, address: Address, client: httpx2.AsyncClient, pace: Pace) -> None:
        self._name = address.name
        self._url = address.url
        self._client = client
        self._pace = pace

    async def run(self, body: bytes, *, deadline: float, report: Report) -> object:
        """Submit a job with a `request_body`, wait for its end and give its output. `deadline` is
        in the time of `anyio.current_time`.

        Where this is cancelled, fails or runs out of time while the job may still run, the job is
        cancelled too.

        Raises EndpointRefused, EndpointUnavailable, JobExpired, JobFailed, DeadlineExceeded.
        """
        with anyio.CancelScope(deadline=deadline):
            job_id = await self._submit(body, deadline)
            try:
                state = await self._wait(job_id, deadline, report)
            except JobExpired:
                raise
            except BaseException:
                await self._take_back(job_id, self._last_moment(deadline))
                raise
            return output_of(state, self._name)
        raise DeadlineExceeded(
            f"the {self._name} job did not end in time; try again, or ask for a range with start "
            "and end"
        )

    async def check(self) -> None:
        """Ask once how the endpoint is; raises EndpointRefused where it does not take the key.

        Other trouble is logged: it may pass.
        """
        try:
            await self._send("GET", "health")
        except WorkerError as error:
            if isinstance(error, _Refusal) and error.status in _FORBIDDEN:
                raise
            log.warning("%s | health: %s", self._name, error)

    async def _submit(self, body: bytes, deadline: float) -> str:
        """Give the job's id. Where an answer is lost the job is submitted once more, and only once:
        the first may be running.
        """
        lost = 0

        async def attempt() -> str:
            nonlocal lost
            try:
                return await self._post_job(body, deadline)
            except _Hiccup as hiccup:
                lost += hiccup.is_lost
                hiccup.is_worth_another = lost < 2
                raise

        job_id = await self._persist(attempt, deadline)
        if lost:
            # Its id is not known, so it cannot be cancelled; its time to live ends with the
            # deadline.
            log.warning("%s | %s | submitted twice: one answer was lost", self._name, job_id)
        return job_id

    async def _post_job(self, body: bytes, deadline: float) -> str:
        """Submit a job. Where this is cancelled while the request is on its way, its answer is
        awaited, and the job taken back.
        """
        sending = asyncio.ensure_future(self._send("POST", "run", body))
        try:
            return self._read(read_id, await asyncio.shield(sending))
        except asyncio.CancelledError:
            last_moment = self._last_moment(deadline)
            with (
                anyio.CancelScope(deadline=last_moment, shield=True),
                contextlib.suppress(WorkerError),
            ):
                await self._take_back(self._read(read_id, await sending), last_moment)
            raise

    async def _wait(self, job_id: str, deadline: float, report: Report) -> JobState:
        """Look at the job until it ends."""
        started = anyio.current_time()
        polls = 0
        while True:
            await anyio.sleep(self._pace.until_poll_s(anyio.current_time() - started))
            state = await self._persist(lambda: self._look(job_id), deadline)
            polls += 1
            if state.status.is_final:
                log.info(
                    "%s | %s | %s after %.1f s, %d polls",
                    self._name,
                    job_id,
                    state.status,
                    anyio.current_time() - started,
                    polls,
                )
                return state
            if progress := progress_of(state):
                report(*progress)

    async def _look(self, job_id: str) -> JobState:
        try:
            return self._read(read_state, await self._send("GET", f"status/{job_id}"))
        except _Refusal as refusal:
            if refusal.status != _NOT_FOUND:
                raise
            raise JobExpired(
                f"the {self._name} endpoint no longer knows the job; try again"
            ) from None

    async def _take_back(self, job_id: str, last_moment: float) -> None:
        """Cancel a job, in little time and whatever else is cancelled; that it fails is logged."""
        with anyio.CancelScope(deadline=last_moment, shield=True) as scope:
            # Told to wait for longer than half of what is left, it tries once more all the same.
            halfway = (anyio.current_time() + last_moment) / 2
            try:
                await self._persist(lambda: self._send("POST", f"cancel/{job_id}"), halfway)
            except WorkerError as error:
                if not (
                    isinstance(error, _Refusal) and error.status == _NOT_FOUND
                ):  # else it is over already
                    log.warning("%s | %s | could not be cancelled: %s", self._name, job_id, error)
        if scope.cancelled_caught:
            log.warning("%s | %s | could not be cancelled in time", self._name, job_id)

    def _last_moment(self, deadline: float) -> float:
        """When a job must have been taken back."""
        now = anyio.current_time()
        return now + max(self._pace.last_s, min(self._pace.cancel_s, deadline - now))

    async def _persist(self, attempt: Callable[[], Awaitable[_T]], deadline: float) -> _T:
        """Try again, ever more slowly, while that may help; the server may say how slowly, up to
        the deadline.
        """

        def is_worth_another(error: Exception) -> bool | float:
            if not isinstance(error, _Hiccup) or not error.is_worth_another:
                return False
            log.info("%s | %s", self._name, error)
            left = deadline - anyio.current_time()
            return True if error.after_s is None or left <= 0 else min(error.after_s, left)

        tries = stamina.retry_context(
            on=is_worth_another,
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

    def _read(self, parse: Callable[[bytes], _T], content: bytes) -> _T:
        try:
            return parse(content)
        except Malformed:
            raise _Hiccup(
                f"the {self._name} endpoint gave an answer that cannot be read", is_lost=True
            ) from None

    async def _send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Make one request and give what is in its answer; raises EndpointRefused, or _Hiccup where
        another try may help.
        """
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            with anyio.fail_after(self._pace.request_s):
                response = await self._client.request(
                    method, f"{self._url}/{path}", content=body, headers=headers
                )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise _Hiccup(f"the {self._name} endpoint cannot be reached") from None
        except (httpx2.RequestError, TimeoutError):
            raise _Hiccup(
                f"the connection to the {self._name} endpoint broke off", is_lost=True
            ) from None
        if not response.is_success:
            raise self._refusal(response)
        return response.content

    def _refusal(self, response: httpx2.Response) -> WorkerError:
        status = response.status_code
        said = f"the {self._name} endpoint answered with HTTP status {status}"
        if is_transient(status):
            return _Hiccup(
                said,
                is_lost=status in _GAVE_UP_WAITING,
                after_s=_retry_after_s(response.headers.get("Retry-After")),
            )
        if status in _FORBIDDEN:
            return _Refusal(f"{said}; check that RUNPOD_API_KEY may use it", status)
        return _Refusal(
            f"{said}; check {self._name.upper()}_ENDPOINT_ID and RUNPOD_ENDPOINT_BASE_URL", status
        )


def _retry_after_s(value: str | None) -> float | None:
    """What the header says, in seconds from now; None where it says nothing that can be read.

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
    return max(
        0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    )
