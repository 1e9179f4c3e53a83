"""A flow as a RunPod worker; no other package knows the SDK.

The flow becomes an async handler. Its work runs on a thread, stops if the caller cancels, and
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
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core import __version__
from core.domain.request import Destination
from core.domain.timeline import Diarization, Transcript
from core.domain.watch import Watch
from core.engine.lazy_imports import deferred
from core.errors import OutputTooLarge, WorkerError
from core.flows.flow import Flow
from core.media.delivery import Delivery
from core.settings import MAX_CONCURRENCY, LogFormat, Settings
from core.wire.fields import Answer
from core.wire.form import Form
from core.wire.limits import MAX_RUN_BYTES, MAX_RUNSYNC_BYTES
from core.wire.render import receipt, render
from handlers import logs
from handlers.runpod.failures import answered
from handlers.runpod.jobs import take_empty_inputs
from handlers.runpod.progress import progress

FITNESS_RECORDING = Path(__file__).parents[1] / "fitness.flac"

log = logging.getLogger("parakeet.worker")

Job = dict[str, Any]
"""The SDK's job: `id`, `input` and whatever the platform adds."""
Handler = Callable[[Job], Awaitable[Answer]]
_Request = TypeVar("_Request")
_Asked_co = TypeVar("_Asked_co", covariant=True)


class Asked(Protocol[_Asked_co]):
    """The input of a job, parsed."""

    @property
    def request(self) -> _Asked_co:
        """The request in it."""
        ...

    @property
    def form(self) -> Form:
        """How to write the answer."""
        ...

    @property
    def destination(self) -> Destination | None:
        """The place for the answer; None for the job's output."""
        ...


Parse = Callable[[object], Asked[_Request]]
"""Parses a job's input; raises InvalidRequest."""


def start(load: Callable[[Settings], Flow[_Request]], parse: Parse[_Request]) -> None:
    """Read the environment, load the models, and serve jobs until the platform ends the worker.

    After a wrong setting or a failed load, exit with code 1 and one line.
    """
    # Process 1 of a container has no default action for signals: until the SDK listens for it, this
    # one would be lost.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    try:
        settings = Settings.from_environment()
        configure_logging(settings.log_format)
        flow = load(settings)
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    log.info("parakeet-workers %s", __version__)
    serve(flow, parse, settings)


def serve(flow: Flow[_Request], parse: Parse[_Request], settings: Settings) -> None:
    """Hand the flow to the SDK.

    The command line and the environment choose the production loop, the local API or a test job.
    """
    serverless = import_sdk()

    @serverless.register_fitness_check  # type: ignore[untyped-decorator]
    def decode_speech() -> None:
        check_fitness(flow)

    take_empty_inputs()
    handler = make_handler(flow, parse, settings)
    serverless.start(
        {"handler": handler, "concurrency_modifier": lambda _: settings.worker_concurrency}
    )


def import_sdk() -> Any:
    """Import the SDK and return its `serverless`.

    Its slow look at the processor and its SSH client wait until something uses them.
    """
    with deferred("cpuinfo", "paramiko"):
        from runpod import serverless
    return serverless


def configure_logging(log_format: LogFormat = "text") -> None:
    """Log at INFO to stderr, for the SDK too: its own default, DEBUG, prints transcripts."""
    os.environ.setdefault("RUNPOD_LOG_LEVEL", "INFO")
    logs.configure(log_format)
    # These log every request and every retry; core.remote logs what matters.
    for library in ("httpx2", "stamina"):
        logging.getLogger(library).setLevel(logging.ERROR)


def check_fitness(flow: Flow[Any]) -> None:
    """Rehearse a job with one second of speech.

    Raise whatever a job would raise, so that the platform replaces the worker before its first job.
    """
    started = time.perf_counter()
    flow.rehearse(FITNESS_RECORDING)
    log.info("fitness: the rehearsal took %.2f s", time.perf_counter() - started)


def make_handler(flow: Flow[_Request], parse: Parse[_Request], settings: Settings) -> Handler:
    """Return the async handler that the SDK calls with each job."""
    # The loop's own threads are only a few more than there are cores.
    threads = ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix="job")

    async def handler(job: Job) -> Answer:
        cancelled = threading.Event()
        async with progress(job) as report:
            work = partial(_answer, flow, parse, settings, job, Watch(report, cancelled.is_set))
            running = asyncio.get_running_loop().run_in_executor(
                threads, answered, work, job.get("id"), settings.failures
            )
            return await _result(running, cancelled)

    return handler


def _answer(
    flow: Flow[_Request], parse: Parse[_Request], settings: Settings, job: Job, watch: Watch
) -> Answer:
    asked = parse(job.get("input"))
    delivery = Delivery(asked.destination, settings) if asked.destination else None
    if delivery is not None:
        delivery.look(watch.cancelled)
    result = flow.run(asked.request, watch)
    told = partial(_told, result, asked.form, delivery, job, watch)
    answer = answered(told, job.get("id"), settings.failures)
    if isinstance(result, Transcript) and result.refresh_worker:
        answer["refresh_worker"] = True  # the SDK takes it out
    return answer


def _told(
    result: Transcript | Diarization, form: Form, delivery: Delivery | None, job: Job, watch: Watch
) -> Answer:
    """Return the answer with a result, or with where it was put."""
    answer = render(result, form)
    if delivery is not None:
        stored = delivery.put(_as_json(answer).encode("utf-8", "replace"), watch.cancelled)
        answer = receipt(answer, stored)
    answer = _sendable(answer, job)
    logs.done(log, job.get("id"), result.usage)
    return answer


async def _result(running: asyncio.Future[Answer], cancelled: threading.Event) -> Answer:
    """Return the result of work on a thread; if this is cancelled, wait for the work to stop."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancelled.set()
        # The files must be gone before the worker takes its next job.
        await asyncio.wait([running])
        raise


def _sendable(answer: Answer, job: Job) -> Answer:
    """Return the answer, with `?` for any half of a character, which the SDK cannot send.

    Raise OutputTooLarge if the platform does not carry it.
    """
    text = _as_json({"output": answer})
    body = text.encode("utf-8", "replace")
    _check_size(len(body), job)
    if text.isascii() or body.count(b"?") == text.count("?"):
        return answer
    return Answer(json.loads(body)["output"])


def _as_json(answer: Answer) -> str:
    """Write an answer down as the SDK does."""
    return json.dumps(answer, allow_nan=False, ensure_ascii=False)


def _check_size(size: int, job: Job) -> None:
    is_sync = str(job.get("id", "")).startswith("sync-")
    limit = MAX_RUNSYNC_BYTES if is_sync else MAX_RUN_BYTES
    if size > limit:
        raise OutputTooLarge(
            f"the answer has {size / 1e6:.1f} MB and the platform carries {limit / 1e6:.0f} MB; "
            "give output_url, ask without timestamps, as srt or text, or for a range with start "
            "and end"
        )
