"""The answers of the split workers, read back into values of the domain.

The transcription worker answers in the form of `core.wire.compact`; a worker of the previous
version, 0.1, answers `verbose_json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.domain.parts import DiarizedPart, Likeness
from core.domain.timeline import Character, Diarization, Span, Transcription, Turn, Voice, Word
from core.domain.usage import Usage
from core.errors import EndpointRefused
from core.wire.compact import Compact, is_compact
from core.wire.limits import (
    MAX_ANSWERED,
    MAX_ANSWERED_CHARACTERS,
    MAX_KNOWN_SPEAKERS,
    MAX_SPEAKERS,
    MAX_VECTOR,
    MAX_WARNINGS,
)
from core.wire.openai import UNKNOWN_LANGUAGE
from core.wire.usage import UsageField

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Confidence = Annotated[float, Field(allow_inf_nan=False)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Word(_Answer):
    word: str
    start: _Seconds
    end: _Seconds
    confidence: _Confidence | None = None


class _Character(_Answer):
    char: str
    start: _Seconds
    end: _Seconds


class _Timestamps(_Answer):
    char: Annotated[
        tuple[_Character, ...], Field(max_length=MAX_ANSWERED_CHARACTERS, fail_fast=True)
    ] = ()


class _Turn(_Answer):
    start: _Seconds
    end: _Seconds
    speaker: str


class _Embedding(_Answer):
    speaker: str
    seconds: _Seconds
    model: str
    vector: Annotated[tuple[_Confidence, ...], Field(max_length=MAX_VECTOR, fail_fast=True)]


class _Vector(_Answer):
    model: str
    vector: Annotated[tuple[_Confidence, ...], Field(max_length=MAX_VECTOR, fail_fast=True)]


class _Known(_Answer):
    name: str
    embedding: _Vector


class _Likeness(_Answer):
    linking: _Confidence
    threshold: _Confidence
    margin: _Confidence


_Warnings = Annotated[tuple[str, ...], Field(max_length=MAX_WARNINGS, fail_fast=True)]
_SomeVoices = Annotated[tuple[_Embedding, ...], Field(max_length=MAX_SPEAKERS, fail_fast=True)]
_SomeTurns = Annotated[tuple[_Turn, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)]


class _VerboseJson(_Answer):
    language: str
    duration: _Seconds
    warnings: _Warnings = ()
    words: Annotated[tuple[_Word, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)]
    timestamps: _Timestamps = _Timestamps()


class _Turns(_Answer):
    duration: _Seconds = 0.0
    warnings: _Warnings = ()
    segments: _SomeTurns
    exclusive_segments: _SomeTurns
    usage: UsageField | None = None
    embeddings: _SomeVoices | None = None


class _Part(_Answer):
    start: _Seconds
    end: _Seconds
    heard_start: _Seconds
    heard_end: _Seconds
    margin_segments: _SomeTurns
    likeness: _Likeness
    known_speakers: Annotated[tuple[_Known, ...], Field(max_length=MAX_KNOWN_SPEAKERS)] = ()


class _PartTurns(_Turns):
    embeddings: _SomeVoices
    part: _Part


@dataclass(frozen=True, slots=True)
class TranscriptionAnswer:
    """The answer of a transcription worker."""

    transcription: Transcription
    """Its warnings are those about the recording, then those about the words."""
    duration: float
    """Seconds from the start of the file to the end of what was decoded."""
    usage: Usage | None = None
    """None from a worker of a version that does not tell."""


_Kind = TypeVar("_Kind", bound=BaseModel)


def read_transcription(output: object, *, language: str | None) -> TranscriptionAnswer:
    """Read a `compact` or `verbose_json` answer, with its characters if it has any.

    `language` is the one that was asked for. Raise EndpointRefused if the answer has neither form.
    """
    if is_compact(output):
        compact = _read(Compact, output, "transcription")
        return TranscriptionAnswer(compact.transcription, compact.duration, _usage(compact.usage))
    return _of_verbose_json(_read(_VerboseJson, output, "transcription"), language)


def _of_verbose_json(answer: _VerboseJson, language: str | None) -> TranscriptionAnswer:
    """Undo what OpenAI's shape changes: it cannot say that a language is unknown."""
    is_unknown = language is None and answer.language == UNKNOWN_LANGUAGE
    characters = answer.timestamps.char
    transcription = Transcription(
        words=tuple(Word(one.start, one.end, one.word, one.confidence) for one in answer.words),
        characters=tuple(Character(one.start, one.end, one.char) for one in characters),
        language=None if is_unknown else answer.language,
        warnings=answer.warnings,
    )
    return TranscriptionAnswer(transcription, answer.duration)


def read_diarization(output: object) -> Diarization:
    """Read the `json` answer of a diarization worker. Raise EndpointRefused if it is none."""
    return Diarization(**_said(_read(_Turns, output, "diarization")))


def read_part(output: object) -> DiarizedPart:
    """Read the `json` answer about a part. Raise EndpointRefused if it is none."""
    answer = _read(_PartTurns, output, "diarization")
    part, likeness = answer.part, answer.part.likeness
    return DiarizedPart(
        **_said(answer),
        own=Span(part.start, part.end),
        heard=Span(part.heard_start, part.heard_end),
        margins=_turns(part.margin_segments),
        likeness=Likeness(likeness.linking, likeness.threshold, likeness.margin),
        known=tuple(
            Voice(one.embedding.model, one.embedding.vector, one.name)
            for one in part.known_speakers
        ),
    )


def _said(answer: _Turns) -> dict[str, Any]:
    """Return the fields of a `Diarization`."""
    return {
        "turns": _turns(answer.segments),
        "exclusive_turns": _turns(answer.exclusive_segments),
        "warnings": answer.warnings,
        "duration": answer.duration,
        "usage": _usage(answer.usage),
        "voices": _voices(answer.embeddings),
    }


def _usage(told: UsageField | None) -> Usage | None:
    return None if told is None else told.usage


def _voices(embeddings: tuple[_Embedding, ...] | None) -> tuple[Voice, ...] | None:
    if embeddings is None:
        return None
    return tuple(Voice(one.model, one.vector, one.speaker, one.seconds) for one in embeddings)


def _turns(segments: tuple[_Turn, ...]) -> tuple[Turn, ...]:
    return tuple(Turn(one.start, one.end, one.speaker) for one in segments)


def _read(kind: type[_Kind], output: object, name: str) -> _Kind:
    try:
        return kind.model_validate(output)
    except ValidationError:
        raise EndpointRefused(
            f"the answer of the {name} endpoint is not that of a {name} worker of this version; "
            f"check {name.upper()}_ENDPOINT_ID"
        ) from None
