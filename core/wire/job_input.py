"""From JSON to a request, for every front that takes JSON: one typed model per role.

docs/API.md describes the fields; `core.wire.shared_inputs` has those of several roles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from core.domain.request import (
    DiarizationRequest,
    LocalFile,
    OnDiarizationError,
    OrchestratedRequest,
    SingleRequest,
    SpeakerCount,
    TranscriptionRequest,
)
from core.domain.timeline import Turn
from core.errors import InvalidRequest
from core.wire.form import DiarizationFormat, Form, WorkerFormat
from core.wire.input_fields import CHOICE, Boolean, Part, TurnField, TurnFields
from core.wire.known_speakers import EmbeddingField, KnownSpeakerField
from core.wire.refusal import sentence
from core.wire.shared_inputs import AudioInput, PartInput, SpeakersInput, WordsInput


class SingleInput(WordsInput, SpeakersInput):
    """The input of the single worker."""

    diarize: Boolean = True
    on_diarization_error: Annotated[OnDiarizationError, CHOICE] = Field(
        default=OnDiarizationError.FAIL, strict=False
    )

    @model_validator(mode="after")
    def _channels_count_speakers(self) -> Self:
        if self.is_split and self.speakers != SpeakerCount():
            raise ValueError(
                "channels split has one speaker on each channel; leave out num_speakers, "
                "min_speakers and max_speakers"
            )
        return self

    @model_validator(mode="after")
    def _voices_need_a_speaker_model(self) -> Self:
        asked = [name for name in ("known_speakers", "return_embeddings") if getattr(self, name)]
        if asked and self.is_split:
            raise ValueError(
                f"channels split knows its speakers by their channels; leave out {asked[0]}"
            )
        if asked and not self.diarize:
            raise ValueError(f"{asked[0]} needs speakers; leave out diarize: false")
        return self

    @property
    def request(self) -> SingleRequest:
        """The request in it."""
        return SingleRequest(**self._fields)

    @property
    def _fields(self) -> dict[str, Any]:
        return {
            "recording": self.recording,
            "decoding": self.decoding,
            "characters": self.timestamps,
            "speakers": self.speakers if self.diarize and not self.is_split else None,
            "on_diarization_error": self.on_diarization_error,
            "channels": self.channels,
            "edits": self.edits,
            "known_speakers": self.known,
            "return_embeddings": self.return_embeddings,
        }


class OrchestratorInput(SingleInput):
    """The input of the orchestrator."""

    @property
    def request(self) -> OrchestratedRequest:
        """The request in it."""
        return OrchestratedRequest(**self._fields)


class DiarizationInput(SpeakersInput, PartInput):
    """The input of the diarization worker."""

    response_format: Annotated[DiarizationFormat, CHOICE] = Field(
        default=DiarizationFormat.JSON, strict=False
    )

    @property
    def request(self) -> DiarizationRequest:
        """The request in it."""
        return DiarizationRequest(
            self.recording, self.speakers, self.known, self.return_embeddings, self.requested_part
        )

    @property
    def form(self) -> Form:
        """How to write the answer."""
        return Form(self.response_format)


class TranscriptionInput(WordsInput, PartInput):
    """The input of the transcription worker."""

    diarization_segments: TurnFields | None = None

    @model_validator(mode="after")
    def _channels_are_speakers(self) -> Self:
        given = "diarization_segments" if self.turns is not None else "part"
        if self.is_split and (self.turns is not None or self.part is not None):
            raise ValueError(f"give channels split or {given}, not both")
        return self

    @field_validator("response_format", mode="wrap")
    @classmethod
    def _or_compact(cls, value: object, parse: Callable[[object], object]) -> object:
        return WorkerFormat.COMPACT if value == WorkerFormat.COMPACT else parse(value)

    @model_validator(mode="after")
    def _compact_has_no_speakers(self) -> Self:
        if self.form.response_format is WorkerFormat.COMPACT and self.turns is not None:
            raise ValueError("response_format compact has no speakers; leave diarization_segments")
        return self

    @property
    def request(self) -> TranscriptionRequest:
        """The request in it."""
        return TranscriptionRequest(
            self.recording,
            self.decoding,
            self.timestamps,
            part=self.requested_part,
            turns=self.turns,
            channels=self.channels,
            edits=self.edits,
        )

    @property
    def turns(self) -> tuple[Turn, ...] | None:
        """The caller's turns, sorted by start; None if none were given."""
        if self.diarization_segments is None:
            return None
        fields = sorted(self.diarization_segments, key=lambda field: (field.start, field.end))
        return tuple(Turn(field.start, field.end, field.speaker) for field in fields)


_Input = TypeVar("_Input", bound=AudioInput)
_OF_ANY_ROLE = OrchestratorInput.model_fields | TranscriptionInput.model_fields
_NESTED: dict[str, type[BaseModel]] = {
    "diarization_segments": TurnField,
    "embedding": EmbeddingField,
    "known_speakers": KnownSpeakerField,
    "part": Part,
}


def parse(kind: type[_Input], job_input: object, *, uploaded: LocalFile | None = None) -> _Input:
    """Read a JSON object, such as `job["input"]`, as the input of a role.

    `uploaded` is the recording if the front has it as a file; then the object names none.

    A known field that says nothing counts as not given. Raise InvalidRequest with a sentence that
    names the field, the mistake, and for an unknown field the nearest known one.
    """
    if not isinstance(job_input, dict):
        raise InvalidRequest('input must be a JSON object, for example {"audio_url": "https://…"}')
    try:
        return kind.model_validate(job_input, context=uploaded)
    except ValidationError as error:
        raise InvalidRequest(sentence(error, kind, _NESTED, _OF_ANY_ROLE)) from None
