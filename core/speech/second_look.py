"""A second look at speech in which no word was found.

Parakeet drops whole stretches, and others if the same sound begins at another place; Whisper leaves
out what follows a pause or is in another language. So such a stretch is heard again, alone: first
from its beginning on, then with some of the sound on both sides. Each finds what the other misses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from core.domain.timeline import Character, Span, Word
from core.media.audio import SAMPLE_RATE
from core.media.cutting import Utterance
from core.speech.batching import Decoded
from core.speech.engine import Recognition
from core.speech.sound import speech
from core.transcript.coverage import gaps
from core.transcript.word_spans import spoken_end

AGAIN_S = 0.6
"""Seconds of speech without a word that are heard again."""
AGAIN_IN_WINDOWS_S = 1.5
"""The same for a model to which a second costs as much as half a minute."""
MOST_SHARE = 0.2
"""How much of a recording is heard again at most; music and noise would have all of it."""
MOST_OF_SHORT_S = 30.0
"""So many seconds are heard again however short the recording is: all may have been dropped."""

_LEAD_S = 0.1
"""Speech begins a little before it is loud."""
_AFTER_S = 1.0
"""What follows a gap tells the model how its last word ends."""
_AROUND_S = 0.5
_EDGE_S = 0.08
"""One step of a Parakeet encoder: so far a word may be from its place."""

_Timed = TypeVar("_Timed", Word, Character)
_Decode = Callable[[Sequence[Utterance]], Iterable[list[Decoded]]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in an utterance; times are seconds from its start."""

    utterance: Utterance
    recognition: Recognition
    speech: tuple[Span, ...]
    """What sounds like speech, whether it has words or not; sorted and disjoint."""
    repaired: tuple[Span, ...] = ()
    """The words that a second look found, from the first to the last of each gap."""

    def gaps(self, least_s: float) -> list[_Gap]:
        """Return the stretches with at least so many seconds of speech without a word."""
        words = self.recognition.words
        return [_Gap.between(words, gap) for gap in gaps(self.speech, words, least_s=least_s)]

    def filled(self, gap: _Gap, start_s: float, more: Recognition) -> Found:
        """Return it with those words that belong into a gap.

        `more` is of a piece that begins `start_s` seconds after the utterance.
        """
        words = [_moved(word, start_s) for word in more.words]
        taken = gap.own(words)
        if not taken:
            return self
        here, at = self.recognition, gap.at
        characters = more.characters[taken.start : taken.stop]
        spelled = tuple(tuple(_moved(one, start_s) for one in word) for word in characters)
        own = tuple(words[taken.start : taken.stop])
        return replace(
            self,
            recognition=replace(
                here,
                words=here.words[:at] + own + here.words[at:],
                characters=here.characters[:at] + spelled + here.characters[at:],
            ),
            repaired=(*self.repaired, Span(own[0].start, spoken_end(own[-1]))),
        )


@dataclass(frozen=True, slots=True)
class _Gap:
    speech: Span
    """From the first to the last speech."""
    free: Span
    """From the word before it to the word after it."""
    at: int
    """How many words of the utterance come before it."""
    before: str = ""
    after: str = ""
    """The letters of the words beside it."""

    @classmethod
    def between(cls, words: Sequence[Word], speech: Span) -> _Gap:
        """Find the words beside a gap of an utterance."""
        at = bisect_left(words, speech.midpoint, key=lambda word: word.start)
        before, after = words[:at], words[at:]
        free = Span(
            max(map(spoken_end, before), default=0.0),
            min((word.start for word in after), default=float("inf")),
        )
        return cls(
            speech,
            free,
            at,
            before[-1].letters if before else "",
            after[0].letters if after else "",
        )

    def own(self, words: Sequence[Word]) -> range:
        """Return which of the words lie inside, without such as only repeat those beside it."""
        inside = [index for index, word in enumerate(words) if self._holds(word)]
        while inside and words[inside[0]].letters in ("", self.before):
            del inside[0]
        while inside and words[inside[-1]].letters in ("", self.after):
            del inside[-1]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    def _holds(self, word: Word) -> bool:
        is_behind = word.start >= self.free.start - _EDGE_S
        return is_behind and spoken_end(word) <= self.free.end + _EDGE_S


def _from_its_start(gap: _Gap) -> Span:
    return Span(
        max(gap.speech.start - _LEAD_S, min(gap.free.start, gap.speech.start)),
        gap.speech.end + _AFTER_S,
    )


def _around(gap: _Gap) -> Span:
    return Span(gap.speech.start - _AROUND_S, gap.speech.end + _AROUND_S)


class SecondLook:
    """Hears again what one recording lacks, and no more than a share of it."""

    def __init__(self, decode: _Decode, *, least_s: float) -> None:
        """Hear gaps of at least so many seconds of speech with `decode`."""
        self._decode = decode
        self._least_s = least_s
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

    def _filled(self, found: Sequence[Found], window: Callable[[_Gap], Span]) -> list[Found]:
        pieces = self._affordable(
            _Piece(index, gap, _cut(one.utterance, window(gap)))
            for index, one in enumerate(found)
            for gap in one.gaps(self._least_s)
        )
        if not pieces:
            return list(found)
        together = self._decode([piece.sound for piece in pieces])
        heard = {id(sound): more for batch in together for sound, more in batch}
        filled = list(found)
        # From the last gap on: so those before it keep their places among the words.
        for piece in sorted(pieces, key=lambda piece: -piece.gap.at):
            one = filled[piece.index]
            start_s = piece.sound.start - one.utterance.start
            filled[piece.index] = one.filled(piece.gap, start_s, heard[id(piece.sound)])
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
    gap: _Gap
    sound: Utterance


def _cut(utterance: Utterance, window: Span) -> Utterance:
    first = max(0, round(window.start * SAMPLE_RATE))
    samples = utterance.samples[first : round(window.end * SAMPLE_RATE)]
    return Utterance(samples, utterance.start + first / SAMPLE_RATE)


def _moved(one: _Timed, by_s: float) -> _Timed:
    return replace(one, start=round(one.start + by_s, 6), end=round(one.end + by_s, 6))
