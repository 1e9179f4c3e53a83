"""Tells callers' URLs that a job has ended."""

from __future__ import annotations

import asyncio
import json
import logging

import aiohttp

from emulator.job import Job
from emulator.rules import Rules

log = logging.getLogger("emulator.webhooks")


async def tell(url: str, job: Job, rules: Rules) -> bool:
    """POST the whole job to its webhook's URL, again after each delay until somebody says 2xx;
    whether anybody did.

    What the receiver does has no effect on the job.
    """
    body = json.dumps(job.webhook_body(), ensure_ascii=False).encode()
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(rules.webhook_timeout_s)
    ) as session:
        for delay in (0.0, *rules.webhook_delays_s):
            await asyncio.sleep(delay)
            if await _post(session, url, body):
                return True
    log.warning("%s: nobody took the webhook", job.id)
    return False


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    try:
        async with session.post(
            url, data=body, headers={"Content-Type": "application/json"}
        ) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
