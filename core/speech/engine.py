"""A speech model as the rest of the worker sees it, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.request import Decoding
from core.domain.timeline import Character, Word
from core.media.audio import Samples


@dataclass(frozen=True, slots=True)
class Recognition:
    """The words of one array; times are seconds from its start, sorted and inside it."""

    words: tuple[Word, ...] = ()
    characters: tuple[tuple[Character, ...], ...] = ()
    """One tuple per word; empty if the tokens do not spell the text letter by letter."""


class SpeechEngine(Protocol):
    """Decodes batches of utterances; only one thread calls it."""

    device: str
    """The torch device that it runs on."""

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Return the words of each array, in order.

        Arrays are float32, shape (samples,), 16 kHz mono, -1..1.
        """
        ...
