"""The form in which our transcription worker answers our orchestrator.

Each word comes once, as `[start, end, text, confidence]`, with its speaker as a fifth element if
channels are speakers; characters, if asked for, as `[start, end, text]`; speech, which tells where
words are missing, as `[start, end]`, and languages as `[start, end, code]`, each with its channel's
speaker. Times are seconds with three decimals. Nothing is lost by that, because
`core.transcript.assembly` derives everything from rounded times.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.domain.rounding import confidence, seconds
from core.domain.timeline import (
    Character,
    LanguageSpan,
    Span,
    Speech,
    Transcript,
    Transcription,
    Word,
)
from core.wire.fields import Answer
from core.wire.form import WorkerFormat
from core.wire.limits import MAX_ANSWERED, MAX_ANSWERED_CHARACTERS, MAX_WARNINGS
from core.wire.usage import UsageField

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Confidence = Annotated[float, Field(allow_inf_nan=False)]
_Word = tuple[_Seconds, _Seconds, str, _Confidence | None]
_SpokenWord = tuple[_Seconds, _Seconds, str, _Confidence | None, str]
_Character = tuple[_Seconds, _Seconds, str]
_Stretch = tuple[_Seconds, _Seconds]
_SpokenStretch = tuple[_Seconds, _Seconds, str]
_Language = tuple[_Seconds, _Seconds, str]
_SpokenLanguage = tuple[_Seconds, _Seconds, str, str]


def is_compact(output: object) -> bool:
    """Tell whether an answer is in this form."""
    return isinstance(output, dict) and output.get("format") == WorkerFormat.COMPACT


def write(transcript: Transcript, *, characters: bool) -> Answer:
    """Return a transcript as plain JSON; it has no speakers unless they are channels."""
    answer: Answer = {
        "success": True,
        "format": WorkerFormat.COMPACT,
        "language": transcript.language,
        "language_confidence": transcript.language_confidence,
        "duration": seconds(transcript.duration),
        "warnings": list(transcript.warnings),
        "words": [_row(word) for word in transcript.words],
        "speech": [_stretch(speech) for speech in transcript.speech],
        "found_again": [[seconds(one.start), seconds(one.end)] for one in transcript.found_again],
        "languages": [
            [seconds(one.start), seconds(one.end), one.language, *_speaker(one)]
            for one in transcript.languages
        ],
    }
    if transcript.diarized:
        answer["is_split"] = True
    if characters:
        answer["characters"] = [_timed(character) for character in transcript.characters]
    return answer


def _row(word: Word) -> list[object]:
    return [*_timed(word), confidence(word.confidence), *_speaker(word)]


def _timed(text: Word | Character) -> list[object]:
    return [seconds(text.start), seconds(text.end), text.text]


def _stretch(speech: Speech) -> list[object]:
    return [seconds(speech.start), seconds(speech.end), *_speaker(speech)]


def _speaker(one: Word | Speech | LanguageSpan) -> list[str]:
    return [] if one.speaker is None else [one.speaker]


class Compact(BaseModel):
    """An answer that `write` wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    language: str | None
    language_confidence: _Confidence | None = None
    duration: _Seconds
    warnings: Annotated[tuple[str, ...], Field(max_length=MAX_WARNINGS, fail_fast=True)] = ()
    words: Annotated[
        tuple[_Word | _SpokenWord, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)
    ]
    characters: Annotated[
        tuple[_Character, ...], Field(max_length=MAX_ANSWERED_CHARACTERS, fail_fast=True)
    ] = ()
    speech: Annotated[
        tuple[_Stretch | _SpokenStretch, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)
    ] = ()
    found_again: Annotated[
        tuple[_Stretch, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)
    ] = ()
    languages: Annotated[
        tuple[_Language | _SpokenLanguage, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)
    ] = ()
    is_split: bool = False
    usage: UsageField | None = None

    @property
    def transcription(self) -> Transcription:
        """The speech model's answer."""
        return Transcription(
            words=tuple(Word(*one) for one in self.words),
            characters=tuple(Character(*one) for one in self.characters),
            language=self.language,
            language_confidence=self.language_confidence,
            warnings=self.warnings,
            is_split=self.is_split,
            speech=tuple(Speech(*one) for one in self.speech),
            found_again=tuple(Span(*one) for one in self.found_again),
            languages=tuple(LanguageSpan(*one) for one in self.languages),
        )
