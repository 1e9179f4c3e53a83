"""A second look at speech in which no word was found.

Parakeet drops whole stretches, and others if the same sound begins at another place; Whisper leaves
out what follows a pause or is in another language. So such a stretch is heard again, alone: first
from its beginning on, then with some of the sound on both sides. Each finds what the other misses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

from core.domain.timeline import Character, Span, Word
from core.media.audio import SAMPLE_RATE
from core.media.cutting import Utterance
from core.speech.batching import Decoded
from core.speech.engine import Recognition
from core.speech.sound import speech
from core.transcript.coverage import gaps
from core.transcript.filling import AROUND_S, Gap
from core.transcript.word_spans import spoken_end


@dataclass(frozen=True, slots=True)
class Care:
    """When to look again, and what to believe of it."""

    least_s: float
    """Seconds of speech without a word that are heard again."""
    likely: float = 0.0
    """An utterance is not heard again if half of its words have less confidence, 0..1: it is no
    speech.
    """
    sure: float = 0.0
    """Words in an utterance without others are taken if half of them have so much confidence,"""
    fair: float = 0.0
    """or so much among others, 0..1,"""
    full: float = 0.0
    """and they last for so much of the gap, 0..1."""

    def doubts(self, found: Recognition) -> bool:
        """Tell whether words of an utterance were made of something else than speech."""
        return _confidence(found.words) < self.likely

    def trusts(self, words: Sequence[Word], gap: Span, among: Recognition) -> bool:
        """Tell whether words that were found in a gap of an utterance were said there."""
        is_full = sum(word.duration for word in words) >= self.full * gap.duration
        return is_full and _confidence(words) >= (self.fair if among.words else self.sure)


def _confidence(words: Sequence[Word]) -> float:
    """Return the median of the words' confidences; 1 if there are none."""
    return median([word.confidence for word in words if word.confidence is not None] or [1.0])


CARE = Care(0.6, likely=0.5, sure=0.7, fair=0.2, full=0.2)
"""For models that write something for any sound.

In 17 minutes of dialogues one stretch of speech without a word lasts 0.9 s, six have 0.5 to 0.8 s.
In 40 minutes of noise and music 100 pieces of text were found: the median confidence of one was
0.77, in a tenth of its gap, and of all others at most 0.55; the words beside them had at most 0.38.
Of 108 in speech it was 0.76 or more for all but ten, and all but four of those filled a third of
their gap; the words beside them had 1.0.
"""
CARE_OF_WINDOWS = Care(1.5)
"""For models to which a second costs as much as half a minute, and that check what they write."""

MOST_SHARE = 0.2
"""How much of a recording is heard again at most; music and noise would have all of it."""
MOST_OF_SHORT_S = 30.0
"""So many seconds are heard again however short the recording is: all may have been dropped."""

_PAUSE_S = 2.0
"""A longer pause parts two gaps; a short word after a shorter one is heard with what is before."""
_LEAD_S = 0.3
"""Else what is left of the word before sounds like a word."""
_SHIFT_S = 0.02
_AFTER_S = 1.0
"""What follows a gap tells the model how its last word ends."""
_Timed = TypeVar("_Timed", Word, Character)
_Decode = Callable[[Sequence[Utterance]], Iterable[list[Decoded]]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in an utterance; times are seconds from its start."""

    utterance: Utterance
    recognition: Recognition
    speech: tuple[Span, ...]
    """What sounds like speech, whether it has words or not; sorted and disjoint."""
    found_again: tuple[Span, ...] = ()
    """The words that a second look found, from the first to the last of each gap."""

    def gaps(self, least_s: float) -> list[Gap]:
        """Return the stretches with at least so many seconds of speech without a word.

        Before the first word and after the last one half of it is enough: the other half may be in
        the utterance beside this one.
        """
        words = self.recognition.words
        missing = partial(gaps, self.speech, words, pause_s=_PAUSE_S)
        found = [Gap.between(words, gap) for gap in missing(least_s=least_s / 2)]
        if not found:
            return []
        long = missing(least_s=least_s)
        return [gap for gap in found if gap.speech in long or (words and gap.is_outside)]

    def filled(self, gap: Gap, start_s: float, more: Recognition, care: Care) -> Found:
        """Return it with those words that belong into a gap, if they can be trusted.

        `more` is of a piece that begins `start_s` seconds after the utterance.
        """
        words = [_moved(word, start_s) for word in more.words]
        taken = gap.own(words)
        own = tuple(words[taken])
        if not own or not care.trusts(own, gap.speech, self.recognition):
            return self
        spelled = [tuple(_moved(one, start_s) for one in word) for word in more.characters[taken]]
        here, at = self.recognition, gap.at
        filled = replace(
            here,
            words=here.words[:at] + own + here.words[at:],
            characters=(*here.characters[:at], *spelled, *here.characters[at:]),
        )
        place = Span(own[0].start, spoken_end(own[-1]))
        return replace(self, recognition=filled, found_again=(*self.found_again, place))


def _from_its_start(gap: Gap) -> Span:
    return Span(gap.speech.start - _LEAD_S, gap.speech.end + _AFTER_S)


def _around(gap: Gap) -> Span:
    return Span(gap.speech.start - AROUND_S, gap.speech.end + AROUND_S)


class SecondLook:
    """Hears again what one recording lacks, and no more than a share of it."""

    def __init__(self, decode: _Decode, care: Care) -> None:
        """Hear with `decode`."""
        self._decode = decode
        self._care = care
        self._heard_s = 0.0
        self._again_s = 0.0

    def complete(self, decoded: Iterable[Decoded]) -> list[Found]:
        """Return utterances with the words that a second look at their gaps finds.

        Raise what `decode` raises.
        """
        found = [
            Found(utterance, recognition, tuple(speech(utterance.samples)))
            for utterance, recognition in decoded
        ]
        self._heard_s += sum(one.utterance.duration for one in found)
        for window in (_from_its_start, _around):
            found = self._filled(found, window)
        return found

    def _filled(self, found: Sequence[Found], window: Callable[[Gap], Span]) -> list[Found]:
        pieces = self._affordable(
            _Piece(index, gap, _cut(one.utterance, window(gap)))
            for index, one in enumerate(found)
            if not self._care.doubts(one.recognition)
            for gap in one.gaps(self._care.least_s)
        )
        if not pieces:
            return list(found)
        together = self._decode([piece.sound for piece in pieces])
        heard = {id(sound): more for batch in together for sound, more in batch}
        filled = list(found)
        # From the last gap on: so those before it keep their places among the words.
        for piece in sorted(pieces, key=lambda piece: -piece.gap.speech.start):
            one = filled[piece.index]
            start_s = piece.sound.start - one.utterance.start
            more = heard[id(piece.sound)]
            filled[piece.index] = one.filled(piece.gap, start_s, more, self._care)
        return filled

    def _affordable(self, pieces: Iterable[_Piece]) -> list[_Piece]:
        """Return as many pieces as may be heard again, the shortest first: music is long."""
        affordable = []
        most_s = max(MOST_OF_SHORT_S, MOST_SHARE * self._heard_s)
        for piece in sorted(pieces, key=lambda piece: piece.sound.duration):
            if self._again_s + piece.sound.duration > most_s:
                break
            self._again_s += piece.sound.duration
            affordable.append(piece)
        return affordable


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of an utterance that is heard again for the sake of a gap."""

    index: int
    """That of the utterance."""
    gap: Gap
    sound: Utterance


def _cut(utterance: Utterance, window: Span) -> Utterance:
    start_s = max(0.0, window.start)
    if start_s == 0.0 and window.end >= utterance.duration:
        # The same sound from the same place on would lose the same words; ten milliseconds matter.
        start_s = _SHIFT_S - 0.1 * window.start
    first = round(start_s * SAMPLE_RATE)
    samples = utterance.samples[first : round(window.end * SAMPLE_RATE)]
    return Utterance(samples, utterance.start + first / SAMPLE_RATE)


def _moved(one: _Timed, by_s: float) -> _Timed:
    return replace(one, start=round(one.start + by_s, 6), end=round(one.end + by_s, 6))
