"""What every speech model is to the rest of the worker, whichever engine it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.request import Decoding
from core.domain.timeline import Character, Word
from core.media.audio import Samples


@dataclass(frozen=True, slots=True)
class Recognition:
    """The words of one array. Times are seconds from its start, sorted, inside of it."""

    words: tuple[Word, ...] = ()
    characters: tuple[tuple[Character, ...], ...] = ()
    """One tuple per word; empty if the tokens do not spell the text letter by letter."""


class SpeechEngine(Protocol):
    """Decodes one batch of utterances. One thread calls it."""

    device: str
    """The torch device it runs on."""

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Return what is said in each array, in their order.

        Arrays are float32, shape (samples,), 16 kHz mono, -1..1. All are decoded in the same way.
        """
        ...
