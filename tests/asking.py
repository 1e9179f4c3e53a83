"""Flows asked as a front asks them: JSON in, JSON out."""

from __future__ import annotations

from functools import partial
from typing import Any

from core.domain.watch import Watch
from core.flows.diarization import DiarizationFlow
from core.flows.orchestrated import OrchestratedFlow
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.settings import Settings
from core.wire.job_input import (
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)
from core.wire.render import render
from handlers.runpod.worker import Handler, make_handler

TAKES: dict[type, Any] = {
    SingleFlow: SingleInput,
    TranscriptionFlow: TranscriptionInput,
    DiarizationFlow: DiarizationInput,
    OrchestratedFlow: OrchestratorInput,
}


def ask(flow: Any, job_input: object, watch: Watch | None = None) -> dict[str, Any]:
    """Parse, run, render: the answer of a role's flow."""
    asked = parse(TAKES[type(flow)], job_input)
    return render(flow.run(asked.request, watch or Watch()), asked.form)


def handler_of(flow: Any) -> Handler:
    """The SDK's handler around a role's flow."""
    return make_handler(flow, partial(parse, TAKES[type(flow)]), Settings())
