"""Which key terms were said, by what a model hears with them and without them.

A decoder that favours terms writes them where something else was said, too. So a term counts only
if the model was not sure of the words in its place, and if these are spelled like it: what is heard
of a name that the model does not know are words that sound like it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TypeVar

from core.domain.timeline import Character, Word
from core.speech.engine import Recognition

UNSURE = 0.7
"""Confidence up to which a word may be a term that was misheard."""
ALIKE = 0.5
"""Least similarity of the letters, 0..1, of a term and what was heard in its place."""

_Timed = TypeVar("_Timed", Word, Character)


def with_terms(plain: Recognition, favoured: Recognition, terms: Sequence[str]) -> Recognition:
    """Return what was heard without terms, with the terms of the other that were said.

    They stay in the time, and have the confidence, of the words that they replace.
    """
    found = plain
    for at in _occurrences(favoured.words, terms):
        place = _place(found.words, favoured.words[at])
        if place is not None and _is_misheard(found.words[place], favoured.words[at]):
            found = _replaced(found, place, favoured, at)
    return found


def _occurrences(words: Sequence[Word], terms: Sequence[str]) -> Iterator[slice]:
    """Yield where terms are among words, in order; of several that begin together, the longest."""
    spelled = {tuple(map(_letters, term.split())) for term in terms}
    longest_first = sorted(filter(all, spelled), key=len, reverse=True)
    letters = [word.letters for word in words]
    at = 0
    while at < len(letters):
        here = (len(one) for one in longest_first if tuple(letters[at : at + len(one)]) == one)
        count = next(here, 0)
        if count:
            yield slice(at, at + count)
        at += count or 1


def _place(words: Sequence[Word], term: Sequence[Word]) -> slice | None:
    """Return the words that were heard in the time of a term; a word more or less on either side,
    if these are more like it.
    """
    inside = [
        index
        for index, word in enumerate(words)
        if any(word.overlap(one) > min(word.duration, one.duration) / 2 for one in term)
    ]
    if not inside:
        return None
    meant = _written(term)

    def likeness(place: slice) -> float:
        return _likeness(_written(words[place]), meant)

    starts = range(max(0, inside[0] - 1), inside[0] + 2)
    stops = range(inside[-1], min(len(words), inside[-1] + 2) + 1)
    places = [slice(start, stop) for start in starts for stop in stops if start < stop]
    return max(places, key=likeness)


def _written(words: Sequence[Word]) -> str:
    return "".join(word.letters for word in words)


def _is_misheard(words: Sequence[Word], term: Sequence[Word]) -> bool:
    heard, meant = _written(words), _written(term)
    sure = min((word.confidence or 0.0 for word in words), default=1.0)
    is_other = [word.letters for word in words] != [word.letters for word in term]
    return is_other and sure <= UNSURE and _likeness(heard, meant) >= ALIKE


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _replaced(found: Recognition, place: slice, favoured: Recognition, at: slice) -> Recognition:
    old = found.words[place]
    stretch = _Stretch(old[0].start, old[-1].end)
    sure = min((word.confidence for word in old if word.confidence is not None), default=None)
    new = (replace(stretch.holding(word), confidence=sure) for word in favoured.words[at])
    characters = found.characters
    if characters and favoured.characters:
        spelled = (tuple(map(stretch.holding, one)) for one in favoured.characters[at])
        characters = (*characters[: place.start], *spelled, *characters[place.stop :])
    words = (*found.words[: place.start], *new, *found.words[place.stop :])
    return replace(found, words=words, characters=characters)


@dataclass(frozen=True, slots=True)
class _Stretch:
    start: float
    end: float

    def holding(self, one: _Timed) -> _Timed:
        """Return a word or character, moved into the stretch."""
        start = min(max(one.start, self.start), self.end)
        return replace(one, start=start, end=min(max(one.end, start), self.end))


def _letters(text: str) -> str:
    return Word(0.0, 0.0, text).letters
