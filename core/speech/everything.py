"""What was found in all utterances of a recording, as one transcription."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np

from core.domain.timeline import Character, LanguageSpan, Span, Speech, Transcription, Word
from core.media.audio import Samples
from core.media.cutting import Utterance
from core.speech.second_look import Found
from core.speech.sound import FRAME_S, levels
from core.transcript.coverage import GAP_S, gaps, united
from core.transcript.language import joined_languages
from core.transcript.seams import UtteranceWords, join_words

SOUND_DBFS = -40.0
SOUND_S = 1.0
"""Warn of an utterance without words if more than this is louder than `SOUND_DBFS`.

Speech in a recording of usual level has -30..-15 dBFS.
"""

_Timed = TypeVar("_Timed", Span, LanguageSpan)
_Said = TypeVar("_Said", Word, Character)


class Everything:
    """What was found in the utterances of one recording, which may come in any order."""

    def __init__(self) -> None:
        self._words: list[UtteranceWords] = []
        self._speech: list[Span] = []
        self._found_again: list[Span] = []
        self._missed: list[Span] = []
        self._languages: list[LanguageSpan] = []

    def add(self, found: Iterable[Found]) -> list[UtteranceWords]:
        """Add utterances, and return their words in order."""
        words = []
        for one in sorted(found, key=lambda one: one.utterance.start):
            words.append(_in_the_recording(one))
            self._speech += _placed(one.speech, one.utterance)
            self._found_again += _placed(one.found_again, one.utterance)
            self._languages += _placed(one.recognition.languages, one.utterance)
            if _is_missed(one):
                self._missed.append(one.utterance.span)
        self._words += words
        return words

    def joined(self, language: str | None, warnings: Iterable[str] = ()) -> Transcription:
        """Return all of it as one, with warnings in front of its own."""
        in_order = sorted(self._words, key=lambda piece: piece.span.start)
        words, characters = join_words(in_order)
        missed = _warnings([one.span for one in in_order], frozenset(self._missed))
        return Transcription(
            words,
            characters,
            language,
            (*warnings, *missed),
            speech=tuple(Speech(one.start, one.end) for one in united(self._speech)),
            found_again=tuple(united(self._found_again)),
            languages=joined_languages(self._languages),
        )


def _in_the_recording(found: Found) -> UtteranceWords:
    here, utterance = found.recognition, found.utterance
    later_s = [_later_s(word, utterance) for word in here.words]
    words = tuple(map(_moved, here.words, later_s))
    characters = tuple(
        tuple(_moved(one, by_s) for one in letters)
        for letters, by_s in zip(here.characters, later_s, strict=False)
    )
    return UtteranceWords(utterance.span, words, characters)


def _later_s(word: Word, utterance: Utterance) -> float:
    """Return how much later a word is in the recording.

    Its middle decides: so no word lasts over silence that was left out.
    """
    return utterance.at(word.midpoint) - word.midpoint


def _moved(one: _Said, by_s: float) -> _Said:
    return replace(one, start=one.start + by_s, end=one.end + by_s)


def _placed(timed: Iterable[_Timed], utterance: Utterance) -> tuple[_Timed, ...]:
    at = utterance.at
    return tuple(replace(one, start=at(one.start), end=at(one.end)) for one in timed)


def _is_missed(found: Found) -> bool:
    """Tell whether there is sound but no word, and not because of a gap, which is told later."""
    is_wordless = not found.recognition.words and _has_sound(found.utterance.samples)
    return is_wordless and not gaps(found.speech, (), least_s=GAP_S)


def _has_sound(samples: Samples) -> bool:
    """Tell whether more than `SOUND_S` is louder than `SOUND_DBFS`, by frames of 10 ms."""
    return bool(np.count_nonzero(levels(samples) > SOUND_DBFS) * FRAME_S > SOUND_S)


def _warnings(spans: Iterable[Span], missed: frozenset[Span]) -> Iterator[str]:
    """Name each stretch of sound in which no word was found."""
    for is_missed, group in itertools.groupby(spans, key=missed.__contains__):
        stretch = list(group)
        if is_missed:
            where = f"between {stretch[0].start:.1f} s and {stretch[-1].end:.1f} s"
            yield f"no words were found {where}, where there is sound; it may be music or noise"
