"""The one adapter to the RunPod SDK: what is the SDK's stands here and nowhere else.

A flow of `core.flows.pipeline` or `core.flows.orchestrated` becomes an async handler: its work runs
on a thread, sees when the caller cancels, reports progress that always ends before the result, and
fails as `error: "<code>: <sentence>"` with `success`, `code` and `retryable` beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.domain.watch import Flow, Watch
from core.errors import Cancelled, InternalError, OutputTooLarge, WorkerError
from core.settings import Settings

# Payload caps of the platform: 10 MB by /run, 20 MB by /runsync; what is larger gets lost silently.
RUN_MAX_OUTPUT_BYTES = 10_000_000
RUNSYNC_MAX_OUTPUT_BYTES = 20_000_000
PROGRESS_INTERVAL_S = 1.0
PROGRESS_TIMEOUT_S = 5.0
MOST_JOBS = 64
"""The largest WORKER_CONCURRENCY. The loop's own threads are only a few more than there are cores.
"""
FITNESS_RECORDING = Path(__file__).parents[1] / "fitness.flac"

log = logging.getLogger("parakeet.worker")

Job = dict[str, Any]
"""The SDK's job: `id`, `input` and what else the platform adds."""


def start(load: Callable[[Settings], Flow]) -> None:
    """Read the environment, load the models, then serve jobs until the platform ends the worker.

    A wrong setting or a model that cannot be had ends the process with exit code 1 and one line.
    """
    # As process 1 of a container the worker has no default action: the signal would be lost until
    # the SDK listens for it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    configure_logging()
    try:
        settings = Settings.from_environment()
        flow = load(settings)
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    serve(flow, settings)


def serve(flow: Flow, settings: Settings) -> None:
    """Hand the flow to the SDK: production loop, local API or one test job, by the command line and
    the environment.
    """
    from runpod import serverless

    @serverless.register_fitness_check  # type: ignore[untyped-decorator]
    def decode_speech() -> None:
        check_fitness(flow)

    handler = make_handler(flow)
    serverless.start(
        {"handler": handler, "concurrency_modifier": lambda _: settings.worker_concurrency}
    )


def configure_logging() -> None:
    """INFO for the SDK and for us, on stderr; the SDK's own default, DEBUG, prints transcripts."""
    os.environ.setdefault("RUNPOD_LOG_LEVEL", "INFO")
    logging.basicConfig(level=logging.INFO, format="%(levelname)-7s| %(name)s | %(message)s")
    for library in (
        "httpx2",
        "stamina",
    ):  # a line per request and per retry; core.remote says what matters
        logging.getLogger(library).setLevel(logging.ERROR)


def check_fitness(flow: Flow) -> None:
    """Rehearse a job with one second of speech.

    Raises whatever a job would raise: the platform then replaces the worker before it takes a job.
    """
    started = time.perf_counter()
    flow.rehearse(FITNESS_RECORDING)
    log.info("fitness: the rehearsal took %.2f s", time.perf_counter() - started)


def make_handler(flow: Flow) -> Callable[[Job], Awaitable[dict[str, object]]]:
    """Make the async handler that the SDK calls with each job."""
    threads = ThreadPoolExecutor(MOST_JOBS, thread_name_prefix="job")

    async def handler(job: Job) -> dict[str, object]:
        cancelled = threading.Event()
        async with _progress(job) as report:
            watch = Watch(report, cancelled.is_set)
            work = asyncio.get_running_loop().run_in_executor(threads, _answer, flow, job, watch)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                cancelled.set()
                # The files must be gone before the worker takes its next job.
                await asyncio.wait([work])
                raise

    return handler


def _answer(flow: Flow, job: Job, watch: Watch) -> dict[str, object]:
    """Run the flow; every failure becomes the SDK's error answer, never an exception (it would leak
    a traceback).
    """
    try:
        output = flow.answer(job.get("input"), watch)
        _check_output(output, job)
        return output
    except Cancelled as error:
        return _failure(error)
    except WorkerError as error:
        log.warning("%s | %s", job.get("id"), error.code)
        return _failure(error)
    except Exception as error:
        log.error("%s | %s", job.get("id"), _where(error))  # noqa: TRY400  a traceback can hold paths and texts
        return _failure(
            InternalError(
                f"the worker failed ({type(error).__name__}); try again, and report it if it stays"
            )
        )


def _check_output(output: dict[str, object], job: Job) -> None:
    limit = (
        RUNSYNC_MAX_OUTPUT_BYTES
        if str(job.get("id", "")).startswith("sync-")
        else RUN_MAX_OUTPUT_BYTES
    )
    size = len(json.dumps(output, allow_nan=False, ensure_ascii=False).encode())
    if size > limit:
        raise OutputTooLarge(
            f"the answer has {size / 1e6:.1f} MB and the platform carries {limit / 1e6:.0f} MB; "
            "ask without timestamps, as srt or text, or for a range with start and end"
        )


def _failure(error: WorkerError) -> dict[str, object]:
    answer: dict[str, object] = {
        "error": f"{error.code}: {error}",
        "success": False,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.refresh_worker:
        answer["refresh_worker"] = True
    return answer


def _where(error: BaseException) -> str:
    """The error's type and the last line of ours that it passed: no message, no path."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    file = Path(place.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{place.tb_lineno}"


@contextlib.asynccontextmanager
async def _progress(job: Job) -> AsyncIterator[Callable[[str, float], None]]:
    """Give a thread-safe `report(stage, fraction)`; what it says last goes out, at most once an
    interval, in order.

    The SDK's own `progress_update` starts a thread per call and orders nothing: a late one can
    reopen a finished job.
    """
    latest: dict[str, object] = {}

    def report(stage: str, fraction: float) -> None:
        latest.update(stage=stage, percent=round(100 * min(1.0, max(0.0, fraction))))

    if (
        "RUNPOD_WEBHOOK_POST_OUTPUT" not in os.environ
    ):  # the local API and test runs have nobody to tell
        yield report
        return
    done = asyncio.Event()
    sender = asyncio.create_task(_send_progress(job, latest, done))
    try:
        yield report
    finally:
        done.set()
        _, unfinished = await asyncio.wait([sender], timeout=PROGRESS_TIMEOUT_S)
        for task in unfinished:
            task.cancel()


async def _send_progress(job: Job, latest: dict[str, object], done: asyncio.Event) -> None:
    from runpod.http_client import AsyncClientSession
    from runpod.serverless.modules.rp_http import send_result

    sent: dict[str, object] = {}
    async with AsyncClientSession() as session:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), PROGRESS_INTERVAL_S)
            if not done.is_set() and latest != sent:
                sent = dict(latest)
                await send_result(session, {"status": "IN_PROGRESS", "output": sent}, job)
