"""Several languages in one window: which stretch is in which, and whether to believe it.

A model asked for the text of a window in one language translates the others or leaves them out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TypeVar

from core.domain.timeline import Character, LanguageSpan, Span, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.speech.engine import Guess, Recognition
from core.speech.sound import speech

LEAST_S = 5.0
"""Shorter pieces are not asked for their language: base takes four English seconds for Tagalog."""
_CHANGE = 0.1
"""Probability that the next piece is in another language, whatever it sounds like."""

_Timed = TypeVar("_Timed", Word, Character)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a window in one language; times are seconds from the window's start."""

    span: Span
    guess: Guess

    def of(self, samples: Samples) -> Samples:
        """Return its samples, given those of the window."""
        first, last = (round(time * SAMPLE_RATE) for time in (self.span.start, self.span.end))
        return samples[first:last]


def pieces(samples: Samples) -> list[Span]:
    """Divide a window at pauses into pieces of at least `LEAST_S`, which cover it."""
    duration_s = len(samples) / SAMPLE_RATE
    edges = [0.0]
    for before, after in itertools.pairwise(speech(samples)):
        middle = (before.end + after.start) / 2
        if middle - edges[-1] >= LEAST_S and duration_s - middle >= LEAST_S:
            edges.append(middle)
    return [Span(*pair) for pair in itertools.pairwise([*edges, duration_s])]


def stretches(spans: Sequence[Span], heard: Sequence[Mapping[str, float]]) -> list[Stretch]:
    """Join the pieces of one language, given the probability of each language for each piece.

    These are the likeliest languages of all pieces together (Viterbi, 1967).
    """
    pieces = zip(spans, heard, _likeliest(heard), strict=True)
    return [
        _stretch(language, [(span, probabilities) for span, probabilities, _ in group])
        for language, group in itertools.groupby(pieces, key=lambda piece: piece[2])
    ]


def _stretch(language: str, own: Sequence[tuple[Span, Mapping[str, float]]]) -> Stretch:
    span = Span(own[0][0].start, own[-1][0].end)
    return Stretch(span, Guess(language, fmean(one.get(language, 0.0) for _, one in own)))


def _likeliest(heard: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the language of each piece."""
    paths = {language: _Path(0.0, ()) for one in heard for language in one}
    for probabilities in heard:
        best = max(paths.values(), key=lambda path: path.score)
        changed = replace(best, score=best.score + math.log(_CHANGE))
        paths = {
            language: max(path, changed, key=lambda path: path.score).then(
                language, probabilities.get(language, 0.0)
            )
            for language, path in paths.items()
        }
    return list(max(paths.values(), key=lambda path: path.score).languages)


@dataclass(frozen=True, slots=True)
class _Path:
    score: float
    """Logarithm of its probability."""
    languages: tuple[str, ...]

    def then(self, language: str, probability: float) -> _Path:
        score = self.score + math.log(max(probability, 1e-6))
        return _Path(score, (*self.languages, language))


def divided(
    whole: Recognition, parts: Sequence[Stretch], heard: Sequence[Recognition]
) -> Recognition:
    """Return the words of stretches, each heard in its own language, in place of the whole's.

    Return the whole if it is surer of any stretch that is not in its language: text in a language
    that nobody speaks is unlikely.
    """
    placed = [_moved(one, part.span.start) for part, one in zip(parts, heard, strict=True)]
    for part, one in zip(parts, placed, strict=True):
        is_other = whole.guess is None or part.guess.language != whole.guess.language
        if is_other and not _is_better(one, whole, part.span):
            return whole
    longest = max(parts, key=lambda part: part.span.duration)
    return Recognition(
        tuple(word for one in placed for word in one.words),
        tuple(letters for one in placed for letters in one.characters),
        longest.guess,
        is_mixed=True,
        stretches=tuple(
            LanguageSpan(one.words[0].start, one.words[-1].end, part.guess.language)
            for part, one in zip(parts, placed, strict=True)
            if one.words
        ),
    )


def _is_better(one: Recognition, whole: Recognition, span: Span) -> bool:
    before = [word for word in whole.words if span.start <= word.midpoint < span.end]
    return bool(one.words) and _confidence(one.words) > _confidence(before)


def _confidence(words: Sequence[Word]) -> float:
    return fmean([word.confidence or 0.0 for word in words] or [0.0])


def _moved(found: Recognition, by_s: float) -> Recognition:
    return replace(
        found,
        words=_later(found.words, by_s),
        characters=tuple(_later(letters, by_s) for letters in found.characters),
    )


def _later(timed: Sequence[_Timed], by_s: float) -> tuple[_Timed, ...]:
    return tuple(
        replace(one, start=round(one.start + by_s, 6), end=round(one.end + by_s, 6))
        for one in timed
    )
