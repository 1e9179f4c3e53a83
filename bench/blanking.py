"""A speech model that loses words, around a real one.

It hears all, but of an utterance's words it forgets those in chosen stretches of the recording, as
Parakeet does. What is heard again is there, for some stretches at the second attempt only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.domain.request import Decoding
from core.domain.timeline import Span, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance, utterances
from core.speech.engine import Recognition, SpeechEngine


@dataclass(frozen=True, slots=True)
class Blank:
    """A stretch of a recording whose words are lost."""

    span: Span
    is_stubborn: bool = False
    """They are lost again at the first attempt to find them."""

    def holds(self, word: Word) -> bool:
        """Tell whether a word is lost."""
        return self.span.start <= word.midpoint < self.span.end


class Blanking:
    """The model; it hears one recording at a time, and decodes none of it twice."""

    def __init__(self, engine: SpeechEngine) -> None:
        self._engine = engine
        self.device = engine.device
        self.window_s = engine.window_s
        self.abilities = replace(engine.abilities, mixes_keyterms=False)
        self.blanks: tuple[Blank, ...] = ()
        self.first_s = 0.0
        """Seconds of utterances heard, since `cut`."""
        self.again_s = 0.0
        """Seconds heard again."""
        self._samples: Samples | None = None
        self._known: dict[tuple[int, int], Recognition] = {}
        self._whole: set[tuple[int, int]] = set()
        self._tries: dict[Blank, int] = {}

    def cut(self, samples: Samples, blanks: Sequence[Blank] = ()) -> list[Utterance]:
        """Return the utterances of the recording to hear next, float32, shape (samples,)."""
        if samples is not self._samples:
            self._known = {}
        self._samples, self.blanks, self._tries = samples, tuple(blanks), {}
        self.first_s = self.again_s = 0.0
        cut = list(utterances([samples]))
        self._whole = {(self._first(one.samples), len(one.samples)) for one in cut}
        return cut

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """See `core.speech.engine.SpeechEngine`."""
        places = [(self._first(array), len(array)) for array in arrays]
        new = [at for at, place in enumerate(places) if place not in self._known]
        if new:
            found = self._engine.recognise([arrays[at] for at in new], decoding)
            self._known |= zip([places[at] for at in new], found, strict=True)
        return [self._left(*place, self._known[place]) for place in places]

    def _first(self, array: Samples) -> int:
        """Return where in the recording an array begins that is a view of it."""
        assert self._samples is not None
        here, there = (one.__array_interface__["data"][0] for one in (array, self._samples))
        return int(here - there) // array.itemsize

    def _left(self, first: int, count: int, found: Recognition) -> Recognition:
        if (first, count) in self._whole:
            self.first_s += count / SAMPLE_RATE
            return _without(found, self.blanks, first)
        self.again_s += count / SAMPLE_RATE
        span = Span(first / SAMPLE_RATE, (first + count) / SAMPLE_RATE)
        return _without(found, [blank for blank in self.blanks if self._lost(blank, span)], first)

    def _lost(self, blank: Blank, heard: Span) -> bool:
        if not blank.span.overlap(heard):
            return False
        self._tries[blank] = self._tries.get(blank, 0) + 1
        return blank.is_stubborn and self._tries[blank] == 1


def _without(found: Recognition, blanks: Sequence[Blank], first: int) -> Recognition:
    start = first / SAMPLE_RATE
    kept = [
        index
        for index, word in enumerate(found.words)
        if not any(
            blank.holds(replace(word, start=start + word.start, end=start + word.end))
            for blank in blanks
        )
    ]
    return replace(
        found,
        words=tuple(found.words[index] for index in kept),
        characters=tuple(found.characters[index] for index in kept),
    )
