"""Pieces of one person's speech with their text, and recordings that consist of one."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from training.dialogues import Dialogue, Placed, SpeakerTurn, write_dialogue
from training.voices import SAMPLE_RATE, TimedWord, Utterance

INT16 = 32_768
FRAME = SAMPLE_RATE // 50
QUIET_DB = 30.0
"""What is this far below the loudest 20 ms of a clip is not speech."""
PAUSE_S = 0.3
"""A shorter pause belongs to the turn."""


@dataclass(frozen=True, eq=False)
class Clip:
    """What one person says in one go."""

    name: str
    person: str
    samples: np.ndarray
    """float32 (n,), 16 kHz mono in -1..1."""
    text: str

    @cached_property
    def spans(self) -> list[tuple[float, float]]:
        """The stretches of speech, in seconds, found by level."""
        count = len(self.samples) // FRAME
        frames = self.samples[: count * FRAME].reshape(count, FRAME).astype(np.float64)
        level_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)
        found: list[tuple[float, float]] = []
        for index in np.flatnonzero(level_db > level_db.max() - QUIET_DB):
            start, end = index * FRAME / SAMPLE_RATE, (index + 1) * FRAME / SAMPLE_RATE
            if found and start - found[-1][1] <= PAUSE_S:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return found

    @cached_property
    def utterance(self) -> Utterance:
        """The samples, and the words at times in proportion to their letters."""
        words = self.text.split()
        edges = np.concatenate([[0.0], np.cumsum([len(word) + 1 for word in words])])
        lengths = np.concatenate([[0.0], np.cumsum([end - start for start, end in self.spans])])
        spoken = edges / edges[-1] * lengths[-1]
        starts = [self._at(at, lengths, is_start=True) for at in spoken[:-1]]
        ends = [self._at(at, lengths, is_start=False) for at in spoken[1:]]
        timed = zip(words, starts, ends, strict=True)
        return Utterance(
            self.samples,
            tuple(TimedWord(word, round(start, 3), round(end, 3)) for word, start, end in timed),
        )

    def _at(self, spoken_s: float, lengths: np.ndarray, *, is_start: bool) -> float:
        """Return the time in the clip after so many seconds of speech."""
        side = "right" if is_start else "left"
        index = int(np.searchsorted(lengths, spoken_s, side=side)) - 1
        index = min(max(index, 0), len(self.spans) - 1)
        return float(self.spans[index][0] + spoken_s - lengths[index])


def joined(clips: Sequence[Clip], pause_s: float) -> Clip:
    """Return one person's clips as one, with a pause between them."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    pieces = [piece for clip in clips for piece in (clip.samples, pause)][:-1]
    name = "+".join(clip.name for clip in clips)
    text = " ".join(clip.text for clip in clips)
    return Clip(name, clips[0].person, np.concatenate(pieces), text)


def read_wav(path: Path) -> np.ndarray:
    """Return float32 (n,) of a wav of 16 bit, 16 kHz mono."""
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels()) == (SAMPLE_RATE, 1)
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float32) / INT16


def conversation(samples: np.ndarray, placed: list[tuple[Placed, Clip]]) -> Dialogue:
    """Return a recording with the truth about it: whose clips begin when."""
    words = sorted(
        (word for turn, _ in placed for word in turn.words()), key=lambda word: word.start
    )
    turns = [
        SpeakerTurn(round(turn.start / SAMPLE_RATE + start, 3),
                    round(turn.start / SAMPLE_RATE + end, 3), chr(ord("A") + turn.speaker))
        for turn, clip in placed
        for start, end in clip.spans
    ]  # fmt: skip
    return Dialogue(samples, tuple(words), tuple(sorted(turns, key=lambda turn: turn.start)))


def write_clip(clip: Clip, folder: Path) -> Path:
    """Write a recording that is one clip."""
    placed = [(Placed(0, 0, clip.utterance), clip)]
    return write_dialogue(conversation(clip.samples, placed), folder / clip.name, "wav")
