"""The models' answers put together: words and turns to a transcript, the parts of a recording to the whole.

Here times and confidences get the three decimals that answers show. All that is derived from them, who said a word as well as where a
subtitle ends, is derived from what the caller can see. So it makes no difference whether the models ran here or in other endpoints, whose
answers came over the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core import merging
from core.rendering.answer import seconds, share
from core.timeline import Character, Diarization, Transcript, Transcription, Turn, Word


def assemble(
    transcription: Transcription, diarization: Diarization | None, *, duration_s: float, warnings: tuple[str, ...] = ()
) -> Transcript:
    """Put the two models' answers together; without a diarization nobody is named."""
    words = tuple(map(_shown_word, transcription.words))
    diarization = None if diarization is None else _shown_diarization(diarization)
    words = words if diarization is None else merging.label_words(words, diarization)
    spoken = () if diarization is None else diarization.warnings
    return Transcript(
        duration=seconds(duration_s),
        words=words,
        segments=merging.split_segments(words),
        characters=tuple(Character(seconds(one.start), seconds(one.end), one.text) for one in transcription.characters),
        language=transcription.language,
        diarized=diarization is not None,
        num_speakers=0 if diarization is None else diarization.num_speakers,
        warnings=_each_once((*warnings, *transcription.warnings, *spoken)),
    )


def _shown_word(word: Word) -> Word:
    return replace(word, start=seconds(word.start), end=seconds(word.end), confidence=share(word.confidence))


def _shown_diarization(diarization: Diarization) -> Diarization:
    ordinary, exclusive = diarization.turns, diarization.exclusive_turns
    return replace(diarization, turns=tuple(map(_shown_turn, ordinary)), exclusive_turns=tuple(map(_shown_turn, exclusive)))


def _shown_turn(turn: Turn) -> Turn:
    return Turn(seconds(turn.start), seconds(turn.end), turn.speaker)


def _each_once(warnings: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(warnings))


def join_parts(parts: Sequence[Transcription]) -> Transcription:
    """Put the equal shares of one recording, in their order, one after the other; of a word that two of them kept, the first.

    Shares part their words in the middle of what both hear, so that happens only where two workers differ about a word's time.
    """
    joined = parts[0]
    for part in parts[1:]:
        joined = _joined(joined, part)
    return replace(joined, language=next((part.language for part in parts if part.language), None))


def _joined(left: Transcription, right: Transcription) -> Transcription:
    words, characters = right.words, right.characters
    if left.words and words and _is_same(left.words[-1], words[0]):
        doubled, words = words[0], words[1:]
        characters = tuple(one for one in characters if one.midpoint >= doubled.end)
    return replace(
        left,
        words=left.words + words,
        characters=left.characters + characters,
        warnings=_each_once((*left.warnings, *right.warnings)),
    )


def _is_same(left: Word, right: Word) -> bool:
    """Whether both are one word: the same letters at the same time. Whoever says a word twice does so one after the other."""
    return _letters(left.text) == _letters(right.text) and left.overlap(right) > min(left.duration, right.duration) / 2


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
