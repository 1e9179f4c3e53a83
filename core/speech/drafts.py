"""Texts as a Whisper model drafts them, and the signs that one was not said.

Asked for the text of music, noise or silence the model writes a likely sentence of its training
("Thank you for watching!"), or one sentence over and over.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.speech.spelling import Token

LOOP_RATIO = 2.4
"""Text that `zlib` makes smaller by more than this repeats itself (openai/whisper)."""
LEAST_EVIDENCE = -1.3
"""What must speak for a text: see `Draft.evidence`.

Of base and tiny.en, noise and music have -1.5 or less, speech in as much noise -1.1 or more:
`python -m bench.whisper --sounds`.
"""
LEAST_WITH_TERMS = -3.0
"""The same for a text with key terms, if the text without them has enough.

Names are unlikely by themselves; for noise the model repeats the terms, with -4.5 or less.
"""
UNLIKELY = 0.3
MOST_UNLIKELY = 0.02
"""So many tokens of a quick text may be less likely than that: one in fifty."""
LEAST_LIKELY = 0.15
"""And none may be less likely than this.

With these two, base makes hardly more errors if it searches only for the others: decision 13.
"""
_REPEATS = {1: 8, 2: 5, 3: 4, 4: 4, 5: 3, 6: 3, 7: 3, 8: 3}
"""How often in a row so many words make a loop: people do say "no, no, no, no"."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of one window."""

    text: str = ""
    tokens: tuple[Token, ...] = ()
    """Those that spell the text, in order."""
    probabilities: tuple[float, ...] = ()
    """Of each step of the decoder, given those before it; 0..1."""
    no_speech: float = 0.0
    """Probability that nobody speaks."""
    clarity: float = 1.0
    """Probability of the language that is likeliest, 1 for a model of one language."""
    is_kept: bool = False
    """Something else speaks for the text."""

    @property
    def log_probability(self) -> float:
        """Mean natural logarithm of the tokens' probabilities; 0 if there are none."""
        logs = list(map(_log, self.probabilities))
        return sum(logs) / len(logs) if logs else 0.0

    @property
    def evidence(self) -> float:
        """How much speaks for the text, at most 0.

        The mean log probability of its tokens, plus the logarithms of the probability that somebody
        speaks and of the likeliest language, half each: speech in noise has little of these, and
        noise has little of all three.
        """
        return self.log_probability + 0.5 * (_log(1.0 - self.no_speech) + _log(self.clarity))

    @property
    def is_loop(self) -> bool:
        """Tell whether the text repeats itself as nobody does."""
        return (
            compression_ratio(self.text) > LOOP_RATIO or loop_start(self.text.split()) is not None
        )

    @property
    def is_doubtful(self) -> bool:
        """Tell whether a search may find a better text than this one, which was written quickly."""
        unlikely = [one for one in self.probabilities if one < UNLIKELY]
        has_many = len(unlikely) > MOST_UNLIKELY * len(self.probabilities)
        has_one = min(unlikely, default=1.0) < LEAST_LIKELY
        return has_many or has_one or self.is_loop or self.is_invented

    @property
    def is_invented(self) -> bool:
        """Tell whether too little speaks for the text, or there is none."""
        is_unlikely = self.evidence < LEAST_EVIDENCE and not self.is_kept
        return is_unlikely or not any(map(str.isalnum, self.text))


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-9))


def better(one: Draft, other: Draft) -> Draft:
    """Return the draft that is no loop, else the likelier one."""
    if one.is_loop != other.is_loop:
        return other if one.is_loop else one
    return max(one, other, key=lambda draft: draft.log_probability)


def with_terms(told: Draft, plain: Draft) -> Draft:
    """Return the draft with key terms if they were said, else the one without."""
    is_said = told.evidence > LEAST_WITH_TERMS and not plain.is_invented
    return replace(told, is_kept=True) if is_said else plain


def compression_ratio(text: str) -> float:
    """Return how many times smaller zlib makes a text."""
    encoded = text.strip().encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def loop_start(words: Sequence[str]) -> int | None:
    """Return the index of the first word that only repeats, or None if there is no loop."""
    return min(repeated(words), default=None)


def repeated(words: Sequence[str]) -> frozenset[int]:
    """Return the indices of the words that only repeat a loop; those behind it are not among them.

    >>> sorted(repeated("ha ha ha ha ha ha ha ha that was good".split()))
    [1, 2, 3, 4, 5, 6, 7]
    """
    plain = ["".join(filter(str.isalnum, word.casefold())) or word for word in words]
    return frozenset(index for length in _REPEATS for index in _repeated(plain, length))


def _repeated(words: Sequence[str], length: int) -> Iterator[int]:
    """Yield what follows the first of enough equal groups of `length` words, in whole groups."""
    groups = itertools.groupby(
        range(length, len(words)), key=lambda index: words[index] == words[index - length]
    )
    for run in (list(indices) for is_equal, indices in groups if is_equal):
        if len(run) >= length * (_REPEATS[length] - 1):
            is_last = run[-1] == len(words) - 1
            yield from run if is_last else run[: len(run) // length * length]
