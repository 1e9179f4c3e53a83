"""The models' answers put together: words and turns to a transcript.

Here times and confidences get the three decimals that answers show. All that is derived from them,
who said a word as well as where a subtitle ends, is derived from what the caller can see. So it
makes no difference whether the models ran here or in other endpoints, whose answers came over the
wire.
"""

from __future__ import annotations

from dataclasses import replace

from core.domain.rounding import confidence, seconds
from core.domain.timeline import Character, Diarization, Transcript, Transcription, Turn, Word
from core.transcript.labelling import label_words
from core.transcript.segments import split_segments


def assemble(
    transcription: Transcription,
    diarization: Diarization | None,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
) -> Transcript:
    """Put the two models' answers together; without a diarization nobody is named."""
    words = tuple(map(_shown_word, transcription.words))
    diarization = None if diarization is None else _shown_diarization(diarization)
    words = words if diarization is None else label_words(words, diarization)
    spoken = () if diarization is None else diarization.warnings
    return Transcript(
        duration=seconds(duration_s),
        words=words,
        segments=split_segments(words),
        characters=tuple(
            Character(seconds(one.start), seconds(one.end), one.text)
            for one in transcription.characters
        ),
        language=transcription.language,
        diarized=diarization is not None,
        num_speakers=0 if diarization is None else diarization.num_speakers,
        warnings=tuple(dict.fromkeys((*warnings, *transcription.warnings, *spoken))),
    )


def _shown_word(word: Word) -> Word:
    return replace(
        word,
        start=seconds(word.start),
        end=seconds(word.end),
        confidence=confidence(word.confidence),
    )


def _shown_diarization(diarization: Diarization) -> Diarization:
    ordinary, exclusive = diarization.turns, diarization.exclusive_turns
    return replace(
        diarization,
        turns=tuple(map(_shown_turn, ordinary)),
        exclusive_turns=tuple(map(_shown_turn, exclusive)),
    )


def _shown_turn(turn: Turn) -> Turn:
    return Turn(seconds(turn.start), seconds(turn.end), turn.speaker)
