"""The client of the platform's REST API that the other examples share.

    async with Endpoint("my-endpoint", key=os.environ["RUNPOD_API_KEY"]) as endpoint:
        output = await endpoint.run({"audio_url": "https://example.com/call.wav"})

Every failure is a `JobError`: a code, a sentence, and whether to try again. Needs httpx2 and
stamina.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import httpx2
import stamina

BASE_URL = "https://api.runpod.ai/v2"
JOB_S = 3600
"""Seconds that a worker may work on one job.

The platform's default of 10 minutes is too short for long recordings.
"""
SYNC_WAIT_S = 60
"""Seconds that `/runsync` may keep us waiting.

The network in front of the platform cuts off answers that take longer than about 90 s.
"""
ATTEMPTS = 10
"""Attempts at one HTTP request; with the pauses between them they outlast a minute offline."""
FIRST_POLL_S, LONGEST_POLL_S = 0.5, 5.0
CANCEL_S = 10

RETRYABLE = {
    "deadline_exceeded",
    "decoding_timed_out",
    "disk_full",
    "download_interrupted",
    "download_timed_out",
    "endpoint_failed",
    "endpoint_unavailable",
    "internal_error",
    "job_expired",
    "model_failed",
    "out_of_memory",
    "upload_interrupted",
}
"""The codes of docs/API.md after which the same request may succeed later."""

Job = dict[str, Any]
OnProgress = Callable[[str, float], None]
"""Called with a stage, such as `transcribing`, and how many percent of the job are done."""

log = logging.getLogger("examples")


class JobError(Exception):
    """The job failed, or its answer did not arrive."""

    def __init__(self, code: str, sentence: str, *, retryable: bool) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        """One of docs/API.md, or of this module: `endpoint_…`, `job_expired`."""
        self.sentence = sentence
        self.retryable = retryable
        """True if the same request may succeed later."""


class WrongKey(ValueError):
    """No header can carry the key."""


class _Hiccup(JobError):
    """A failed HTTP request that may succeed later, after `after_s` if the server named a time."""

    def __init__(self, sentence: str, after_s: float | None = None) -> None:
        super().__init__("endpoint_unavailable", sentence, retryable=True)
        self.after_s = after_s


class Endpoint:
    """Runs jobs in one endpoint, any number at once."""

    def __init__(self, endpoint_id: str, *, key: str, base_url: str = BASE_URL) -> None:
        """Take a key, whose newline at the end does not count. Raise WrongKey."""
        self._http = httpx2.AsyncClient(
            base_url=f"{base_url.rstrip('/')}/{endpoint_id}/",
            headers={"Authorization": f"Bearer {_sendable(key)}"},
            timeout=httpx2.Timeout(SYNC_WAIT_S + 30, connect=10),
        )
        where = self._http.base_url
        self._name = f"the endpoint at {where.scheme}://{where.netloc.decode()}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def run(self, job_input: Job, on_progress: OnProgress = lambda *_: None) -> Job:
        """Submit a job, wait for its end and return its output.

        If this is cancelled, cancel the job, even if it is just being submitted.
        """
        async with self.submitted(job_input) as job_id:
            return await self.wait(job_id, on_progress)

    @contextlib.asynccontextmanager
    async def submitted(self, job_input: Job, *, webhook: str | None = None) -> AsyncIterator[str]:
        """Submit a job and yield its id; cancel it if this is cancelled."""
        submitting = asyncio.create_task(self.submit(job_input, webhook=webhook))
        try:
            yield await asyncio.shield(submitting)
        except asyncio.CancelledError:
            async with _if_possible():
                await self.cancel(await submitting)
            raise

    async def run_sync(self, job_input: Job) -> Job:
        """Do the same by `/runsync`, which takes 20 MB.

        This cannot cancel the job: until `/runsync` answers, nobody knows the job's id.
        """
        body = {"input": job_input, "policy": {"executionTimeout": 1000 * JOB_S}}
        job = await self._ask("POST", f"runsync?wait={1000 * SYNC_WAIT_S}", body)
        return _output_of(job) if _is_over(job) else await self.wait(job["id"])

    async def submit(self, job_input: Job, *, webhook: str | None = None) -> str:
        """Submit a job and return its id.

        A request whose answer is lost is sent again: at worst the job runs twice.
        """
        body = {
            "input": job_input,
            "policy": {"executionTimeout": 1000 * JOB_S},
            **({"webhook": webhook} if webhook else {}),
        }
        return str((await self._ask("POST", "run", body))["id"])

    async def wait(self, job_id: str, on_progress: OnProgress = lambda *_: None) -> Job:
        """Wait for the end of a job and return its output.

        If its status cannot be read, cancel it: else it goes on and costs, beside the next attempt.
        """
        try:
            job = await self._end_of(job_id, on_progress)
        except JobError as error:
            if error.code != "job_expired":
                async with _if_possible():
                    await self.cancel(job_id)
            raise
        return _output_of(job)

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; if it has ended, nothing changes."""
        await self._ask("POST", f"cancel/{job_id}")

    async def _end_of(self, job_id: str, on_progress: OnProgress) -> Job:
        """Poll a job until it ends, ever more rarely, and return it."""
        pause_s = FIRST_POLL_S
        while not _is_over(job := await self._ask("GET", f"status/{job_id}")):
            on_progress(*_progress_of(job))
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_POLL_S, 1.2 * pause_s)
        return job

    async def _ask(self, method: str, path: str, body: Job | None = None) -> Job:
        """Make a request, and repeat it while that may help."""
        async for attempt in stamina.retry_context(
            on=_may_help, attempts=ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=10.0
        ):
            with attempt:
                return await self._ask_once(method, path, body)
        raise AssertionError("stamina raises the last error")

    async def _ask_once(self, method: str, path: str, body: Job | None) -> Job:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx2.RequestError as error:
            raise _Hiccup(
                f"{self._name} cannot be reached, or the connection broke off "
                f"({type(error).__name__})"
            ) from None
        if not response.is_success:
            raise _refusal(response, path)
        return _read(response.content)


def _sendable(key: str) -> str:
    """Return the key without white space at its ends, which files and pastes add."""
    if not re.fullmatch(r"[!-~]+", key := key.strip()):
        raise WrongKey("give ASCII letters, digits and signs, without blanks")
    return key


@contextlib.asynccontextmanager
async def _if_possible() -> AsyncIterator[None]:
    """Take a few seconds to cancel a job; if that fails, only say so."""
    try:
        async with asyncio.timeout(CANCEL_S):
            yield
    except (JobError, TimeoutError) as error:
        log.warning("a job may go on: it could not be cancelled (%s)", str(error) or "no answer")


def _may_help(error: Exception) -> bool | float:
    if not isinstance(error, _Hiccup):
        return False
    return True if error.after_s is None else min(60.0, error.after_s)


def _read(content: bytes) -> Job:
    with contextlib.suppress(ValueError):
        answer = json.loads(content)
        if isinstance(answer, dict) and "id" in answer and "status" in answer:
            return answer
    raise _Hiccup("the endpoint gave an answer that cannot be read")


def _refusal(response: httpx2.Response, path: str) -> JobError:
    status = response.status_code
    if status in (408, 425, 429) or status >= 500:
        after = response.headers.get("Retry-After", "")
        return _Hiccup(
            f"the endpoint is busy or down (HTTP status {status})",
            float(after) if after.isdecimal() else None,
        )
    if status == 404 and path.startswith(("status/", "cancel/")):
        return JobError(
            "job_expired",
            "the platform no longer has the job; it keeps results for half an hour, of /runsync "
            "for a minute",
            retryable=True,
        )
    if status == 413:
        return JobError(
            "source_too_large",
            "the request is larger than the platform takes; send a URL",
            retryable=False,
        )
    if status in (401, 403, 404):
        return JobError(
            "endpoint_refused",
            f"check RUNPOD_API_KEY and the endpoint's id (HTTP status {status})",
            retryable=False,
        )
    return JobError(
        "invalid_request",
        f"the platform does not take this request (HTTP status {status})",
        retryable=False,
    )


def _progress_of(job: Job) -> tuple[str, float]:
    """Read the progress, which our workers send as `output` until the job ends.

    So look at `status` first: a job in progress has an output too.
    """
    progress = job.get("output")
    if isinstance(progress, dict) and "stage" in progress:
        return str(progress["stage"]), float(progress.get("percent", 0))
    return ("in the queue" if job["status"] == "IN_QUEUE" else "running"), 0.0


def _is_over(job: Job) -> bool:
    return job.get("status") in ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")


def _output_of(job: Job) -> Job:
    """Return the answer of the worker, or raise its error.

    A failed job has `error: "<code>: <sentence>"` and no `output`; from a worker with
    FAILURES=output the job is complete, and the error is in its output.
    """
    said = job["output"] if isinstance(job.get("output"), dict) else {}
    if job["status"] == "COMPLETED" and said.get("success"):
        return said
    error = str(job.get("error") or said.get("error"))
    with_code = re.fullmatch(r"([a-z0-9_]+): (.+)", error, re.DOTALL)
    if job["status"] in ("COMPLETED", "FAILED") and with_code:
        raise JobError(with_code[1], with_code[2], retryable=with_code[1] in RETRYABLE)
    raise JobError("endpoint_failed", _REASONS[job["status"]], retryable=job["status"] == "FAILED")


_REASONS = {
    "COMPLETED": "the job ended without an answer; perhaps it was too large: ask for a range "
    "with start and end",
    "FAILED": "the job failed and its worker gave no reason; look at the log of the endpoint",
    "CANCELLED": "the job was cancelled",
    "TIMED_OUT": "the job took too long; ask for a range with start and end",
}
