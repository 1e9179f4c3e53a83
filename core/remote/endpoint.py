"""The life of a job in one endpoint, from its submission to its output."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import httpx2
from anyio.lowlevel import checkpoint_if_cancelled

from core.domain.watch import Report
from core.errors import DeadlineExceeded, EndpointUnavailable, JobExpired, WorkerError
from core.remote.exchange import Address, Exchange, Hiccup, Refusal
from core.remote.pace import Pace
from core.remote.rest import JobState, output_of, progress_of, read_id, read_state

log = logging.getLogger("parakeet.remote")


class Endpoint:
    """Runs jobs in one endpoint, any number at once, in one event loop."""

    def __init__(self, address: Address, client: httpx2.AsyncClient, pace: Pace) -> None:
        self._name = address.name
        self._exchange = Exchange(address, client, pace)
        self._pace = pace

    async def run(self, body: bytes, *, deadline: float, report: Report) -> object:
        """Submit a job with a `request_body`, wait for its end and return its output.

        `deadline` is a time of `anyio.current_time`. If this fails, is cancelled or runs out of
        time while the job may still run, the job is cancelled too.

        Raise EndpointRefused, EndpointUnavailable, JobExpired, JobFailed, DeadlineExceeded.
        """
        with anyio.CancelScope(deadline=deadline):
            job_id = await self._submit(body, deadline)
            return output_of(await self._follow(job_id, deadline, report), self._name)
        raise DeadlineExceeded(
            f"the {self._name} job did not end in time; try again, or ask for a range with start "
            "and end"
        )

    async def check(self) -> None:
        """Ask once for the endpoint's health. Raise EndpointRefused if it does not take the key.

        Log any other trouble: it may pass.
        """
        try:
            await self._exchange.send("GET", "health", bytes)
        except WorkerError as error:
            if isinstance(error, Refusal) and error.is_forbidden:
                raise
            log.warning("%s | health: %s", self._name, error)

    async def _submit(self, body: bytes, deadline: float) -> str:
        """Submit a job and return its id.

        If an answer is lost, submit once more, but no third time: the first job may be running.
        """
        lost = 0

        async def attempt() -> str:
            nonlocal lost
            try:
                return await self._post_job(body, deadline)
            except Hiccup as hiccup:
                lost += 1 if hiccup.is_lost else 0
                if lost < 2:
                    raise
                raise EndpointUnavailable(str(hiccup)) from None

        job_id = await self._exchange.persist(attempt, deadline)
        if lost:
            # The lost job cannot be cancelled without its id; the platform ends it at the deadline.
            log.warning("%s | %s | submitted twice: one answer was lost", self._name, job_id)
        return job_id

    async def _post_job(self, body: bytes, deadline: float) -> str:
        """Submit a job; if this is cancelled on the way, wait for the answer and cancel the job."""
        posting = _Posting(lambda: self._last_moment(deadline))
        try:
            return await posting.result(self._exchange.send("POST", "run", read_id, body))
        except anyio.get_cancelled_exc_class():
            if posting.job_id:
                await self._take_back(posting.job_id, posting.last_moment)
            raise

    async def _follow(self, job_id: str, deadline: float, report: Report) -> JobState:
        """Wait for the end of a job; if that fails or is cancelled, cancel the job."""
        try:
            return await self._wait(job_id, deadline, report)
        except JobExpired:
            raise
        except BaseException:
            await self._take_back(job_id, self._last_moment(deadline))
            raise

    async def _wait(self, job_id: str, deadline: float, report: Report) -> JobState:
        """Poll a job until it ends."""
        started = anyio.current_time()
        polls = 0
        while True:
            await anyio.sleep(self._pace.until_poll_s(anyio.current_time() - started))
            state = await self._exchange.persist(lambda: self._poll(job_id), deadline)
            took_s = anyio.current_time() - started
            polls += 1
            if state.status.is_final:
                log.info(
                    "%s | %s | %s after %.1f s, %d polls",
                    self._name,
                    job_id,
                    state.status,
                    took_s,
                    polls,
                )
                return state
            if progress := progress_of(state):
                report(*progress)

    async def _poll(self, job_id: str) -> JobState:
        try:
            return await self._exchange.send("GET", f"status/{job_id}", read_state)
        except Refusal as refusal:
            if not refusal.is_not_found:
                raise
            raise JobExpired(
                f"the {self._name} endpoint no longer knows the job; try again"
            ) from None

    async def _take_back(self, job_id: str, last_moment: float) -> None:
        """Cancel a job by the last moment, even if this is cancelled; log a failure."""
        with anyio.CancelScope(deadline=last_moment, shield=True) as scope:
            try:
                await self._cancel(job_id, last_moment)
            except WorkerError as error:
                log.warning("%s | %s | could not be cancelled: %s", self._name, job_id, error)
        if scope.cancelled_caught:
            log.warning("%s | %s | could not be cancelled in time", self._name, job_id)

    async def _cancel(self, job_id: str, last_moment: float) -> None:
        # Cap any Retry-After at half the remaining time, so that one more attempt always fits.
        halfway = (anyio.current_time() + last_moment) / 2
        try:
            await self._exchange.persist(
                lambda: self._exchange.send("POST", f"cancel/{job_id}", bytes), halfway
            )
        except Refusal as refusal:
            if not refusal.is_not_found:  # else the job has ended already
                raise

    def _last_moment(self, deadline: float) -> float:
        return self._pace.last_moment(anyio.current_time(), deadline)


class _Posting:
    """The submission of one job, which goes on for a while after it is cancelled.

    Without the answer nobody could cancel the job.
    """

    def __init__(self, last_moment: Callable[[], float]) -> None:
        """Take the function that returns the time, once cancelled, by which all must be over."""
        self._last_moment = last_moment
        self._shield = anyio.CancelScope(shield=True)
        self.job_id = ""
        """Empty until the answer is here."""

    @property
    def last_moment(self) -> float:
        """The time by which all must be over, if this has been cancelled."""
        return min(self._shield.deadline, self._last_moment())

    async def result(self, sending: Awaitable[str]) -> str:
        """Return the job's id, or raise why there is none."""
        failure: WorkerError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._hurry_once_cancelled)
            with self._shield:
                try:
                    self.job_id = await sending
                except WorkerError as error:
                    failure = error
            group.cancel_scope.cancel()
        await checkpoint_if_cancelled()
        if failure is not None:
            raise failure
        return self.job_id

    async def _hurry_once_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._shield.deadline = self._last_moment()
