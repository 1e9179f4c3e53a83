"""The workers behind the emulator's endpoints in `bench.orchestrator`.

They either only wait, or are the real ones on the embedded models.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.timeline import Diarization, Transcription, Turn, Word
from core.transcript.assembly import assemble
from core.wire.fields import Answer
from core.wire.job_input import DiarizationInput, TranscriptionInput, parse
from core.wire.render import render
from emulator.endpoint import Endpoint
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line

KEY = "bench"
DIARIZATION, TRANSCRIPTION, ORCHESTRATOR, SINGLE = (
    "diarization",
    "transcription",
    "orchestrator",
    "single",
)
_PROGRESS_S = 1.0
"""Seconds between two reports of a worker's progress."""
_START_S = 600.0
_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Service:
    """Seconds that simulated workers take for a whole recording."""

    diarization_s: float
    transcription_s: float


class Simulated:
    """The workers of both models: they take a given time and answer with a dialogue's reference.

    A part of the recording takes its portion of the time.
    """

    def __init__(self, reference: Path) -> None:
        said = json.loads(reference.read_text())
        self.service = Service(0.0, 0.0)
        """May be replaced between jobs."""
        self._duration_s = float(said["duration"])
        self._words = tuple(
            Word(one["start"], one["end"], one["text"], 0.9) for one in said["words"]
        )
        self._turns = tuple(Turn(one["start"], one["end"], one["speaker"]) for one in said["turns"])

    async def diarize(self, job: dict[str, Any], line: Line) -> Answer:
        """Answer a `DiarizationInput`."""
        request = parse(DiarizationInput, job["input"])
        await _wait("diarizing", self.service.diarization_s, line)
        found = Diarization(self._turns, self._turns, duration=self._duration_s)
        return render(found, request.form)

    async def transcribe(self, job: dict[str, Any], line: Line) -> Answer:
        """Answer a `TranscriptionInput`."""
        request = parse(TranscriptionInput, job["input"])
        words = self._words
        if request.part is not None:
            step_s = self._duration_s / request.part.of
            words = tuple(
                word for word in words if int(word.midpoint // step_s) == request.part.index
            )
        await _wait(
            "transcribing",
            self.service.transcription_s / (request.part.of if request.part else 1),
            line,
        )
        diarization = None if request.turns is None else Diarization(request.turns, request.turns)
        transcript = assemble(
            Transcription(words, (), request.language or _LANGUAGE, ()),
            diarization,
            duration_s=self._duration_s,
        )
        return render(transcript, request.form)

    def open(self, server: Server, transcription_workers: int = 1) -> list[Endpoint]:
        """Open both endpoints."""
        bounds = Bounds(min_workers=transcription_workers, max_workers=transcription_workers)
        return [
            server.simulate(DIARIZATION, self.diarize),
            server.simulate(TRANSCRIPTION, self.transcribe, bounds=bounds),
        ]


async def _wait(stage: str, seconds: float, line: Line) -> None:
    """Wait, and report progress now and then."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        await line.progress({"stage": stage, "percent": round(100 * (1 - left / seconds))})
        await asyncio.sleep(min(left, _PROGRESS_S))


@dataclass(frozen=True, slots=True)
class Processes:
    """Real workers: processes of `handlers` that run the SDK's loop."""

    server: Server
    logs: Path
    threads: int = 1
    """Threads of torch's operations, in each worker."""

    def open_orchestrator(self) -> Endpoint:
        """Open the orchestrator's endpoint."""
        environment = {
            "RUNPOD_ENDPOINT_BASE_URL": "{emulator}/v2",
            "RUNPOD_API_KEY": KEY,
            "DIARIZATION_ENDPOINT_ID": DIARIZATION,
            "TRANSCRIPTION_ENDPOINT_ID": TRANSCRIPTION,
        }
        return self.server.launch(
            ORCHESTRATOR, "handlers.orchestrator", self.logs, environment=environment
        )

    def open_models(
        self,
        transcription_workers: int = 1,
        diarization_workers: int = 1,
        roles: tuple[str, ...] = (DIARIZATION, TRANSCRIPTION, SINGLE),
    ) -> list[Endpoint]:
        """Open the roles that have models, on the embedded models and the CPU.

        There is one worker for each, or several for transcription or diarization.
        """
        environment = {
            "MODEL_ID": "embedded",
            "DIARIZATION_MODEL_ID": "embedded",
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS": "true",  # the recordings are served on loopback
        }
        workers = {TRANSCRIPTION: transcription_workers, DIARIZATION: diarization_workers}
        return [
            self.server.launch(
                role,
                f"handlers.{role}",
                self.logs,
                environment=environment,
                bounds=Bounds(workers.get(role, 1), workers.get(role, 1)),
            )
            for role in roles
        ]


def wait_until_ready(endpoint: Endpoint, workers: int = 1) -> None:
    """Wait until this many workers of an endpoint take jobs. Raise TimeoutError."""
    deadline = time.monotonic() + _START_S
    while endpoint.workers.figures().ready < workers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no worker of the {endpoint.name} endpoint after {_START_S:.0f} s")
        time.sleep(0.1)
