"""Recordings with the truth about them, committed because the engines that spoke them need not be
installed where tests run.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from core.domain.timeline import Turn, Word
from core.media.audio import Stream, Waveform


@dataclass(frozen=True, slots=True)
class Golden:
    """A recording and what is said in it by whom."""

    path: Path
    waveform: Waveform
    words: tuple[Word, ...]
    """With speakers; no confidence."""
    turns: tuple[Turn, ...]

    @property
    def text(self) -> str:
        """The words, a blank between them."""
        return " ".join(word.text for word in self.words)


@functools.cache
def load(name: str) -> Golden:
    """Decode `sentences` (one speaker, clean) or `dialogue` (two speakers, some noise)."""
    (path,) = (
        path for path in Path(__file__).parent.glob(f"{name}.*") if path.suffix in {".flac", ".mp3"}
    )
    reference = json.loads(path.with_suffix(".json").read_text())
    words = tuple(
        Word(word["start"], word["end"], word["text"], speaker=word["speaker"])
        for word in reference["words"]
    )
    turns = tuple(Turn(turn["start"], turn["end"], turn["speaker"]) for turn in reference["turns"])
    return Golden(path, Stream(path, max_duration_s=60).read(), words, turns)
