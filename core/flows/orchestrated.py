"""The orchestrator's flow: the single worker's answer, from two endpoints that work side by side.

It never sees the recording. The transcription worker answers in the form of `core.wire.compact`,
the diarization worker in `json`; with those the single worker's last step,
`core.transcript.assembly`, is its own.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread

import anyio
import httpx2

from core.domain.request import (
    DiarizationRequest,
    OnDiarizationError,
    OrchestratedRequest,
    Part,
    TranscriptionRequest,
    narrowed,
)
from core.domain.timeline import Diarization, Transcript
from core.domain.watch import IsCancelled, Report, Stage, Watch
from core.errors import Cancelled, JobFailed, SettingsError, WorkerError
from core.flows.progress import JobProgress
from core.media import fetch
from core.remote import Address, Endpoint, Pace, connect, request_body
from core.settings import Settings
from core.transcript.assembly import assemble, without_speakers
from core.transcript.parts import join_parts
from core.wire.answers import TranscriptionAnswer, read_diarization, read_transcription
from core.wire.form import TranscriptFormat, WorkerFormat
from core.wire.forwarding import job_input

log = logging.getLogger("parakeet.orchestrator")

_LOOK_S = 0.1
"""How often a job looks whether its caller still wants it."""


@dataclass(frozen=True, slots=True)
class _Bodies:
    """What is asked of the two endpoints."""

    transcription: tuple[bytes, ...]
    """One job per part of the recording."""
    diarization: bytes | None


@dataclass(slots=True)
class _Found:
    """What the endpoints have answered so far."""

    parts: dict[int, TranscriptionAnswer] = field(default_factory=dict)
    speakers: Diarization | None = None
    no_speakers: str | None = None
    """The code with which diarization failed, if the caller can do without."""


@dataclass(frozen=True, slots=True)
class OrchestratedFlow:
    """Words and speakers from two endpoints.

    May be called from many threads: each job has an event loop and connections of its own.
    """

    transcription: Address
    diarization: Address
    settings: Settings
    tls: ssl.SSLContext
    pace: Pace = field(default_factory=Pace)

    def run(self, request: OrchestratedRequest, watch: Watch) -> Transcript:
        """See `Flow`."""
        fetch.check(request.recording.source, self.settings)
        questions = self._questions(request)
        bodies = self._bodies(request, questions)
        found = anyio.run(self._ask, request, questions, bodies, watch)
        watch.report(Stage.MERGING, 1.0)
        return _merged(found, watch.cancelled)

    def rehearse(self, recording: Path) -> None:  # noqa: ARG002  no model of its own could hear it
        """Ask both endpoints how they are.

        Only a key that they do not take is reason not to start: all else may pass before a job
        comes.
        """
        failures: list[WorkerError] = []
        # The SDK calls this on its event loop, which no other can run inside of.
        thread = Thread(target=anyio.run, args=(self._check, failures), name="rehearsal")
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    async def _check(self, failures: list[WorkerError]) -> None:
        async def check(address: Address, client: httpx2.AsyncClient) -> None:
            try:
                await Endpoint(address, client, self.pace).check()
            except WorkerError as error:
                failures.append(error)

        async with self._connect() as client, anyio.create_task_group() as group:
            group.start_soon(check, self.transcription, client)
            group.start_soon(check, self.diarization, client)

    def _connect(self) -> httpx2.AsyncClient:
        key = self.settings.runpod_api_key
        return connect(key.get_secret_value() if key else "", pace=self.pace, tls=self.tls)

    def _questions(self, request: OrchestratedRequest) -> tuple[TranscriptionRequest, ...]:
        count = self._count_parts(request)
        parts = [None] if count == 1 else [Part(index, count) for index in range(count)]
        return tuple(narrowed(request, TranscriptionRequest, part=part) for part in parts)

    def _count_parts(self, request: OrchestratedRequest) -> int:
        """A range is a part already, and inline data would be carried once for each part."""
        recording = request.recording
        can_be_parted = recording.range.is_whole and recording.source.scheme in _BY_REFERENCE
        return self.settings.transcription_fanout if can_be_parted else 1

    def _bodies(
        self, request: OrchestratedRequest, questions: tuple[TranscriptionRequest, ...]
    ) -> _Bodies:
        """Write all that will be asked, so that nothing is submitted if one of it cannot be."""
        words = tuple(self._body(question, WorkerFormat.COMPACT) for question in questions)
        if request.speakers is None:
            return _Bodies(words, None)
        return _Bodies(words, self._body(narrowed(request, DiarizationRequest)))

    def _body(
        self,
        question: TranscriptionRequest | DiarizationRequest,
        response_format: TranscriptFormat | WorkerFormat | None = None,
    ) -> bytes:
        asked = job_input(question)
        if response_format is not None:
            asked["response_format"] = response_format
        return request_body(asked, timeout_s=self.settings.job_timeout)

    async def _ask(
        self,
        request: OrchestratedRequest,
        questions: tuple[TranscriptionRequest, ...],
        bodies: _Bodies,
        watch: Watch,
    ) -> _Found:
        """Run all jobs side by side.

        If one fails the others are cancelled, and the first cause is raised.
        """
        deadline = anyio.current_time() + self.settings.job_timeout
        found = _Found()
        async with self._connect() as client:
            words = Endpoint(self.transcription, client, self.pace)
            turns = Endpoint(self.diarization, client, self.pace)

            async def transcribe(index: int, report: Report) -> None:
                run = partial(words.run, deadline=deadline, report=report)
                output = await self._words(questions[index], bodies.transcription[index], run)
                language = request.decoding.language
                found.parts[index] = read_transcription(output, language=language)

            async def diarize(body: bytes, report: Report) -> None:
                try:
                    output = await turns.run(body, deadline=deadline, report=report)
                    found.speakers = read_diarization(output)
                except WorkerError as error:
                    if request.on_diarization_error is OnDiarizationError.FAIL:
                        raise
                    found.no_speakers = error.code

            jobs: list[_Job] = [partial(transcribe, index) for index in range(len(questions))]
            jobs += [partial(diarize, bodies.diarization)] if bodies.diarization else []
            await _all_or_none(_followed(jobs, watch), watch.cancelled)
        return found

    async def _words(
        self,
        question: TranscriptionRequest,
        body: bytes,
        run: Callable[[bytes], Awaitable[object]],
    ) -> object:
        """Ask for the compact form; a worker of the version before, which has none, once more."""
        try:
            return await run(body)
        except JobFailed as refusal:
            if not str(refusal).startswith("response_format:"):
                raise
        log.info("the transcription endpoint runs a version before 0.2; update its image")
        return await run(self._body(question, TranscriptFormat.VERBOSE_JSON))


_BY_REFERENCE = ("http", "https", "s3")
"""The schemes of recordings that a request only names."""
_Job = Callable[[Report], Awaitable[None]]
"""Runs one job in an endpoint and keeps what it answers."""


def _followed(jobs: list[_Job], watch: Watch) -> list[Callable[[], Awaitable[None]]]:
    """Return the jobs as one of which the caller hears: see `JobProgress`."""
    progress = JobProgress(watch, ways=len(jobs))

    async def run(index: int, job: _Job) -> None:
        await job(partial(progress.move, index))
        progress.end(index)

    return [partial(run, index, job) for index, job in enumerate(jobs)]


def _merged(found: _Found, cancelled: IsCancelled) -> Transcript:
    parts = [found.parts[index] for index in sorted(found.parts)]
    return assemble(
        join_parts([part.transcription for part in parts]),
        found.speakers,
        duration_s=max(part.duration for part in parts),
        warnings=(without_speakers(found.no_speakers),) if found.no_speakers else (),
        cancelled=cancelled,
    )


async def _all_or_none(tasks: list[Callable[[], Awaitable[None]]], cancelled: IsCancelled) -> None:
    """Run tasks side by side until all are done, one fails or the caller cancels; the first cause
    is raised when all have ended.
    """
    causes: list[Exception] = []

    async def run(task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception as error:
            causes.append(error)
            everything.cancel_scope.cancel()

    async def watch() -> None:
        while not cancelled():
            await anyio.sleep(_LOOK_S)
        raise Cancelled("the job was cancelled while its endpoints worked")

    async with anyio.create_task_group() as everything:
        everything.start_soon(run, watch)
        async with anyio.create_task_group() as working:
            for task in tasks:
                working.start_soon(run, task)
        everything.cancel_scope.cancel()
    if causes:
        raise causes[0]


def load(settings: Settings) -> OrchestratedFlow:
    """Find out where the endpoints are; raises SettingsError where that is not set."""
    needed = ("DIARIZATION_ENDPOINT_ID", "TRANSCRIPTION_ENDPOINT_ID", "RUNPOD_API_KEY")
    missing = [name for name in needed if getattr(settings, name.lower()) is None]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)}: not set; the orchestrator needs two endpoints and a key that "
            "may use them"
        )
    return OrchestratedFlow(
        transcription=_address("transcription", str(settings.transcription_endpoint_id), settings),
        diarization=_address("diarization", str(settings.diarization_endpoint_id), settings),
        settings=settings,
        tls=httpx2.create_ssl_context(trust_env=False),
    )


def _address(name: str, endpoint: str, settings: Settings) -> Address:
    return Address(
        name, endpoint if "://" in endpoint else f"{settings.runpod_endpoint_base_url}/{endpoint}"
    )
