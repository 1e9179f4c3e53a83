"""A speech model as the rest of the worker sees it, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.request import Decoding
from core.domain.timeline import Character, LanguageSpan, Word
from core.media.audio import Samples


@dataclass(frozen=True, slots=True)
class Guess:
    """The language that a model hears."""

    language: str
    """ISO 639-1 code."""
    probability: float
    """0..1."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """The words of one array; times are seconds from its start, sorted and inside it."""

    words: tuple[Word, ...] = ()
    characters: tuple[tuple[Character, ...], ...] = ()
    """One tuple per word, within its span; empty if the tokens do not spell the text letter by
    letter.
    """
    guess: Guess | None = None
    """The language of these words, if the model was left to detect it."""
    is_mixed: bool = False
    """They are in several languages, and each stretch was heard in its own."""
    stretches: tuple[LanguageSpan, ...] = ()
    """Those stretches, from their first words to their last."""

    @property
    def languages(self) -> tuple[LanguageSpan, ...]:
        """Which language is heard where; empty if the model did not detect it."""
        if self.stretches or self.guess is None or not self.words:
            return self.stretches
        return (LanguageSpan(self.words[0].start, self.words[-1].end, self.guess.language),)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a speech model can be asked for."""

    languages: frozenset[str] | None = None
    """ISO 639-1 codes; None if it takes any, as a label."""
    translates: bool = False
    """It can write English for what is said in another language."""
    detects_language: bool = False
    """It guesses the language of what it hears, if no request says it."""
    takes_keyterms: bool = False
    """It favours the names and terms that a request brings."""
    mixes_keyterms: bool = False
    """Utterances of one batch may have different ones: see `MixingEngine`."""
    letters: frozenset[str] | None = None
    """The characters that it can write; None if it can write any."""


class SpeechEngine(Protocol):
    """Decodes batches of utterances; only one thread calls it."""

    device: str
    """`cuda` or `cpu`."""
    window_s: float
    """Seconds: any array costs as much as one of this length. 0 if it costs as much as it lasts."""
    abilities: Abilities

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Return the words of each array, in order.

        Without a language in the decoding, an engine of several languages detects that of each
        array.
        Arrays are float32, shape (samples,), 16 kHz mono, -1..1.
        """
        ...


class MixingEngine(SpeechEngine, Protocol):
    """An engine whose `abilities.mixes_keyterms`."""

    def recognise_mixed(
        self, arrays: Sequence[Samples], decodings: Sequence[Decoding]
    ) -> list[Recognition]:
        """Do as `recognise`, with a decoding for each array; they differ in their key terms alone.

        The terms of one array have no effect on another.
        """
        ...
