"""The language of a recording, by what a model hears in all of its utterances.

The first 30 s may be silence, music or a greeting in another language.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from core.media.cutting import Utterance
from core.speech.engine import Guess, Recognition

SURE = 0.8
"""Probability from which an utterance is in another language than the recording."""
SURE_S = 2.0
"""Seconds of words, at least, for that."""


class LanguageVote:
    """Counts the utterances of one recording, by the seconds of their words."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._all_s = 0.0

    @property
    def leader(self) -> str | None:
        """ISO 639-1 code of the language of most words so far; None if there is none."""
        return max(self._seconds, key=self._seconds.__getitem__, default=None)

    @property
    def confidence(self) -> float | None:
        """How sure the leader is: its mean probability, 0..1, over all words; None without one."""
        leader = self.leader
        if leader is None:
            return None
        return self._seconds[leader] / self._all_s if self._all_s else 0.0

    def count(self, found: Iterable[Recognition]) -> None:
        """Count the languages of utterances, each as much as it is sure."""
        for one in found:
            if one.guess is not None and one.words:
                self._seconds[one.guess.language] += one.guess.probability * _spoken_s(one)
                self._all_s += _spoken_s(one)

    def outvoted(self, found: Iterable[tuple[Utterance, Recognition]]) -> list[Utterance]:
        """Return the utterances that were probably taken for another language by mistake."""
        leader = self.leader
        return [
            utterance
            for utterance, one in found
            if one.guess is not None
            and one.words
            and one.guess.language != leader
            and not one.is_mixed
            and not _is_sure(one.guess, one)
        ]


def _is_sure(guess: Guess, found: Recognition) -> bool:
    return guess.probability >= SURE and _spoken_s(found) >= SURE_S


def _spoken_s(found: Recognition) -> float:
    return sum(word.duration for word in found.words)
