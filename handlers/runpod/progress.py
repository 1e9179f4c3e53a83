"""Progress updates to the platform, in order and always before the result.

The SDK's own `progress_update` starts a thread per call, in no order: a late one can reopen a
finished job.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from core.domain.watch import Report, Stage

INTERVAL_S = 1.0
TIMEOUT_S = 5.0
"""Seconds for the last update after a job has ended."""


@contextlib.asynccontextmanager
async def progress(job: dict[str, Any]) -> AsyncIterator[Report]:
    """Yield a thread-safe report, whose latest value is sent at most once per interval."""
    latest: dict[str, object] = {}

    def report(stage: Stage, fraction: float) -> None:
        latest.update(stage=stage, percent=round(100 * min(1.0, max(0.0, fraction))))

    if "RUNPOD_WEBHOOK_POST_OUTPUT" not in os.environ:
        # The local API and test runs have no platform.
        yield report
        return
    done = asyncio.Event()
    sender = asyncio.create_task(_send(job, latest, done))
    try:
        yield report
    finally:
        done.set()
        await _finish(sender)


async def _finish(sender: asyncio.Task[None]) -> None:
    _, unfinished = await asyncio.wait([sender], timeout=TIMEOUT_S)
    for task in unfinished:
        task.cancel()


async def _send(job: dict[str, Any], latest: dict[str, object], done: asyncio.Event) -> None:
    from runpod.http_client import AsyncClientSession
    from runpod.serverless.modules.rp_http import send_result

    sent: dict[str, object] = {}
    async with AsyncClientSession() as session:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), INTERVAL_S)
            if not done.is_set() and latest != sent:
                sent = dict(latest)
                await send_result(session, {"status": "IN_PROGRESS", "output": sent}, job)
