"""A recording of hours in which the same synthetic people come and go.

It is a row of dialogues of some ten minutes, each of 2 to 4 of the people, in a room and a noise of
its own. They are held out as those of `training.dialogues` are: nothing was trained on them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.dialogues import (
    FIRST_HELD_OUT_SEED,
    Manner,
    SpeakerTurn,
    SyntheticPerson,
    converse,
    draw_voices,
    write_wav,
)
from training.sentences import Sentences
from training.voices import SAMPLE_RATE

_SECTION_S = (420.0, 780.0)
_LEAST_S = 60.0
_AT_ONCE = (2, 4)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A recording, and who speaks when in it."""

    samples: np.ndarray
    """float32 (n,), 16 kHz mono in -1..1."""
    turns: tuple[SpeakerTurn, ...]

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def people(self) -> int:
        """How many people speak."""
        return len({turn.speaker for turn in self.turns})

    def write(self, path: Path) -> Path:
        """Write the recording as 16-bit PCM."""
        write_wav(self.samples, path)
        return path


def make_meeting(hours: float, people: int, seed: int = FIRST_HELD_OUT_SEED) -> Meeting:
    """Let people meet for so many hours. The same seed makes the same meeting."""
    rng = np.random.default_rng([seed, 21])
    sentences = Sentences(random.Random(f"meeting {seed}"))
    everybody = [SyntheticPerson(voice, sentences, rng) for voice in draw_voices(people, rng)]
    sections: list[np.ndarray] = []
    turns: list[SpeakerTurn] = []
    at_s = 0.0
    while (left_s := 3600 * hours - at_s) > _LEAST_S:
        count = min(people, int(rng.integers(_AT_ONCE[0], _AT_ONCE[1] + 1)))
        here = rng.permutation(people)[:count].tolist()
        length_s = min(left_s, float(rng.uniform(*_SECTION_S)))
        section = converse([everybody[one] for one in here], length_s, Manner(), rng)
        sections.append(section.samples)
        turns += (
            replace(
                turn,
                start=turn.start + at_s,
                end=turn.end + at_s,
                speaker=f"person {here[ord(turn.speaker) - ord('A')] + 1}",
            )
            for turn in section.turns
        )
        at_s += section.duration_s
    return Meeting(np.concatenate(sections), tuple(turns))
