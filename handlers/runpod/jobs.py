"""Jobs as the platform hands them out, with the input that it leaves out if it is empty.

A worker that takes one job at a time refuses one without an input: the SDK raises an error, nobody
answers the job, and after a while the platform says that it timed out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


def take_empty_inputs() -> None:
    """Let the SDK's loop see an empty input as one.

    It has a hook for fetching jobs, `jobs_fetcher`, but heeds it in local tests alone. So this
    stands in front of the function that it calls.
    """
    from runpod.serverless.modules import rp_scale

    get_job = rp_scale.get_job

    async def get_whole_jobs(session: Any, count: int = 1) -> Any:
        return await get_job(_Session(session), count)

    rp_scale.get_job = get_whole_jobs


class _Session:
    """An HTTP session whose answers to the job-take requests are whole."""

    def __init__(self, session: Any) -> None:
        self._session = session

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[_Response]:
        """Make a request."""
        async with self._session.get(url) as response:
            yield _Response(response)


class _Response:
    """An answer whose jobs have an input."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def json(self) -> Any:
        """Return the jobs."""
        return _whole(await self._response.json())


def _whole(jobs: Any) -> Any:
    for job in jobs if isinstance(jobs, list) else [jobs]:
        if isinstance(job, dict) and "id" in job and job.get("input") is None:
            job["input"] = {}
    return jobs
