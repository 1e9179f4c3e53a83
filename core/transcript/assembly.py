"""From the models' answers to a transcript.

Times and confidences are rounded here to the three decimals that answers show. Everything else,
such as who said a word or when a subtitle ends, is derived from the rounded numbers. So the
transcript is the same whether the models ran here or in other endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf

from core.domain.rounding import confidence, seconds
from core.domain.timeline import (
    Character,
    Diarization,
    Span,
    Speech,
    Transcript,
    Transcription,
    Turn,
    Word,
)
from core.domain.watch import IsCancelled
from core.errors import Cancelled
from core.transcript.channels import mark_overlaps, segments_by_speaker
from core.transcript.coverage import coverage, found_again
from core.transcript.labelling import label_words
from core.transcript.segments import split_segments

EVERYTHING = Span(-inf, inf)
"""The stretch of words that are of the whole recording."""


def assemble(
    transcription: Transcription,
    diarization: Diarization | None,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
    cancelled: IsCancelled = lambda: False,
    own: Span = EVERYTHING,
) -> Transcript:
    """Build the transcript from the models' answers.

    Without a diarization it names no speaker, unless channels are speakers. `own` is the stretch
    of the recording that the words are of, if the turns are of more.

    Raise Cancelled soon after `cancelled` returns True.
    """
    if cancelled():
        raise Cancelled("the job was cancelled before its transcript was made")
    transcription = shown(transcription)
    words = transcription.words
    warnings = (*warnings, *transcription.warnings)
    num_speakers = 0
    if transcription.is_split:
        words = mark_overlaps(words)
        num_speakers = len({word.speaker for word in words})
    elif diarization is not None:
        diarization = shown_diarization(diarization)
        words = label_words(words, diarization, cancelled=cancelled)
        warnings = (*warnings, *diarization.warnings)
        num_speakers = diarization.num_speakers
    turns = () if diarization is None else diarization.turns
    words_cover = coverage(transcription, _within(turns, own))
    again = tuple(found_again(transcription))
    return Transcript(
        duration=seconds(duration_s),
        words=words,
        segments=segments_by_speaker(words) if transcription.is_split else split_segments(words),
        characters=transcription.characters,
        language=transcription.language,
        diarized=transcription.is_split or diarization is not None,
        num_speakers=num_speakers,
        warnings=tuple(dict.fromkeys(warnings)),
        turns=turns,
        speech=transcription.speech,
        found_again=again,
        repaired=len(again),
        coverage=words_cover.share,
        gaps=words_cover.gaps,
    )


def _within(turns: Iterable[Turn], own: Span) -> Iterator[Span]:
    for turn in turns:
        if turn.overlap(own) > 0:
            yield Span(max(turn.start, own.start), min(turn.end, own.end))


def without_speakers(code: str) -> str:
    """Return the warning of a transcript whose speakers could not be found."""
    return f"no speakers: diarization failed with {code}; this is the transcript alone"


def shown_word(word: Word) -> Word:
    """Return a word with its times and confidence as answers show them."""
    return replace(
        word,
        start=seconds(word.start),
        end=seconds(word.end),
        confidence=confidence(word.confidence),
    )


def shown(transcription: Transcription) -> Transcription:
    """Return the words and the speech of an answer as answers show them."""
    return replace(
        transcription,
        words=tuple(map(shown_word, transcription.words)),
        characters=tuple(map(_shown_character, transcription.characters)),
        speech=tuple(
            Speech(seconds(one.start), seconds(one.end), one.speaker)
            for one in transcription.speech
        ),
        found_again=tuple(
            Span(seconds(one.start), seconds(one.end)) for one in transcription.found_again
        ),
    )


def _shown_character(character: Character) -> Character:
    return Character(seconds(character.start), seconds(character.end), character.text)


def shown_diarization(diarization: Diarization) -> Diarization:
    """Return turns as answers show them."""
    return replace(
        diarization,
        turns=tuple(map(_shown_turn, diarization.turns)),
        exclusive_turns=tuple(map(_shown_turn, diarization.exclusive_turns)),
    )


def _shown_turn(turn: Turn) -> Turn:
    return Turn(seconds(turn.start), seconds(turn.end), turn.speaker)
