"""The diarization jobs of one orchestrated request: one for the whole, or one for each part."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from core.domain.parts import DiarizedPart
from core.domain.request import (
    DiarizationRequest,
    OrchestratedRequest,
    Part,
    SpeakerCount,
    narrowed,
)
from core.domain.timeline import Diarization
from core.domain.watch import IsCancelled, Report, Stage
from core.errors import JobFailed
from core.flows.together import all_or_none
from core.speakers.joining import join_parts
from core.wire.answers import read_diarization, read_part

log = logging.getLogger("parakeet.orchestrator")


class Run(Protocol):
    """Runs a job in the diarization endpoint and returns its output."""

    def __call__(self, body: bytes, *, report: Report) -> Awaitable[object]:
        """See `core.remote.Endpoint.run`."""
        ...


class SpeakerJobs:
    """Asks for the speakers of a recording."""

    def __init__(
        self,
        request: OrchestratedRequest,
        *,
        parts: int,
        body: Callable[[DiarizationRequest], bytes],
    ) -> None:
        """Write all requests with `body`. Known voices are heard once, with the first part."""
        self._request = request
        self._whole = body(narrowed(request, DiarizationRequest))
        self._parts = [
            body(
                narrowed(
                    request,
                    DiarizationRequest,
                    part=Part(index, parts),
                    known_speakers=() if index else request.known_speakers,
                    return_embeddings=False,  # a part has them in any case
                )
            )
            for index in (range(parts) if parts > 1 else ())
        ]

    @property
    def count(self) -> int:
        """How many jobs there are at once."""
        return len(self._parts) or 1

    async def run(self, run: Run, reports: Sequence[Report], cancelled: IsCancelled) -> Diarization:
        """Return who spoke when. `reports` has one report for each job.

        Raise what the first job raises that fails, once all others are cancelled.
        """
        if self._parts:
            try:
                return await self._joined(run, reports, cancelled)
            except JobFailed as refusal:
                if not str(refusal).startswith("part:"):
                    raise
            log.info("the diarization endpoint runs a version without parts; update its image")
            for report in reports[1:]:
                report(Stage.DIARIZING, 1.0)
        return read_diarization(await run(self._whole, report=reports[0]))

    async def _joined(
        self, run: Run, reports: Sequence[Report], cancelled: IsCancelled
    ) -> Diarization:
        found: list[DiarizedPart] = []

        async def ask(body: bytes, report: Report) -> None:
            found.append(read_part(await run(body, report=report)))
            report(Stage.DIARIZING, 1.0)

        asking = zip(self._parts, reports, strict=True)
        await all_or_none([partial(ask, *one) for one in asking], cancelled)
        count = self._request.speakers or SpeakerCount()
        return join_parts(found, count, voices=self._request.return_embeddings)
