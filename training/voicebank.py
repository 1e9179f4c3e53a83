"""A bank of utterances of many synthetic people, from which the speaker models' training mixtures
are drawn.

    python -m training.voicebank --out build/voicebank --voices 500

`samples.npy` holds all utterances one after the other (int16, 16 kHz), `index.json` says who said
which part of it and when each word is spoken.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.dialogues import SyntheticPerson, tell_apart
from training.sentences import Sentences
from training.voices import TimedWord, Utterance, Voice, random_voice

TRAINING_SEED = 1
COMPANIES = {"any": 0.55, "espeak": 0.3, "flite": 0.15}
"""Shares of the companies by the engines that speak in them: one engine's voices are harder to tell
apart.
"""


@dataclass(frozen=True, slots=True)
class BankedUtterance:
    """Samples [start, start + length) of the bank, the words' times, and whether it is a short
    answer.
    """

    start: int
    length: int
    short: bool
    words: tuple[tuple[float, float], ...]


class BankedPerson:
    """A person who repeats what they said when the bank was made."""

    def __init__(
        self, samples: np.ndarray, utterances: tuple[BankedUtterance, ...], rng: np.random.Generator
    ) -> None:
        self._samples, self._rng = samples, rng
        self._kinds = {
            short: [item for item in utterances if item.short == short] for short in (False, True)
        }

    def say(self, short: bool) -> Utterance:
        """One of the person's utterances, drawn at random."""
        kind = self._kinds[short]
        item = kind[self._rng.integers(len(kind))]
        samples = self._samples[item.start : item.start + item.length].astype(np.float32) / 32768
        return Utterance(samples, tuple(TimedWord("", start, end) for start, end in item.words))


@dataclass(frozen=True, slots=True)
class VoiceBank:
    """The samples (int16, memory-mapped) and, for each person, the voice and the utterances."""

    samples: np.ndarray
    voices: tuple[Voice, ...]
    utterances: tuple[tuple[BankedUtterance, ...], ...]

    @classmethod
    def read(cls, folder: Path) -> VoiceBank:
        """Read what `write` wrote."""
        index = json.loads((folder / "index.json").read_text())
        utterances = tuple(
            tuple(
                BankedUtterance(
                    u["start"], u["length"], u["short"], tuple((s, e) for s, e in u["words"])
                )
                for u in person["utterances"]
            )
            for person in index
        )
        return cls(
            np.load(folder / "samples.npy", mmap_mode="r"),
            tuple(Voice(**p["voice"]) for p in index),
            utterances,
        )

    def company(self, count: int, rng: np.random.Generator) -> list[BankedPerson]:
        """People drawn at random who can be told apart; COMPANIES says of which engines."""
        engine = str(rng.choice(list(COMPANIES), p=list(COMPANIES.values())))
        chosen: list[int] = []
        while len(chosen) < count:
            candidate = int(rng.integers(len(self.voices)))
            if engine in {"any", self.voices[candidate].engine} and all(
                tell_apart(self.voices[candidate], self.voices[index]) for index in chosen
            ):
                chosen.append(candidate)
        return [self.person(index, rng) for index in chosen]

    def person(self, index: int, rng: np.random.Generator) -> BankedPerson:
        """The person with this index."""
        return BankedPerson(self.samples, self.utterances[index], rng)


def write(
    folder: Path, voices: int, long_utterances: int, short_utterances: int, seed: int
) -> None:
    """Synthesise the bank; `long_utterances` of 1 to 3 sentences and `short_utterances` answers for
    each voice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 10])
    sentences = Sentences(random.Random(f"voice bank {seed}"))
    parts: list[np.ndarray] = []
    index = []
    position = 0
    for _ in range(voices):
        voice = random_voice(rng)
        person = SyntheticPerson(voice, sentences, rng)
        utterances = []
        for short in [False] * long_utterances + [True] * short_utterances:
            spoken = person.say(short)
            parts.append((spoken.samples * 32767).astype(np.int16))
            words = tuple((word.start, word.end) for word in spoken.words)
            utterances.append(asdict(BankedUtterance(position, len(spoken.samples), short, words)))
            position += len(spoken.samples)
        index.append({"voice": asdict(voice), "utterances": utterances})
    np.save(folder / "samples.npy", np.concatenate(parts))
    (folder / "index.json").write_text(json.dumps(index))


def main() -> None:
    """Write the bank."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--voices", type=int, default=500)
    parser.add_argument("--long", type=int, default=12)
    parser.add_argument("--short", type=int, default=3)
    parser.add_argument("--seed", type=int, default=TRAINING_SEED)
    options = parser.parse_args()
    write(options.out, options.voices, options.long, options.short, options.seed)


if __name__ == "__main__":
    main()
