"""The orchestrator's flow: the single worker's answer, from two endpoints that work side by side.

The orchestrator never sees the recording. The transcription worker answers in the form of
`core.wire.compact`, and the diarization worker in `json`. From these answers the orchestrator takes
the single worker's last step, `core.transcript.assembly`.
"""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import httpx2

from core.domain.request import Channels, OnDiarizationError, OrchestratedRequest
from core.domain.timeline import Transcript, Transcription
from core.domain.usage import Work
from core.domain.watch import IsCancelled, Stage, Watch
from core.errors import SettingsError, WorkerError
from core.flows.endpoint_jobs import PATIENCE_S, EndpointJobs, Found
from core.flows.known_speakers import about
from core.flows.usage import told
from core.media import fetch
from core.remote import Address, Endpoint, Pace, connect
from core.settings import Settings
from core.transcript.assembly import assemble, without_speakers
from core.transcript.quiet import Quiet

_BY_REFERENCE = ("http", "https", "s3")
"""The schemes of recordings that a request only names."""


@dataclass(frozen=True, slots=True)
class OrchestratedFlow:
    """Finds words and speakers through two endpoints.

    Many threads may call it: each job has an event loop and connections of its own.
    """

    transcription: Address
    diarization: Address
    settings: Settings
    tls: ssl.SSLContext
    pace: Pace = field(default_factory=Pace)
    patience_s: float = PATIENCE_S
    """How long the second question may wait; see `EndpointJobs.hear`."""

    def run(self, request: OrchestratedRequest, watch: Watch) -> Transcript:
        """See `Flow`."""
        fetch.check(request.recording.source, self.settings)
        if request.on_diarization_error is OnDiarizationError.FAIL:
            self._check_known(request)
        jobs = EndpointJobs(
            request,
            parts=self._most_parts(request, self.settings.transcription_fanout),
            speaker_parts=self._most_parts(request, self.settings.diarization_fanout),
            timeout_s=self.settings.job_timeout,
        )
        merging = anyio.run(self._ask, jobs, watch)
        watch.report(Stage.MERGING, 1.0)
        with watch.clock.at(Work.MERGE):
            transcript = _merged(merging, request, watch.cancelled)
        merging.found.count(watch.clock)
        return told(transcript, request.recording, watch, model=merging.found.model)

    def _check_known(self, request: OrchestratedRequest) -> None:
        for index, known in enumerate(request.known_speakers):
            if known.audio is not None:
                with about(index, "audio"):
                    fetch.check(known.audio, self.settings)

    def rehearse(self, recording: Path) -> None:  # noqa: ARG002  no model here could hear it
        """Ask both endpoints for their health.

        Only a key that they refuse is a reason not to start: any other trouble may pass before a
        job comes.
        """
        # The SDK calls this on its event loop, inside which no other can run.
        with ThreadPoolExecutor(1, thread_name_prefix="rehearsal") as thread:
            failures = thread.submit(anyio.run, self._check).result()
        if failures:
            raise failures[0]

    async def _check(self) -> list[WorkerError]:
        failures: list[WorkerError] = []

        async def check(address: Address, client: httpx2.AsyncClient) -> None:
            try:
                await Endpoint(address, client, self.pace).check()
            except WorkerError as error:
                failures.append(error)

        async with self._connect() as client, anyio.create_task_group() as group:
            group.start_soon(check, self.transcription, client)
            group.start_soon(check, self.diarization, client)
        return failures

    def _connect(self) -> httpx2.AsyncClient:
        key = self.settings.runpod_api_key
        return connect(key.get_secret_value() if key else "", pace=self.pace, tls=self.tls)

    @staticmethod
    def _most_parts(request: OrchestratedRequest, fanout: int) -> int:
        """Return how many parts to make of the recording.

        A range is a part already, inline data would be sent once per part, and channels are
        compared as a whole.
        """
        recording = request.recording
        is_named = recording.source.scheme in _BY_REFERENCE
        is_mixed = request.channels is Channels.MIX
        can_be_parted = recording.range.is_whole and is_named and is_mixed
        return fanout if can_be_parted else 1

    async def _ask(self, jobs: EndpointJobs, watch: Watch) -> _Merging:
        deadline = anyio.current_time() + self.settings.job_timeout
        async with self._connect() as client:
            words = Endpoint(self.transcription, client, self.pace)
            speakers = Endpoint(self.diarization, client, self.pace)
            found = await jobs.run(words, speakers, deadline=deadline, watch=watch)
            heard = found.words
            if quiet := Quiet.of(heard, found.speakers, jobs.heard):
                hear = partial(jobs.hear, deadline=deadline, patience_s=self.patience_s)
                more = await hear(words, quiet.range, watch=watch)
                heard = quiet.filled(more) if more else heard
            return _Merging(heard, found)


@dataclass(frozen=True, slots=True)
class _Merging:
    words: Transcription
    found: Found


def _merged(merging: _Merging, request: OrchestratedRequest, cancelled: IsCancelled) -> Transcript:
    found = merging.found
    return assemble(
        merging.words,
        found.speakers,
        duration_s=found.duration_s,
        warnings=(without_speakers(found.no_speakers),) if found.no_speakers else (),
        cancelled=cancelled,
        edits=request.edits,
        task=request.decoding.task,
    )


def load(settings: Settings) -> OrchestratedFlow:
    """Make the flow of the settings.

    Raise SettingsError if an endpoint or the key is not set, or both endpoints are the same.
    """
    _check_set(settings)
    words = _address("transcription", str(settings.transcription_endpoint_id), settings)
    speakers = _address("diarization", str(settings.diarization_endpoint_id), settings)
    if words.url == speakers.url:
        raise SettingsError(
            "DIARIZATION_ENDPOINT_ID, TRANSCRIPTION_ENDPOINT_ID: they name the same endpoint; the "
            "orchestrator needs one for each worker"
        )
    return OrchestratedFlow(
        transcription=words,
        diarization=speakers,
        settings=settings,
        tls=httpx2.create_ssl_context(trust_env=False),
    )


def _check_set(settings: Settings) -> None:
    needed = ("DIARIZATION_ENDPOINT_ID", "TRANSCRIPTION_ENDPOINT_ID", "RUNPOD_API_KEY")
    missing = [name for name in needed if getattr(settings, name.lower()) is None]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)}: not set; the orchestrator needs two endpoints and a key that "
            "may use them"
        )


def _address(name: str, endpoint: str, settings: Settings) -> Address:
    return Address(
        name, endpoint if "://" in endpoint else f"{settings.runpod_endpoint_base_url}/{endpoint}"
    )
