"""A worker without models behind the real SDK loop: python -m tests.emulator.echo.

Each job says what to do with it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import runpod

Job = dict[str, Any]


async def handler(job: Job) -> object:
    """Do what `mode` asks for. Write to the `marker` if the job is stopped."""
    try:
        return await MODES[job["input"]["mode"]](job)
    except asyncio.CancelledError:
        Path(job["input"]["marker"]).write_text("stopped")
        raise


async def echo(job: Job) -> object:
    """Return the input and the process that got it."""
    return {"echo": job["input"], "pid": os.getpid()}


async def sleep(job: Job) -> object:
    """Take some time."""
    await asyncio.sleep(job["input"]["seconds"])
    return {"pid": os.getpid()}


async def progress(job: Job) -> object:
    """Report 50 per cent, then take some time."""
    runpod.serverless.progress_update(job, {"percent": 50})
    return await sleep(job)


async def fail(job: Job) -> object:
    """Answer with an error."""
    return {"error": "BAD_INPUT: as asked for", "success": False}


async def die(job: Job) -> object:
    """End the process without a word, as a crash does. If the marker exists, answer instead."""
    marker = Path(job["input"]["marker"])
    if marker.exists():
        return {"survived": True}
    marker.touch()
    os._exit(3)


async def refresh(job: Job) -> object:
    """Ask for another worker."""
    return {"pid": os.getpid(), "refresh_worker": True}


async def stream(job: Job) -> AsyncIterator[dict[str, int]]:
    """Yield the numbers below `count`."""
    for number in range(job["input"]["count"]):
        yield {"number": number}


MODES: dict[str, Callable[[Job], Awaitable[object]]] = {
    "echo": echo,
    "sleep": sleep,
    "progress": progress,
    "fail": fail,
    "die": die,
    "refresh": refresh,
}


def main() -> None:
    """Start as the environment asks: ECHO_CONCURRENCY jobs at a time, ECHO_STREAM as a generator,
    ECHO_BROKEN not at all.
    """
    if os.environ.get("ECHO_BROKEN"):
        sys.exit("SETTINGS: broken as asked for")
    concurrency = int(os.environ.get("ECHO_CONCURRENCY", "1"))
    runpod.serverless.start(
        {
            "handler": stream if os.environ.get("ECHO_STREAM") else handler,
            "concurrency_modifier": lambda _: concurrency,
            "return_aggregate_stream": True,
        }
    )


if __name__ == "__main__":
    main()
