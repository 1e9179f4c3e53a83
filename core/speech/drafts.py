"""Texts as a Whisper model drafts them, and the signs that one was not said.

Asked for the text of music, noise or silence the model writes a likely sentence of its training
("Thank you for watching!"), or one sentence over and over.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.speech.spelling import Token

LOOP_RATIO = 2.4
"""Text that `zlib` makes smaller by more than this repeats itself (openai/whisper)."""
LEAST_EVIDENCE = -1.0
"""Least sum of the text's mean log probability and of the log probability that there is speech.

Ten kinds of noise and music have -1.1 or less, speech of the same two models -0.6 or more: see
`tests/people/test_whisper_guards.py`.
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

    @property
    def log_probability(self) -> float:
        """Mean natural logarithm of the tokens' probabilities; 0 if there are none."""
        logs = [math.log(max(one, 1e-9)) for one in self.probabilities]
        return sum(logs) / len(logs) if logs else 0.0

    @property
    def evidence(self) -> float:
        """How much speaks for the text, at most 0."""
        return self.log_probability + math.log(max(1.0 - self.no_speech, 1e-9))

    @property
    def is_loop(self) -> bool:
        """Tell whether the text repeats itself as nobody does."""
        return (
            compression_ratio(self.text) > LOOP_RATIO or loop_start(self.text.split()) is not None
        )

    @property
    def is_invented(self) -> bool:
        """Tell whether too little speaks for the text, or there is none."""
        return self.evidence < LEAST_EVIDENCE or not any(map(str.isalnum, self.text))


def better(one: Draft, other: Draft) -> Draft:
    """Return the draft that is no loop, else the likelier one."""
    if one.is_loop != other.is_loop:
        return other if one.is_loop else one
    return max(one, other, key=lambda draft: draft.log_probability)


def compression_ratio(text: str) -> float:
    """Return how many times smaller zlib makes a text."""
    encoded = text.strip().encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def loop_start(words: Sequence[str]) -> int | None:
    """Return the index of the first word that only repeats, or None if there is no loop."""
    plain = ["".join(filter(str.isalnum, word.casefold())) or word for word in words]
    starts = (_loop_start(plain, length) for length in _REPEATS)
    return min((start for start in starts if start is not None), default=None)


def _loop_start(words: Sequence[str], length: int) -> int | None:
    """Return where the second of enough equal groups of `length` words begins."""
    run = 0
    for index in range(length, len(words)):
        run = run + 1 if words[index] == words[index - length] else 0
        if run >= length * (_REPEATS[length] - 1):
            return index - run + 1
    return None
