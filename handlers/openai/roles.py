"""The flows that the server can have, and the models that callers may name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import SourceTooLarge
from core.flows.flow import Flow
from core.modelstore.ids import display_name
from core.settings import Settings
from core.wire.forwarding import not_carried
from core.wire.job_input import (
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
)
from core.wire.limits import MAX_RUN_FILE_BYTES
from handlers.openai.multipart import Limit

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
    max_file_bytes: int | None = None
    """The largest file that can be passed on; None if none is."""

    def model(self, settings: Settings) -> str:
        """Return the name of the speech model."""
        return display_name(settings.model_id) if self.has_model else "orchestrated"

    def limit(self, settings: Settings) -> Limit:
        """Return how large an upload may be."""
        if self.max_file_bytes is None or settings.max_audio_bytes <= self.max_file_bytes:
            return Limit(settings.max_audio_bytes)
        return Limit(self.max_file_bytes, _not_carried)


def _not_carried(max_bytes: int) -> SourceTooLarge:
    return not_carried(f"more than {max_bytes * 4 / 3e6:.0f} MB")


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
    "orchestrated": Role(OrchestratorInput, _orchestrated, False, MAX_RUN_FILE_BYTES),
}
"""By the value of FLOW."""
