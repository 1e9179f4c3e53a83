"""The orchestrator's flow: the same answer as the single worker's, from two endpoints that work at
the same time.

It never sees the recording. What it asks of the endpoints is `verbose_json` of the transcription
worker and `json` of the diarization worker; with those the single worker's last steps,
`core.transcript.assembly` and `core.wire.render`, are its own.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Final

import anyio
import httpx2

from core.domain.timeline import Diarization, Transcript
from core.domain.watch import IsCancelled, Watch
from core.errors import Cancelled, SettingsError, WorkerError
from core.media import fetch as sources
from core.remote import (
    Address,
    Endpoint,
    Pace,
    Report,
    TranscriptionAnswer,
    connect,
    read_diarization,
    read_transcription,
    request_body,
)
from core.settings import Settings
from core.transcript.assembly import assemble
from core.transcript.parts import join_parts
from core.wire import render as rendering
from core.wire.job_input import OnDiarizationError, OrchestratorRequest, TranscriptFormat, parse

_LOOK_S = 0.1
"""How often a job looks whether its caller still wants it."""

_RECORDING = {"audio", "audio_url", "audio_base64", "audio_format", "start", "end"}
_SPEAKERS = {"num_speakers", "min_speakers", "max_speakers"}


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
    """The code with which diarization failed, where the caller can do without."""


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

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Answer an `OrchestratorRequest`."""
        request = parse(OrchestratorRequest, job_input)
        sources.check(request.source, self.settings)
        bodies = self._bodies(request)
        found = anyio.run(self._ask, request, bodies, watch)
        watch.report("merging", 1.0)
        return rendering.render(
            _merged(found), request.response_format, timestamps=request.timestamps
        )

    def rehearse(self, recording: Path) -> None:  # noqa: ARG002  no model of its own could hear it
        """Ask how both endpoints are: only a key that they do not take is reason not to start, all
        else may pass before a job comes.
        """
        failures: list[WorkerError] = []
        # The SDK calls this on its event loop, where no other can run.
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

    def _bodies(self, request: OrchestratorRequest) -> _Bodies:
        """Write all that will be asked, so that nothing is submitted where a part cannot be."""
        recording = request.model_dump(include=_RECORDING, exclude_none=True)
        words = {"response_format": TranscriptFormat.VERBOSE_JSON, "timestamps": request.timestamps}
        words |= (
            recording if request.language is None else recording | {"language": request.language}
        )
        speakers = recording | request.model_dump(include=_SPEAKERS, exclude_none=True)
        body = partial(request_body, timeout_s=self.settings.job_timeout)
        count = self._count_parts(request)
        parts = (
            [words]
            if count == 1
            else [words | {"part": {"index": index, "of": count}} for index in range(count)]
        )
        return _Bodies(tuple(map(body, parts)), body(speakers) if request.diarize else None)

    def _count_parts(self, request: OrchestratorRequest) -> int:
        """A range is a part already; and what stands in the request would be carried once for
        each.
        """
        is_whole = request.start is None and request.end is None
        return (
            self.settings.transcription_fanout
            if is_whole and request.source.scheme in ("http", "https", "s3")
            else 1
        )

    async def _ask(self, request: OrchestratorRequest, bodies: _Bodies, watch: Watch) -> _Found:
        """Run all jobs side by side.

        Where one fails the others are cancelled, and the first cause is raised.
        """
        deadline = anyio.current_time() + self.settings.job_timeout
        found = _Found()
        progress = _Progress(watch)
        async with self._connect() as client:
            words = Endpoint(self.transcription, client, self.pace)
            turns = Endpoint(self.diarization, client, self.pace)

            async def transcribe(index: int, body: bytes, report: Report) -> None:
                output = await words.run(body, deadline=deadline, report=report)
                found.parts[index] = read_transcription(output, language=request.language)

            async def diarize(body: bytes, report: Report) -> None:
                try:
                    found.speakers = read_diarization(
                        await turns.run(body, deadline=deadline, report=report)
                    )
                except WorkerError as error:
                    if request.on_diarization_error is OnDiarizationError.FAIL:
                        raise
                    found.no_speakers = error.code

            jobs: list[_Job] = [
                partial(transcribe, index, body) for index, body in enumerate(bodies.transcription)
            ]
            jobs += [partial(diarize, bodies.diarization)] if bodies.diarization else []
            await _all_or_none([progress.follow(job) for job in jobs], watch.cancelled)
        return found


_Job = Callable[[Report], Awaitable[None]]
"""Runs one job in an endpoint and keeps what it answers."""


def _merged(found: _Found) -> Transcript:
    parts = [found.parts[index] for index in sorted(found.parts)]
    transcript_only = (
        f"no speakers: diarization failed with {found.no_speakers}; this is the transcript alone"
    )
    return assemble(
        join_parts([part.transcription for part in parts]),
        found.speakers,
        duration_s=max(part.duration for part in parts),
        warnings=(transcript_only,) if found.no_speakers else (),
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


_QUEUED = "queued"
_STAGES: Final = {
    "downloading": (0.0, 0.05),
    "decoding": (0.05, 0.1),
    "transcribing": (0.1, 1.0),
    "diarizing": (0.1, 1.0),
}
"""Which part of a job each stage of a worker is."""


class _Progress:
    """That of several jobs as one: the caller waits for the one that is furthest behind.

    It never goes back.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._at: list[tuple[float, str]] = []
        self._shown = 0.0

    def follow(self, job: _Job) -> Callable[[], Awaitable[None]]:
        """Let a job report here."""
        index = len(self._at)
        self._at.append((0.0, _QUEUED))

        def report(stage: str, fraction: float) -> None:
            if stage in _STAGES:
                start, end = _STAGES[stage]
                self._move(index, stage, start + (end - start) * fraction)

        async def run() -> None:
            await job(report)
            self._move(index, self._at[index][1], 1.0)

        return run

    def _move(self, index: int, stage: str, fraction: float) -> None:
        self._at[index] = (fraction, stage)
        behind, stage = min(self._at)
        self._shown = max(self._shown, behind)
        self._watch.report(stage, self._shown)


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
