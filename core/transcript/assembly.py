"""From the models' answers to a transcript.

Times and confidences are rounded here to the three decimals that answers show. Everything else,
such as who said a word or when a subtitle ends, is derived from the rounded numbers. So the
transcript is the same whether the models ran here or in other endpoints.
"""

from __future__ import annotations

from dataclasses import replace

from core.domain.request import Edits
from core.domain.rounding import confidence, seconds
from core.domain.timeline import Character, Diarization, Transcript, Transcription, Turn, Word
from core.domain.watch import IsCancelled
from core.errors import Cancelled
from core.transcript.channels import mark_overlaps, segments_by_speaker
from core.transcript.edits import edit_warnings, edited, respelled
from core.transcript.labelling import label_words
from core.transcript.paragraphs import split_paragraphs
from core.transcript.segments import split_segments

_NO_EDITS = Edits()


def assemble(
    transcription: Transcription,
    diarization: Diarization | None,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
    cancelled: IsCancelled = lambda: False,
    edits: Edits = _NO_EDITS,
) -> Transcript:
    """Build the transcript from the models' answers, and make the edits in it.

    Without a diarization it names no speaker, unless channels are speakers.

    Raise Cancelled soon after `cancelled` returns True.
    """
    if cancelled():
        raise Cancelled("the job was cancelled before its transcript was made")
    words = tuple(map(shown_word, transcription.words))
    warnings = (*warnings, *transcription.warnings)
    num_speakers = 0
    if transcription.is_split:
        words = mark_overlaps(words)
        num_speakers = len({word.speaker for word in words})
    elif diarization is not None:
        diarization = _shown_diarization(diarization)
        words = label_words(words, diarization, cancelled=cancelled)
        warnings = (*warnings, *diarization.warnings)
        num_speakers = diarization.num_speakers
    characters = tuple(map(_shown_character, transcription.characters))
    if edits.are_wanted:
        heard, language = words, transcription.language
        words = edited(heard, edits, language, apart=transcription.is_split)
        characters = respelled(characters, heard, words)
        warnings += (*edit_warnings(edits, language),)
    segments = segments_by_speaker(words) if transcription.is_split else split_segments(words)
    return Transcript(
        duration=seconds(duration_s),
        words=words,
        segments=segments,
        paragraphs=split_paragraphs(segments),
        characters=characters,
        language=transcription.language,
        language_confidence=confidence(transcription.language_confidence),
        diarized=transcription.is_split or diarization is not None,
        num_speakers=num_speakers,
        warnings=tuple(dict.fromkeys(warnings)),
        turns=() if diarization is None else diarization.turns,
    )


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


def _shown_character(character: Character) -> Character:
    return Character(seconds(character.start), seconds(character.end), character.text)


def _shown_diarization(diarization: Diarization) -> Diarization:
    return replace(
        diarization,
        turns=tuple(map(_shown_turn, diarization.turns)),
        exclusive_turns=tuple(map(_shown_turn, diarization.exclusive_turns)),
    )


def _shown_turn(turn: Turn) -> Turn:
    return Turn(seconds(turn.start), seconds(turn.end), turn.speaker)
