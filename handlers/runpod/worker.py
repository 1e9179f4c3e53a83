"""A flow as a RunPod worker: what is the SDK's is in this package and nowhere else.

The flow becomes an async handler: its work runs on a thread, sees when the caller cancels and
reports progress.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core import __version__
from core.domain.watch import Watch
from core.errors import OutputTooLarge, WorkerError
from core.flows.flow import Flow
from core.settings import MAX_CONCURRENCY, Settings
from core.wire.fields import Answer
from core.wire.form import Form
from core.wire.limits import MAX_RUN_BYTES, MAX_RUNSYNC_BYTES
from core.wire.render import render
from handlers.runpod.failures import answered
from handlers.runpod.progress import progress
from handlers.runpod.redaction import redacting

FITNESS_RECORDING = Path(__file__).parents[1] / "fitness.flac"

log = logging.getLogger("parakeet.worker")

Job = dict[str, Any]
"""The SDK's job: `id`, `input` and what else the platform adds."""
Handler = Callable[[Job], Awaitable[Answer]]
_Request = TypeVar("_Request")
_Asked_co = TypeVar("_Asked_co", covariant=True)


class Asked(Protocol[_Asked_co]):
    """What a front reads in a job's input."""

    @property
    def request(self) -> _Asked_co:
        """What is asked."""
        ...

    @property
    def form(self) -> Form:
        """How the answer is written."""
        ...


Parse = Callable[[object], Asked[_Request]]
"""Reads a job's input; raises InvalidRequest."""


def start(load: Callable[[Settings], Flow[_Request]], parse: Parse[_Request]) -> None:
    """Read the environment, load the models, then serve jobs until the platform ends the worker.

    `parse` reads a job's input. A wrong setting, or a model that cannot be loaded, ends the
    process with exit code 1 and one line.
    """
    # As process 1 of a container the worker has no default action: the signal would be lost until
    # the SDK listens for it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    configure_logging()
    log.info("parakeet-workers %s", __version__)
    try:
        settings = Settings.from_environment()
        flow = load(settings)
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    serve(flow, parse, settings)


def serve(flow: Flow[_Request], parse: Parse[_Request], settings: Settings) -> None:
    """Hand the flow to the SDK.

    The command line and the environment choose the production loop, the local API or a test job.
    """
    from runpod import serverless

    @serverless.register_fitness_check  # type: ignore[untyped-decorator]
    def decode_speech() -> None:
        check_fitness(flow)

    handler = make_handler(flow, parse)
    serverless.start(
        {"handler": handler, "concurrency_modifier": lambda _: settings.worker_concurrency}
    )


def configure_logging() -> None:
    """INFO for the SDK and for us, on stderr; the SDK's own default, DEBUG, prints transcripts."""
    os.environ.setdefault("RUNPOD_LOG_LEVEL", "INFO")
    handler = redacting("%(levelname)-7s| %(name)s | %(message)s")
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A line per request and per retry; core.remote says what matters.
    for library in ("httpx2", "stamina"):
        logging.getLogger(library).setLevel(logging.ERROR)


def check_fitness(flow: Flow[Any]) -> None:
    """Rehearse a job with one second of speech.

    Raise whatever a job would raise: the platform then replaces the worker before it takes a job.
    """
    started = time.perf_counter()
    flow.rehearse(FITNESS_RECORDING)
    log.info("fitness: the rehearsal took %.2f s", time.perf_counter() - started)


def make_handler(flow: Flow[_Request], parse: Parse[_Request]) -> Handler:
    """Make the async handler that the SDK calls with each job."""
    # The loop's own threads are only a few more than there are cores.
    threads = ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix="job")

    def work(job: Job, watch: Watch) -> Answer:
        asked = parse(job.get("input"))
        answer = render(flow.run(asked.request, watch), asked.form)
        _check_size(answer, job)
        return answer

    async def handler(job: Job) -> Answer:
        cancelled = threading.Event()
        async with progress(job) as report:
            watch = Watch(report, cancelled.is_set)
            running = asyncio.get_running_loop().run_in_executor(
                threads, answered, lambda: work(job, watch), job.get("id")
            )
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                cancelled.set()
                # The files must be gone before the worker takes its next job.
                await asyncio.wait([running])
                raise

    return handler


def _check_size(answer: Answer, job: Job) -> None:
    is_sync = str(job.get("id", "")).startswith("sync-")
    limit = MAX_RUNSYNC_BYTES if is_sync else MAX_RUN_BYTES
    size = len(json.dumps(answer, allow_nan=False, ensure_ascii=False).encode())
    if size > limit:
        raise OutputTooLarge(
            f"the answer has {size / 1e6:.1f} MB and the platform carries {limit / 1e6:.0f} MB; "
            "ask without timestamps, as srt or text, or for a range with start and end"
        )
