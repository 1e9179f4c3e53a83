"""The answers of endpoints and of servers with OpenAI's API: verbose_json, read as a transcript."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.domain.rounding import confidence, seconds
from core.domain.timeline import LanguageSpan, Speech, Transcript, Turn, Word, gap_warnings
from core.errors import EndpointRefused
from core.transcript.channels import segments_by_speaker
from core.transcript.paragraphs import split_paragraphs
from core.transcript.segments import split_segments
from core.wire import usage
from core.wire.fields import one_line
from core.wire.limits import MAX_ANSWERED, MAX_WARNINGS
from core.wire.openai import UNKNOWN_LANGUAGE

_JOINED_S = 0.5
"""Words of one speaker that are closer than this are one turn."""

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(allow_inf_nan=False)] | None


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Word(_Answer):
    word: str
    start: _Seconds
    end: _Seconds
    confidence: _Share = None
    speaker: str | None = None
    speaker_confidence: _Share = None
    overlap: bool = False
    nearest: bool = False


class _Stretch(_Answer):
    start: _Seconds
    end: _Seconds
    speaker: str | None = None


class _Language(_Stretch):
    language: str


class _VerboseJson(_Answer):
    language: str | None = None
    language_confidence: _Share = None
    duration: _Seconds
    num_speakers: int | None = None
    warnings: Annotated[tuple[str, ...], Field(max_length=MAX_WARNINGS)] = ()
    words: Annotated[tuple[_Word, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)]
    coverage: _Share = None
    gaps: Annotated[tuple[_Stretch, ...], Field(max_length=MAX_ANSWERED, fail_fast=True)] = ()
    languages: Annotated[tuple[_Language, ...], Field(max_length=MAX_ANSWERED)] = ()
    repaired: int = 0
    usage: object = None


def read(answer: object, *, name: str, is_split: bool = False) -> Transcript:
    """Return the transcript in an answer. Raise EndpointRefused if there are no words in it.

    The turns are those of the words: the answer has no others. `name` is for the message, and
    `is_split` tells that channels are speakers.
    """
    try:
        said = _VerboseJson.model_validate(answer)
    except ValidationError:
        raise EndpointRefused(
            f"the answer of {name} has no words with times; it must answer verbose_json"
        ) from None
    words = tuple(word for word in map(_word, said.words) if word.text)
    segments = segments_by_speaker(words) if is_split else split_segments(words)
    gaps = tuple(Speech(one.start, one.end, one.speaker) for one in said.gaps)
    return Transcript(
        duration=seconds(said.duration),
        words=words,
        segments=segments,
        paragraphs=split_paragraphs(segments),
        language=None if said.language == UNKNOWN_LANGUAGE else said.language,
        language_confidence=confidence(said.language_confidence),
        diarized=said.num_speakers is not None or any(word.speaker for word in words),
        num_speakers=said.num_speakers or len({word.speaker for word in words} - {None}),
        warnings=tuple(one for one in said.warnings if one not in gap_warnings(gaps)),
        turns=turns_of(words, is_split=is_split),
        is_split=is_split,
        repaired=said.repaired,
        coverage=said.coverage,
        gaps=gaps,
        languages=tuple(
            LanguageSpan(one.start, one.end, one.language, one.speaker) for one in said.languages
        ),
        usage=usage.from_openai(said.usage),
    )


def _word(one: _Word) -> Word:
    return Word(
        seconds(one.start),
        max(seconds(one.start), seconds(one.end)),
        one_line(one.word),  # some servers have the blank before it in it
        confidence(one.confidence),
        one.speaker,
        one.speaker_confidence,
        one.overlap,
        one.nearest,
    )


def turns_of(words: Sequence[Word], *, is_split: bool) -> tuple[Turn, ...]:
    """Return what each speaker says in one go, in order of start.

    Words that nobody is known to say are left out. If channels are speakers, nobody's turn ends
    because another speaks.
    """
    if not is_split:
        return tuple(_turns(words))
    by_speaker = sorted(words, key=lambda word: word.speaker or "")
    return tuple(sorted(_turns(by_speaker), key=lambda turn: turn.start))


def _turns(words: Sequence[Word]) -> Iterator[Turn]:
    for speaker, run in groupby(words, key=attrgetter("speaker")):
        if speaker is None:
            continue
        turn: Turn | None = None
        for word in run:
            if turn is not None and word.start - turn.end > _JOINED_S:
                yield turn
                turn = None
            turn = Turn(turn.start if turn else word.start, word.end, speaker)
        if turn is not None:
            yield turn
