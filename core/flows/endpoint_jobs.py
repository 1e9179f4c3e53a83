"""The orchestrator's jobs in both endpoints: what they are asked, and what they find."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

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
from core.domain.timeline import Diarization, Span, Transcription
from core.domain.usage import Stopwatch, Work
from core.domain.watch import Stage, Watch
from core.errors import Cancelled, JobFailed, WorkerError
from core.flows.own_requests import written_for
from core.flows.progress import JobProgress
from core.flows.speaker_jobs import Run, SpeakerJobs
from core.flows.together import Task, all_or_none
from core.remote import Endpoint, request_body
from core.transcript.parts import join_parts
from core.wire.answers import TranscriptionAnswer, read_transcription
from core.wire.form import TranscriptFormat, WorkerFormat
from core.wire.forwarding import job_input

PATIENCE_S = 30.0
"""So long the second question may wait for its answer in any case."""

log = logging.getLogger("parakeet.orchestrator")


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
    def duration_s(self) -> float:
        """Seconds from the start of the file to the end of what was decoded."""
        return max(part.duration for part in self.parts.values())

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
    """The jobs of one request: transcription of one or more parts, and diarization if wanted, of
    one or more parts too.
    """

    def __init__(
        self, request: OrchestratedRequest, *, parts: int, speaker_parts: int, timeout_s: float
    ) -> None:
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
        self._speakers = (
            None
            if request.speakers is None
            else SpeakerJobs(request, parts=speaker_parts, body=self._body)
        )
        self._found = Found()
        self._took_s = 0.0
        """Seconds from the submission of a transcription job to its answer, of the slowest."""

    def _body(
        self,
        question: TranscriptionRequest | DiarizationRequest,
        response_format: TranscriptFormat | WorkerFormat | None = None,
        *,
        timeout_s: float | None = None,
    ) -> bytes:
        asked = job_input(question)
        if response_format is not None:
            asked["response_format"] = response_format
        return request_body(asked, timeout_s=self._timeout_s if timeout_s is None else timeout_s)

    async def run(
        self, words: Endpoint, speakers: Endpoint, *, deadline: float, watch: Watch
    ) -> Found:
        """Run all jobs side by side. If one fails, cancel the others and raise the first cause.

        `deadline` is a time of `anyio.current_time`.
        """
        count = len(self._questions)
        others = 0 if self._speakers is None else self._speakers.count
        progress = JobProgress(watch, branches=count + others)
        transcribe = partial(self._transcribe, words, deadline, watch)
        tasks: list[Task] = [
            partial(transcribe, index, _Branch(progress, index)) for index in range(count)
        ]
        if self._speakers is not None:
            run = partial(speakers.run, deadline=deadline)
            own = [_Branch(progress, count + index) for index in range(self._speakers.count)]
            tasks.append(partial(self._diarize, self._speakers, run, own, watch))
        await all_or_none(tasks, watch.cancelled)
        return self._found

    @property
    def heard(self) -> Span:
        """The stretch of the recording that was heard, once all jobs are done."""
        return Span(self._request.recording.range.start, self._found.duration_s)

    async def hear(
        self,
        words: Endpoint,
        within: Range,
        *,
        deadline: float,
        watch: Watch,
        patience_s: float = PATIENCE_S,
    ) -> Transcription | None:
        """Ask for the words of a range; None if they could not be found in time.

        They may take as long as the words of the recording did, or `patience_s` if these were
        quick, but no more than half of the time that is left: an answer is there already.

        Raise Cancelled once the caller cancels.
        """
        found: list[TranscriptionAnswer] = []
        now = anyio.current_time()
        timeout_s = min(max(patience_s, self._took_s), (deadline - now) / 2)

        async def ask() -> None:
            body = self._body_of(within, timeout_s)
            output = await words.run(body, deadline=now + timeout_s, report=Watch().report)
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

    def _body_of(self, within: Range, timeout_s: float) -> bytes:
        recording = replace(self._request.recording, range=within)
        question = narrowed(
            replace(self._request, recording=recording), TranscriptionRequest, edits=Edits()
        )
        return self._body(question, WorkerFormat.COMPACT, timeout_s=timeout_s)

    async def _transcribe(
        self, endpoint: Endpoint, deadline: float, watch: Watch, index: int, branch: _Branch
    ) -> None:
        run = partial(endpoint.run, deadline=deadline, report=branch.report)
        began = anyio.current_time()
        with watch.clock.at(Work.TRANSCRIPTION):
            with written_for("transcription"):
                output = await self._words(index, run)
            language = self._request.decoding.language
            self._found.parts[index] = read_transcription(output, language=language)
        self._took_s = max(self._took_s, anyio.current_time() - began)
        branch.end()

    async def _words(self, index: int, run: Callable[[bytes], Awaitable[object]]) -> object:
        """Ask for the compact form; ask a worker of the previous version, which has none, again."""
        try:
            return await run(self._bodies[index])
        except JobFailed as refusal:
            if not _is_before_compact(str(refusal)):
                raise
        log.info("the transcription endpoint runs a version before 0.2; update its image")
        return await run(self._body(self._questions[index], TranscriptFormat.VERBOSE_JSON))

    async def _diarize(
        self, jobs: SpeakerJobs, run: Run, branches: Sequence[_Branch], watch: Watch
    ) -> None:
        reports = [branch.report for branch in branches]
        try:
            with watch.clock.at(Work.DIARIZATION), written_for("diarization"):
                self._found.speakers = await jobs.run(run, reports, watch.cancelled)
        except WorkerError as error:
            is_needed = self._request.on_diarization_error is OnDiarizationError.FAIL
            if is_needed or isinstance(error, Cancelled):
                raise
            self._found.no_speakers = error.code
        for branch in branches:
            branch.end()


def _is_before_compact(refusal: str) -> bool:
    """Tell whether the formats that a worker says it knows are those of version 0.1, which is
    older than `html` too. A worker of another role names others.
    """
    return (
        refusal.startswith("response_format:")
        and f"'{TranscriptFormat.VERBOSE_JSON}'" in refusal
        and f"'{TranscriptFormat.HTML}'" not in refusal
    )


@dataclass(frozen=True, slots=True)
class _Branch:
    """One job's share of the progress, which the caller sees as one: see `JobProgress`."""

    progress: JobProgress
    index: int

    def report(self, stage: Stage, fraction: float) -> None:
        """Report how much of the job is done."""
        self.progress.move(self.index, stage, fraction)

    def end(self) -> None:
        """Report that the job is done."""
        self.progress.end(self.index)
