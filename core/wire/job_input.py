"""From JSON to a request, for every front that takes JSON: one typed model per role.

docs/API.md describes the fields.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from core.domain.request import (
    Decoding,
    DiarizationRequest,
    OnDiarizationError,
    OrchestratedRequest,
    Range,
    Recording,
    SingleRequest,
    Source,
    SpeakerCount,
    TranscriptionRequest,
)
from core.domain.request import Part as RequestedPart
from core.domain.timeline import Turn
from core.errors import InvalidRequest
from core.wire.form import DiarizationFormat, Form, TranscriptFormat, WorkerFormat

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def _is_url(text: str) -> bool:
    return "://" in text or text.lstrip().startswith("data:")


class AudioInput(_Strict):
    """The input of every role: a recording and, if wanted, a range of it."""

    audio: str | None = Field(default=None, repr=False)
    audio_url: str | None = Field(default=None, repr=False)
    audio_base64: str | None = Field(default=None, repr=False)
    audio_format: str | None = None
    """Ignored: the content decides."""
    start: _Seconds | None = None
    end: _Seconds | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [
            name
            for name in ("audio", "audio_url", "audio_base64")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            what = f"{' and '.join(given)} were given" if given else "none was given"
            raise ValueError(f"give exactly one of audio, audio_url, audio_base64; {what}")
        if not str(getattr(self, given[0])).strip():
            raise ValueError(f"{given[0]} is empty; give a URL or base64 text")
        return self

    @model_validator(mode="after")
    def _said_plainly(self) -> Self:
        if self.audio_url is not None and not _is_url(self.audio_url):
            raise ValueError(
                "audio_url is not a URL; give http(s):// or s3://, or use audio_base64"
            )
        if self.audio_base64 is not None and "://" in self.audio_base64[:20]:
            raise ValueError("audio_base64 is a URL; use audio_url")
        return self

    @model_validator(mode="after")
    def _range_in_order(self) -> Self:
        if self.end is not None and self.end <= (self.start or 0):
            raise ValueError("end must be after start")
        return self

    @property
    def recording(self) -> Recording:
        """The recording, from the one source that was given, and the range of it."""
        given = self.audio or self.audio_url or self.audio_base64 or ""
        return Recording(Source(given.strip()), Range(self.start or 0.0, self.end))


class _WordsInput(AudioInput):
    language: str | None = None
    response_format: TranscriptFormat = Field(default=TranscriptFormat.JSON, strict=False)
    timestamps: bool = Field(
        default=False, validation_alias=AliasChoices("timestamps", "timestamp")
    )

    @property
    def decoding(self) -> Decoding:
        """How to turn speech into text."""
        return Decoding(language=self.language)

    @property
    def form(self) -> Form:
        """How to write the answer."""
        return Form(self.response_format, timestamps=self.timestamps)


class _SpeakersInput(AudioInput):
    num_speakers: _Count | None = None
    min_speakers: _Count | None = None
    max_speakers: _Count | None = None

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        least, most = self.min_speakers, self.max_speakers
        if self.num_speakers is not None and (least is not None or most is not None):
            raise ValueError("give num_speakers, or min_speakers and max_speakers, not both")
        if least is not None and most is not None and least > most:
            raise ValueError("min_speakers is larger than max_speakers")
        return self

    @property
    def speakers(self) -> SpeakerCount:
        """The number of speakers, as far as the caller knows it."""
        return SpeakerCount(self.num_speakers, self.min_speakers, self.max_speakers)


class SingleInput(_WordsInput, _SpeakersInput):
    """The input of the single worker."""

    diarize: bool = True

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
            "speakers": self.speakers if self.diarize else None,
        }


class OrchestratorInput(SingleInput):
    """The input of the orchestrator."""

    on_diarization_error: OnDiarizationError = Field(default=OnDiarizationError.FAIL, strict=False)

    @property
    def request(self) -> OrchestratedRequest:
        """The request in it."""
        return OrchestratedRequest(**self._fields, on_diarization_error=self.on_diarization_error)


class DiarizationInput(_SpeakersInput):
    """The input of the diarization worker."""

    response_format: DiarizationFormat = Field(default=DiarizationFormat.JSON, strict=False)

    @property
    def request(self) -> DiarizationRequest:
        """The request in it."""
        return DiarizationRequest(self.recording, self.speakers)

    @property
    def form(self) -> Form:
        """How to write the answer."""
        return Form(self.response_format)


class TurnField(_Strict):
    """One element of `diarization_segments`, in the diarization worker's form."""

    start: _Seconds
    end: _Seconds
    speaker: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("end is before start")
        return self


class Part(_Strict):
    """The i-th of n equal parts of a recording."""

    index: int = Field(ge=0)
    of: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.index >= self.of:
            raise ValueError("index counts from 0 and must be smaller than of")
        return self


class TranscriptionInput(_WordsInput):
    """The input of the transcription worker."""

    diarization_segments: tuple[TurnField, ...] | None = Field(default=None, strict=False)
    part: Part | None = None

    @model_validator(mode="after")
    def _part_or_range(self) -> Self:
        if self.part is not None and (self.start is not None or self.end is not None):
            raise ValueError("give part, or start and end, not both")
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
        part = None if self.part is None else RequestedPart(self.part.index, self.part.of)
        return TranscriptionRequest(
            self.recording, self.decoding, self.timestamps, part=part, turns=self.turns
        )

    @property
    def turns(self) -> tuple[Turn, ...] | None:
        """The caller's turns, sorted by start; None if none were given."""
        if self.diarization_segments is None:
            return None
        fields = sorted(self.diarization_segments, key=lambda field: (field.start, field.end))
        return tuple(Turn(field.start, field.end, field.speaker) for field in fields)


_Input = TypeVar("_Input", bound=AudioInput)


def parse(kind: type[_Input], job_input: object) -> _Input:
    """Read a JSON object, such as `job["input"]`, as the input of a role.

    A known field that is null counts as not given. Raise InvalidRequest with a sentence that names
    the field, the mistake, and for an unknown field the nearest known one.
    """
    if not isinstance(job_input, dict):
        raise InvalidRequest('input must be a JSON object, for example {"audio_url": "https://…"}')
    try:
        return kind.model_validate(_without_nulls(kind, job_input))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequest("; ".join(_explain(kind, detail) for detail in details[:3])) from None


def _without_nulls(kind: type[AudioInput], job_input: dict[Any, Any]) -> dict[Any, Any]:
    known = {*kind.model_fields, "timestamp"}
    return {
        name: value for name, value in job_input.items() if value is not None or name not in known
    }


def _explain(kind: type[AudioInput], detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return _unknown_field(kind, detail["loc"])
    reason = detail["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    return f"{where}: {reason[:1].lower()}{reason[1:]}" if where else reason


def _unknown_field(kind: type[AudioInput], location: tuple[str | int, ...]) -> str:
    *outer, name = (str(part)[:60] for part in location)
    known = (_NESTED[outer[0]] if outer else kind).model_fields
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{'.'.join([*outer, name])}: unknown field; {hint}"


_NESTED: dict[str, type[BaseModel]] = {"diarization_segments": TurnField, "part": Part}
