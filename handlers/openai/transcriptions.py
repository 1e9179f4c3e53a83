"""The two endpoints that take a recording."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from core.domain.timeline import Transcript, Word
from core.domain.watch import Heard
from core.errors import InvalidRequest, WorkerError
from core.media.job_folder import job_folder
from core.settings import Settings
from handlers import logs
from handlers.faults import internal_error
from handlers.openai import asking, errors
from handlers.openai.answering import answer
from handlers.openai.asking import Question
from handlers.openai.errors import Ending, Gone
from handlers.openai.events import Events, failed
from handlers.openai.metrics import Metrics
from handlers.openai.multipart import Upload, receive
from handlers.openai.responding import Exchange
from handlers.openai.roles import Role
from handlers.openai.seats import Seats
from handlers.openai.uploads import Uploads
from handlers.openai.work import Worker, while_wanted

PATIENCE_S = 10.0
"""Seconds for which a stream waits for its first event, so that an early error has its status."""
KEEP_ALIVE_S = 15.0
"""Seconds of silence on a stream after which a comment is sent: proxies hang up on silence."""
_SSE = "text/event-stream; charset=utf-8"
_KEEP_ALIVE = b": still working\n\n"
_Words = asyncio.Queue[tuple[Word, ...] | None]

log = logging.getLogger("parakeet.server")


@dataclass(frozen=True, slots=True)
class Transcriptions:
    """Receives recordings, and answers with transcripts."""

    settings: Settings
    role: Role
    models: tuple[str, ...]
    seats: Seats
    uploads: Uploads
    metrics: Metrics

    async def answer(self, exchange: Exchange, worker: Worker, *, translate: bool = False) -> None:
        """Answer one request."""
        self.seats.check()
        with job_folder(self.settings.temp_dir) as folder:
            upload = await self._receive(exchange, folder)
            question = asking.read(upload, self.role.kind, self.models, translate=translate)
            task = _Task(self, exchange, worker, question)
            with self.seats.place():
                await while_wanted(
                    task.stream() if question.is_streamed else task.whole(), exchange.hung_up()
                )

    async def _receive(self, exchange: Exchange, folder: Path) -> Upload:
        limit = self.role.limit(self.settings)
        content_type = exchange.request.headers.get("content-type", "")
        async with self.uploads.place() as incoming:
            limit.check_body(exchange.declared_bytes)
            chunks = incoming.counted(exchange.chunks(self.settings.download_timeout))
            upload = await receive(content_type, chunks, folder, limit=limit)
            if incoming.is_quick:
                self.seats.check()
            return upload


@dataclass(slots=True)
class _Task:
    """The work for one question, and its answer."""

    owner: Transcriptions
    exchange: Exchange
    worker: Worker
    question: Question

    async def whole(self) -> None:
        """Answer when all is known."""
        transcript = await self._work()
        await self.exchange.respond(answer(transcript, self.question))

    async def stream(self) -> None:
        """Answer with events as they come; an error after the first of them is one too."""
        try:
            await self._stream()
        except asyncio.CancelledError:  # whoever has hung up does not hear it
            await self._fail(Ending("the server ends; try again soon"))
            raise
        except Exception as error:
            if not isinstance(error, Gone):
                await self._fail(error if isinstance(error, WorkerError) else internal_error(error))
            raise

    async def _fail(self, error: WorkerError | Ending) -> None:
        if self.exchange.is_started:
            await self.exchange.write(failed(errors.body(error)), more=False)

    async def _stream(self) -> None:
        events = Events(self.question)
        async with self._working() as (working, heard):
            while (words := await self._next(heard)) is not None:
                for event in events.heard(words):
                    await self._say(event)
            for event in events.done(working.result()):
                await self._say(event)
        await self.exchange.write(b"", more=False)

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[tuple[asyncio.Task[Transcript], _Words]]:
        """Work in a task, and hand out the words that it hears; None follows the last."""
        loop = asyncio.get_running_loop()
        heard: _Words = asyncio.Queue()

        def tell(words: tuple[Word, ...]) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, words)

        working = asyncio.ensure_future(self._work(tell))
        working.add_done_callback(lambda _: heard.put_nowait(None))
        try:
            yield working, heard
        finally:
            working.cancel()
            await asyncio.wait([working])

    async def _next(self, heard: _Words) -> tuple[Word, ...] | None:
        """Wait for words, and let the caller know that there is somebody."""
        while True:
            silence_s = KEEP_ALIVE_S if self.exchange.is_started else PATIENCE_S
            try:
                # wait_for may swallow a cancellation, up to Python 3.11.
                async with asyncio.timeout(silence_s):
                    return await heard.get()
            except TimeoutError:
                await self._say(_KEEP_ALIVE)

    async def _say(self, line: bytes) -> None:
        if not self.exchange.is_started:
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            await self.exchange.start(200, _SSE, headers)
        await self.exchange.write(line, more=True)

    async def _work(self, heard: Heard | None = None) -> Transcript:
        """Work; if the flow refuses the hints, work without them."""
        try:
            return await self._attempt(heard)
        except WorkerError as error:
            if self.question.without_hints is None or error.code != InvalidRequest.code:
                raise
            self.question = self.question.without_hints
            return await self._attempt(heard)

    async def _attempt(self, heard: Heard | None) -> Transcript:
        async with self.owner.seats.turn():
            began = time.monotonic()
            transcript = await self.worker.run(self.question.request, heard)
            recording = self.question.request.recording
            self.owner.metrics.done(recording, transcript, time.monotonic() - began)
            logs.done(log, self.exchange.id, transcript.usage)
            return transcript
