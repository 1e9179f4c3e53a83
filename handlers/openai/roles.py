"""The flows that the server can have, and the models that callers may name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.flows.flow import Flow
from core.modelstore.ids import display_name
from core.settings import Settings
from core.wire.job_input import (
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
)

DIARIZING = "gpt-4o-transcribe-diarize"
ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", DIARIZING)
"""OpenAI's models: many clients know no others, and get ours."""

Kind = type[SingleInput] | type[TranscriptionInput]


@dataclass(frozen=True, slots=True)
class Role:
    """A flow, before it is loaded."""

    kind: Kind
    """The input that its requests are parsed as."""
    load: Callable[[Settings], Flow[Any]]
    has_model: bool = True
    """False if the speech model is that of another endpoint."""

    def model(self, settings: Settings) -> str:
        """Return the name of the speech model."""
        return display_name(settings.model_id) if self.has_model else "orchestrated"


def _single(settings: Settings) -> Flow[Any]:
    from core.flows.load import load_single

    return load_single(settings)


def _transcription(settings: Settings) -> Flow[Any]:
    from core.flows.load import load_transcription

    return load_transcription(settings)


def _orchestrated(settings: Settings) -> Flow[Any]:
    from core.flows.orchestrated import load

    return load(settings)


ROLES = {
    "single": Role(SingleInput, _single),
    "transcription": Role(TranscriptionInput, _transcription),
    "orchestrated": Role(OrchestratorInput, _orchestrated, has_model=False),
}
"""By the value of FLOW."""
