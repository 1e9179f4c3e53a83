"""How the words of a recording transcribed in parts differ from those of the whole.

`bench.orchestrator --fanout` uses this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

import jiwer

from bench.accuracy import normalise
from core.domain.request import Part
from core.domain.timeline import Word
from core.media import audio, cutting
from core.settings import Settings
from core.transcript.parts import Assignment

NEAR_S = 1.0
"""Words at most this far from a seam count as being at it."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The places at which the parts of a recording meet, in seconds."""

    at: tuple[float, ...]
    forced: int
    """How many of them cut through speech: both sides hear the words around these."""

    def is_near(self, word: Word) -> bool:
        """Tell whether a word is at a seam."""
        return any(abs(word.midpoint - at) <= NEAR_S for at in self.at)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two transcripts, in words as written, with punctuation."""

    changed: int
    lost: int
    """Words in the whole's transcript but not in the parts'."""
    added: int
    at_seams: int
    """How many of all these are at a seam."""

    @property
    def all(self) -> int:
        """How many words differ."""
        return self.changed + self.lost + self.added


def find_seams(recording: Path, count: int) -> Seams:
    """Return where `count` parts of a recording meet, cut with the default settings."""
    stream = audio.Stream(recording, max_duration_s=100 * 3600)
    spans = [
        utterance.span
        for utterance in cutting.utterances(
            stream, piece_s=Settings.model_fields["chunk_duration"].default
        )
    ]
    everyone = [Assignment.of(Part(index, count), spans) for index in range(count)]
    parts = [part for part in everyone if part.heard]
    at = tuple(part.own.start for part in parts if math.isfinite(part.own.start))
    return Seams(at, sum(left.heard.stop > right.heard.start for left, right in pairwise(parts)))


def compare(whole: Sequence[Word], parts: Sequence[Word], seams: Seams) -> Difference:
    """Align two transcripts and count the differences."""
    counts = {"replace": 0, "delete": 0, "insert": 0}
    at_seams = 0
    matcher = SequenceMatcher(
        None, [word.text for word in whole], [word.text for word in parts], autojunk=False
    )
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            continue
        differing = max(i2 - i1, j2 - j1)
        counts[kind] += differing
        at_seams += differing if all(map(seams.is_near, [*whole[i1:i2], *parts[j1:j2]])) else 0
    return Difference(counts["replace"], counts["delete"], counts["insert"], at_seams)


def word_errors(spoken: Sequence[str], found: Sequence[Word]) -> float:
    """Return the WER by the rules of `bench.accuracy`."""
    return jiwer.wer(normalise(" ".join(spoken)), normalise(" ".join(word.text for word in found)))
