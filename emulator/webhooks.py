"""Sends ended jobs to callers' URLs."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl

import httpx2

from emulator.job import Job
from emulator.rules import Rules
from emulator.written import written

log = logging.getLogger("emulator.webhooks")


async def send(url: str, job: Job, rules: Rules) -> bool:
    """POST the whole job to its webhook's URL. Return whether anybody took it.

    Try again after each delay until the receiver says 2xx. Nothing that it does affects the job.
    """
    body = written(job.webhook_body())
    async with _client() as client:
        for delay in (0.0, *rules.webhook_delays_s):
            await asyncio.sleep(delay)
            if await _post(client, url, body, rules.webhook_timeout_s):
                return True
    log.warning("%s: nobody took the webhook", job.id)
    return False


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=_tls(), timeout=None, trust_env=False, follow_redirects=True, max_redirects=10
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _post(client: httpx2.AsyncClient, url: str, body: bytes, timeout_s: float) -> bool:
    headers = {"Content-Type": "application/json"}
    try:
        async with (
            asyncio.timeout(timeout_s),
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            return not response.is_error
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError):
        return False
