"""The orchestrator's jobs in both endpoints: what they are asked, and what they find."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from core.domain.request import (
    DiarizationRequest,
    Edits,
    OnDiarizationError,
    OrchestratedRequest,
    Part,
    Range,
    TranscriptionRequest,
    narrowed,
)
from core.domain.timeline import Diarization, Transcription
from core.domain.usage import Stopwatch, Work
from core.domain.watch import Report, Watch
from core.errors import Cancelled, JobFailed, WorkerError
from core.flows.progress import JobProgress
from core.flows.together import Task, all_or_none
from core.remote import Endpoint, request_body
from core.transcript.parts import join_parts
from core.wire.answers import TranscriptionAnswer, read_diarization, read_transcription
from core.wire.form import TranscriptFormat, WorkerFormat
from core.wire.forwarding import job_input

log = logging.getLogger("parakeet.orchestrator")

_Job = Callable[[Report], Awaitable[None]]
"""Runs one job in an endpoint and keeps its answer."""


@dataclass(slots=True)
class Found:
    """The endpoints' answers so far."""

    parts: dict[int, TranscriptionAnswer] = field(default_factory=dict)
    """By the index of the part of the recording."""
    speakers: Diarization | None = None
    no_speakers: str | None = None
    """The code with which diarization failed, if the caller can do without speakers."""

    @property
    def words(self) -> Transcription:
        """What was said in all parts."""
        return join_parts([self.parts[index].transcription for index in sorted(self.parts)])

    @property
    def model(self) -> str | None:
        """The name of the speech model; None if no answer tells it."""
        told = [one.usage.model for one in self.parts.values() if one.usage]
        return next(iter(told), None)

    def count(self, clock: Stopwatch) -> None:
        """Count what the workers say that their jobs took."""
        for one in (*self.parts.values(), self.speakers):
            if one is not None and one.usage is not None:
                clock.add(one.usage.spent_s)


class EndpointJobs:
    """The jobs of one request: transcription of one or more parts, and diarization if wanted."""

    def __init__(self, request: OrchestratedRequest, *, parts: int, timeout_s: float) -> None:
        """Write all requests first, so that none is submitted if one cannot be written."""
        self._request = request
        self._timeout_s = timeout_s
        self._questions = [
            narrowed(
                request,
                TranscriptionRequest,
                part=None if parts == 1 else Part(index, parts),
                edits=Edits(),  # they come after the speakers, which these jobs do not know
            )
            for index in range(parts)
        ]
        self._bodies = [self._body(question, WorkerFormat.COMPACT) for question in self._questions]
        self._speakers_body = (
            None if request.speakers is None else self._body(narrowed(request, DiarizationRequest))
        )
        self._found = Found()

    def _body(
        self,
        question: TranscriptionRequest | DiarizationRequest,
        response_format: TranscriptFormat | WorkerFormat | None = None,
    ) -> bytes:
        asked = job_input(question)
        if response_format is not None:
            asked["response_format"] = response_format
        return request_body(asked, timeout_s=self._timeout_s)

    async def run(
        self, words: Endpoint, speakers: Endpoint, *, deadline: float, watch: Watch
    ) -> Found:
        """Run all jobs side by side. If one fails, cancel the others and raise the first cause.

        `deadline` is a time of `anyio.current_time`.
        """
        jobs: list[_Job] = [
            _timed(Work.TRANSCRIPTION, watch, partial(self._transcribe, words, deadline, index))
            for index in range(len(self._questions))
        ]
        if self._speakers_body is not None:
            diarize = partial(self._diarize, speakers, deadline, self._speakers_body)
            jobs.append(_timed(Work.DIARIZATION, watch, diarize))
        await all_or_none(_followed(jobs, watch), watch.cancelled)
        return self._found

    async def hear(
        self, words: Endpoint, within: Range, *, deadline: float, watch: Watch
    ) -> Transcription | None:
        """Ask for the words of a range; None if they could not be found.

        Raise Cancelled once the caller cancels.
        """
        recording = replace(self._request.recording, range=within)
        question = narrowed(replace(self._request, recording=recording), TranscriptionRequest)
        found: list[TranscriptionAnswer] = []

        async def ask() -> None:
            body = self._body(question, WorkerFormat.COMPACT)
            output = await words.run(body, deadline=deadline, report=Watch().report)
            language = self._request.decoding.language
            found.append(read_transcription(output, language=language))

        try:
            await all_or_none([ask], watch.cancelled)
        except Cancelled:
            raise
        except WorkerError as error:
            log.info("a second look at quiet speech failed with %s", error.code)
            return None
        return found[0].transcription

    async def _transcribe(
        self, endpoint: Endpoint, deadline: float, index: int, report: Report
    ) -> None:
        run = partial(endpoint.run, deadline=deadline, report=report)
        output = await self._words(index, run)
        language = self._request.decoding.language
        self._found.parts[index] = read_transcription(output, language=language)

    async def _words(self, index: int, run: Callable[[bytes], Awaitable[object]]) -> object:
        """Ask for the compact form; ask a worker of the previous version, which has none, again."""
        try:
            return await run(self._bodies[index])
        except JobFailed as refusal:
            if not str(refusal).startswith("response_format:"):
                raise
        log.info("the transcription endpoint runs a version before 0.2; update its image")
        return await run(self._body(self._questions[index], TranscriptFormat.VERBOSE_JSON))

    async def _diarize(
        self, endpoint: Endpoint, deadline: float, body: bytes, report: Report
    ) -> None:
        try:
            output = await endpoint.run(body, deadline=deadline, report=report)
            self._found.speakers = read_diarization(output)
        except WorkerError as error:
            if self._request.on_diarization_error is OnDiarizationError.FAIL:
                raise
            self._found.no_speakers = error.code


def _timed(work: Work, watch: Watch, job: _Job) -> _Job:
    async def run(report: Report) -> None:
        with watch.clock.at(work):
            await job(report)

    return run


def _followed(jobs: list[_Job], watch: Watch) -> list[Task]:
    """Return the jobs as tasks whose progress the caller sees as one: see `JobProgress`."""
    progress = JobProgress(watch, branches=len(jobs))

    async def run(index: int, job: _Job) -> None:
        await job(partial(progress.move, index))
        progress.end(index)

    return [partial(run, index, job) for index, job in enumerate(jobs)]
