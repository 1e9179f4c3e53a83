"""Requests: `job["input"]` parsed once, at the edge, into one typed model per role.

The table of the fields: docs/API.md.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from core.domain.timeline import Turn
from core.errors import InvalidRequest

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, le=100)]


class TranscriptFormat(StrEnum):
    """What an answer with words can look like."""

    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    DIARIZED_JSON = "diarized_json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"


class DiarizationFormat(StrEnum):
    """What an answer with speakers alone can look like."""

    JSON = "json"
    RTTM = "rttm"


class OnDiarizationError(StrEnum):
    """What the orchestrator does where the words could be had and the speakers could not."""

    FAIL = "fail"
    TRANSCRIPT_ONLY = "transcript_only"


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the recording is: an http(s) or s3 URL, a `data:` URI, or base64 text."""

    value: str

    @property
    def scheme(self) -> str | None:
        """What stands before the first colon, in lower case; None for base64 text."""
        match = _SCHEME.match(self.value)
        return match[1].lower() if match else None

    def __repr__(self) -> str:
        return "Source(…)"  # a presigned URL is a secret


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """What the caller knows about how many speakers there are; None is «not known»."""

    exact: int | None = None
    at_least: int | None = None
    at_most: int | None = None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def _is_url(text: str) -> bool:
    return "://" in text or text.lstrip().startswith("data:")


class AudioRequest(_Strict):
    """What every role is asked: a recording and, if wanted, a range of it."""

    audio: str | None = Field(default=None, repr=False)
    audio_url: str | None = Field(default=None, repr=False)
    audio_base64: str | None = Field(default=None, repr=False)
    audio_format: str | None = None
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
    def source(self) -> Source:
        """The one source that was given."""
        return Source((self.audio or self.audio_url or self.audio_base64 or "").strip())


class _Transcribing(AudioRequest):
    language: str | None = None
    response_format: TranscriptFormat = Field(default=TranscriptFormat.JSON, strict=False)
    timestamps: bool = Field(
        default=False, validation_alias=AliasChoices("timestamps", "timestamp")
    )


class _Diarizing(AudioRequest):
    num_speakers: _Count | None = None
    min_speakers: _Count | None = None
    max_speakers: _Count | None = None

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.num_speakers is not None and (
            self.min_speakers is not None or self.max_speakers is not None
        ):
            raise ValueError("give num_speakers, or min_speakers and max_speakers, not both")
        if (
            self.min_speakers is not None
            and self.max_speakers is not None
            and self.min_speakers > self.max_speakers
        ):
            raise ValueError("min_speakers is larger than max_speakers")
        return self

    @property
    def speakers(self) -> SpeakerCount:
        """What the caller knows about the number of speakers."""
        return SpeakerCount(self.num_speakers, self.min_speakers, self.max_speakers)


class SingleRequest(_Transcribing, _Diarizing):
    """What the single worker is asked."""

    diarize: bool = True


class OrchestratorRequest(SingleRequest):
    """What the orchestrator is asked."""

    on_diarization_error: OnDiarizationError = Field(default=OnDiarizationError.FAIL, strict=False)


class DiarizationRequest(_Diarizing):
    """What the diarization worker is asked."""

    response_format: DiarizationFormat = Field(default=DiarizationFormat.JSON, strict=False)


class TurnField(_Strict):
    """One element of `diarization_segments`, as the diarization worker gives them."""

    start: _Seconds
    end: _Seconds
    speaker: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("end is before start")
        return self


class Part(_Strict):
    """The i-th of n equal shares of the recording."""

    index: int = Field(ge=0)
    of: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.index >= self.of:
            raise ValueError("index counts from 0 and must be smaller than of")
        return self


class TranscriptionRequest(_Transcribing):
    """What the transcription worker is asked."""

    diarization_segments: tuple[TurnField, ...] | None = Field(default=None, strict=False)
    part: Part | None = None

    @model_validator(mode="after")
    def _part_or_range(self) -> Self:
        if self.part is not None and (self.start is not None or self.end is not None):
            raise ValueError("give part, or start and end, not both")
        return self

    @property
    def turns(self) -> tuple[Turn, ...] | None:
        """The caller's turns in order of start; None where none were given."""
        if self.diarization_segments is None:
            return None
        fields = sorted(self.diarization_segments, key=lambda field: (field.start, field.end))
        return tuple(Turn(field.start, field.end, field.speaker) for field in fields)


_Request = TypeVar("_Request", bound=AudioRequest)


def parse(kind: type[_Request], job_input: object) -> _Request:
    """Turn `job["input"]` into a request; a known field that is null counts as not given.

    Raises InvalidRequest with a sentence that names the field, what is wrong, and for an unknown
    field the nearest known one.
    """
    if not isinstance(job_input, dict):
        raise InvalidRequest('input must be a JSON object, for example {"audio_url": "https://…"}')
    given = {
        name: value
        for name, value in job_input.items()
        if value is not None or name not in {*kind.model_fields, "timestamp"}
    }
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequest("; ".join(_explain(kind, detail) for detail in details[:3])) from None


def _explain(kind: type[AudioRequest], detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return _unknown_field(kind, detail["loc"])
    reason = detail["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    return f"{where}: {reason[:1].lower()}{reason[1:]}" if where else reason


def _unknown_field(kind: type[AudioRequest], location: tuple[str | int, ...]) -> str:
    *outer, name = (str(part)[:60] for part in location)
    known = (_NESTED[outer[0]] if outer else kind).model_fields
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{'.'.join([*outer, name])}: unknown field; {hint}"


_NESTED: dict[str, type[BaseModel]] = {"diarization_segments": TurnField, "part": Part}
