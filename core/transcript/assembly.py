"""From the models' answers to a transcript.

Times and confidences are rounded here to the three decimals that answers show. Everything else,
such as who said a word or when a subtitle ends, is derived from the rounded numbers. So the
transcript is the same whether the models ran here or in other endpoints.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from core.domain.request import Edits, Task
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
from core.transcript.coverage import clipped, coverage, found_again
from core.transcript.edits import edit_warnings, edited, respelled
from core.transcript.labelling import label_words
from core.transcript.language import Languages
from core.transcript.paragraphs import split_paragraphs
from core.transcript.segments import split_segments

_NO_EDITS = Edits()
EVERYTHING = Span(-inf, inf)
"""The stretch of words that are of the whole recording."""


def assemble(
    transcription: Transcription,
    diarization: Diarization | None,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
    cancelled: IsCancelled = lambda: False,
    edits: Edits = _NO_EDITS,
    own: Span = EVERYTHING,
    task: Task = Task.TRANSCRIBE,
) -> Transcript:
    """Build the transcript from the models' answers, and make the edits in it.

    Without a diarization it names no speaker, unless channels are speakers. `own` is the stretch
    of the recording that the words are of, if the turns are of more. `task` tells the language in
    which they are written.

    Raise Cancelled soon after `cancelled` returns True.
    """
    if cancelled():
        raise Cancelled("the job was cancelled before its transcript was made")
    said = shown(transcription)
    spoken = None if diarization is None or said.is_split else shown_diarization(diarization)
    held = coverage(said, clipped(() if spoken is None else spoken.turns, own))
    again = tuple(found_again(said))
    words, num_speakers = _labelled(said, spoken, cancelled)
    told = (*warnings, *said.warnings, *(() if spoken is None else spoken.warnings))
    characters = said.characters
    if edits.are_wanted:
        labelled, languages = words, _written_in(said, task)
        words = edited(labelled, edits, languages, apart=said.is_split)
        characters = respelled(characters, labelled, words)
        told = (*told, *edit_warnings(edits, labelled, languages))
    segments = segments_by_speaker(words) if said.is_split else split_segments(words)
    return Transcript(
        duration=seconds(duration_s),
        words=words,
        segments=segments,
        paragraphs=split_paragraphs(segments),
        characters=characters,
        language=said.language,
        language_confidence=confidence(said.language_confidence),
        diarized=said.is_split or spoken is not None,
        num_speakers=num_speakers,
        warnings=tuple(dict.fromkeys(told)),
        turns=() if spoken is None else spoken.turns,
        voices=None if spoken is None else spoken.voices,
        speech=said.speech,
        found_again=again,
        languages=said.languages,
        repaired=len(again),
        coverage=held.share,
        gaps=held.gaps,
        is_split=said.is_split,
    )


def _written_in(said: Transcription, task: Task) -> Languages:
    """Return the languages of the text, whatever was spoken."""
    is_english = task is Task.TRANSLATE
    return Languages("en") if is_english else Languages(said.language, said.languages)


def _labelled(
    said: Transcription, spoken: Diarization | None, cancelled: IsCancelled
) -> tuple[tuple[Word, ...], int]:
    """Return the words with their speakers, if any, and how many speakers there are."""
    if said.is_split:
        return mark_overlaps(said.words), len({word.speaker for word in said.words})
    if spoken is None:
        return said.words, 0
    return label_words(said.words, spoken, cancelled=cancelled), spoken.num_speakers


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
        languages=tuple(
            replace(one, start=seconds(one.start), end=seconds(one.end))
            for one in transcription.languages
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
