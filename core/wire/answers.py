"""What the split workers answer, as values of the domain again.

The transcription worker's form is `core.wire.compact`; a worker of the version before, 0.1, answers
`verbose_json` instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.domain.timeline import Character, Diarization, Transcription, Turn, Word
from core.errors import JobFailed
from core.wire.compact import Compact, is_compact
from core.wire.openai import UNKNOWN_LANGUAGE

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(allow_inf_nan=False)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Word(_Answer):
    word: str
    start: _Seconds
    end: _Seconds
    confidence: _Share | None = None


class _Character(_Answer):
    char: str
    start: _Seconds
    end: _Seconds


class _Timestamps(_Answer):
    char: tuple[_Character, ...] = ()


class _Turn(_Answer):
    start: _Seconds
    end: _Seconds
    speaker: str


class _VerboseJson(_Answer):
    language: str
    duration: _Seconds
    warnings: tuple[str, ...] = ()
    words: tuple[_Word, ...]
    timestamps: _Timestamps = _Timestamps()


class _Turns(_Answer):
    duration: _Seconds = 0.0
    warnings: tuple[str, ...] = ()
    segments: tuple[_Turn, ...]
    exclusive_segments: tuple[_Turn, ...]


@dataclass(frozen=True, slots=True)
class TranscriptionAnswer:
    """What a transcription worker answers."""

    transcription: Transcription
    """With the warnings about the recording in front of those about the words."""
    duration: float
    """Seconds of the whole file, or up to where the range ended."""


_Kind = TypeVar("_Kind", bound=BaseModel)


def read_transcription(output: object, *, language: str | None) -> TranscriptionAnswer:
    """Return a `compact` or `verbose_json` answer, with its characters if it has any.

    `language` is what was asked for. Raise JobFailed if the answer is neither.
    """
    if is_compact(output):
        compact = _read(Compact, output, "transcription")
        return TranscriptionAnswer(compact.transcription, compact.duration)
    return _of_verbose_json(_read(_VerboseJson, output, "transcription"), language)


def _of_verbose_json(said: _VerboseJson, language: str | None) -> TranscriptionAnswer:
    """OpenAI's shape has no word for «not known»: what nobody asked for is None again."""
    is_unknown = language is None and said.language == UNKNOWN_LANGUAGE
    return TranscriptionAnswer(
        Transcription(
            words=tuple(Word(one.start, one.end, one.word, one.confidence) for one in said.words),
            characters=tuple(
                Character(one.start, one.end, one.char) for one in said.timestamps.char
            ),
            language=None if is_unknown else said.language,
            warnings=said.warnings,
        ),
        said.duration,
    )


def read_diarization(output: object) -> Diarization:
    """Return the `json` answer of a diarization worker. Raise JobFailed if it is none."""
    said = _read(_Turns, output, "diarization")
    return Diarization(
        _turns(said.segments), _turns(said.exclusive_segments), said.warnings, said.duration
    )


def _turns(said: tuple[_Turn, ...]) -> tuple[Turn, ...]:
    return tuple(Turn(one.start, one.end, one.speaker) for one in said)


def _read(kind: type[_Kind], output: object, name: str) -> _Kind:
    try:
        return kind.model_validate(output)
    except ValidationError:
        raise JobFailed(
            f"the answer of the {name} endpoint is not that of a {name} worker of this version; "
            f"check {name.upper()}_ENDPOINT_ID",
            retryable=False,
        ) from None
