"""How often a known speaker's sample is rightly and wrongly said to have more than one voice.

    python -m bench.doubts [--voices 24] [--seed 1000]

The embedded model, on the synthetic people of `bench.voices`. Samples of one person, of 9 to 32 s
at most, each in a room and a noise of its own; and samples in which a second person is heard too:
in turns with the first, in the second half, or in the last seconds.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from bench.company import MANNER, Company, Speaker, spoken, synthetic
from bench.voices import SAMPLE_S, voice
from core.media.audio import Samples
from core.modelstore import find_diarization_model
from core.speakers.pyannote import PyannoteDiarizer
from training.dialogues import FIRST_HELD_OUT_SEED, converse

TESTS_S = (9.0, 20.0, 20.0, 32.0)
TURNS_S, HALF_S, LITTLE_S = 20.0, 10.0, 6.0
PAIRS = 2


def samples(company: Company) -> Iterator[tuple[str, Samples]]:
    """Yield samples, each with who is in it."""
    chance = np.random.default_rng([company.seed, 99])
    for at, person in enumerate(company.people):
        yield "one voice", spoken(person.sample, SAMPLE_S, company.seed, at, 0)
        for number, seconds in enumerate(TESTS_S, start=1):
            yield "one voice", spoken(person.tests, seconds, company.seed, at, number)
        others = np.flatnonzero(company.differ[at])
        for number in range(PAIRS):
            second = int(chance.choice(others[others != at]))
            yield from _mixtures(company, at, second, number)


def _mixtures(
    company: Company, first: int, second: int, number: int
) -> Iterator[tuple[str, Samples]]:
    people, seed = company.people, company.seed
    both = [Speaker(people[one].tests) for one in (first, second)]
    chance = np.random.default_rng([seed, 50, first, number])
    yield "two in turns", converse(both, TURNS_S, MANNER, chance).samples
    begin = spoken(people[first].sample, HALF_S, seed, first, 7)
    other = spoken(people[second].sample, HALF_S, seed, second, 8)
    yield "another in the second half", np.concatenate([begin, other])
    little = spoken(people[second].tests, LITTLE_S, seed, second, 9)
    yield "another at the end", np.concatenate([begin, little])


def main() -> None:
    """Print a line for each kind of sample."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voices", type=int, default=24)
    parser.add_argument("--seed", type=int, default=FIRST_HELD_OUT_SEED)
    options = parser.parse_args()
    diarizer = PyannoteDiarizer(find_diarization_model("embedded"), device="cpu")
    heard: Counter[str] = Counter()
    doubted: Counter[str] = Counter()
    for kind, one in samples(synthetic(options.voices, options.seed)):
        if (found := voice(diarizer, one)) is not None:
            heard[kind] += 1
            doubted[kind] += found[1]
    for kind, count in heard.items():
        print(f"{kind:<28}{doubted[kind]:4} of {count} said to have more than one voice")


if __name__ == "__main__":
    main()
