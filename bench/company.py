"""People for `bench.voices`: what everybody says for a sample, and what in other recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.recorded_voices import Recorded, recorded
from core.media.audio import SAMPLE_RATE, Samples
from tests.people.recordings import reading_clips
from training.dialogues import FIRST_HELD_OUT_SEED, Manner, converse, tell_apart
from training.voicebank import VoiceBank, write
from training.voices import TimedWord, Utterance

MANNER = Manner(backchannel_probability=0.0, short_answer_probability=0.0)


class Speaker:
    """Somebody who says one piece after the other, again from the first if there is no more."""

    def __init__(self, pieces: Sequence[Samples]) -> None:
        self._pieces, self._next = pieces, 0

    def say(self, short: bool) -> Utterance:  # noqa: ARG002  there are no short answers
        """See `training.dialogues.Person`."""
        piece = self._pieces[self._next % len(self._pieces)]
        self._next += 1
        return Utterance(piece, (TimedWord("", 0.0, len(piece) / SAMPLE_RATE),))


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody says for the sample, and for everything else."""

    name: str
    sample: tuple[Samples, ...]
    tests: tuple[Samples, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """People, and who of them are surely different."""

    people: tuple[Person, ...]
    differ: NDArray[np.bool_]
    """(people, people)."""
    seed: int = FIRST_HELD_OUT_SEED
    """Of whatever is drawn about them."""

    def half(self, which: int) -> list[int]:
        """Return every second person."""
        return list(range(which, len(self.people), 2))


def synthetic(count: int, seed: int) -> Company:
    """Return voices of the synthesisers; a bank of them is made on the first call."""
    folder = Path(f"build/voices-{count}-{seed}")
    if not (folder / "index.json").exists():  # the last file that is written
        write(folder, count, 10, 0, seed)
    bank = VoiceBank.read(folder)
    pieces = [
        [
            bank.samples[one.start : one.start + one.length].astype(np.float32) / np.float32(32_768)
            for one in said
        ]
        for said in bank.utterances
    ]
    differ = [[tell_apart(one, other) for other in bank.voices] for one in bank.voices]
    named = tuple(
        Person(f"voice-{at}", tuple(one[:4]), tuple(one[4:])) for at, one in enumerate(pieces)
    )
    return Company(named, np.array(differ), seed)


def of_people(folder: Path, readings: Path) -> Company:
    """Return people who read for Debian's packages, and the readers of `make people`."""
    found = [*recorded(folder), *_readers(readings)]
    differ = [[one.group != other.group for other in found] for one in found]
    return Company(
        tuple(Person(one.name, one.pieces[::3], _without(one.pieces)) for one in found),
        np.array(differ),
    )


def _readers(folder: Path) -> Iterator[Recorded]:
    clips = groupby(reading_clips(folder), key=attrgetter("person"))
    for person, own in clips:
        yield Recorded(person, person, tuple(clip.samples for clip in own))


def _without(pieces: Sequence[Samples]) -> tuple[Samples, ...]:
    return tuple(piece for at, piece in enumerate(pieces) if at % 3)


def spoken(pieces: Sequence[Samples], seconds: float, *seed: int) -> Samples:
    """Return some pieces of one person, in a room and a noise of their own."""
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(pieces))
    speaker = Speaker([pieces[at] for at in order])
    return converse([speaker], seconds, MANNER, chance).samples
