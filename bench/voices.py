"""How alike two voices must be to be one person's: thresholds from voices that nobody trained on.

    python -m bench.voices [--voices 120] [--seed 1000]    the embedded model, synthetic voices
    make people && python -m bench.voices --people         that of `make people`, people's voices

Everybody has a sample of some 10 s, as a caller would send it, and is heard in others of 6 and 15 s
with other words, each in a room and a noise of its own. A stranger among 16 known names is falsely
accepted if one of these is given, by the rule that the workers have: above the threshold, and ahead
of the second best name by the margin. Who is known may get the right name, a wrong one, or none.

The threshold is tuned on one half of the people, as the least that accepts at most 1 % of the
strangers, and its rates are measured on the other half. Then the worker's own diarization has
conversations of a known person and a stranger, with 15 other names. Another seed draws other
people, on whom the threshold that was chosen can be tried once.

Synthetic voices that differ as little as one person's from day to day are never compared, nor are
people of one language (`bench.recorded_voices`).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from bench.company import Company, of_people, spoken, synthetic
from bench.naming import conversations
from core.domain.timeline import Voice
from core.errors import VoiceTooShort
from core.media.audio import Samples, Waveform
from core.modelstore import find_diarization_model
from core.speakers.identify import Matching
from core.speakers.pyannote import PyannoteDiarizer
from tests.people.places import people
from tests.people.speakers import new_embedding
from training.dialogues import FIRST_HELD_OUT_SEED

NAMES = 16
DRAWS = 40
"""Sets of names that each recording is tried with."""
ACCEPTED = 0.01
MARGINS = (0.0, 0.05, 0.1, 0.15)
THRESHOLDS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96)
SAMPLE_S, TESTS_S = 16.0, (9.0, 9.0, 20.0, 20.0)

Cosines = NDArray[np.float64]


def voice(diarizer: PyannoteDiarizer, samples: Samples) -> tuple[Voice, bool] | None:
    """Return the voice of a recording, and whether it is doubtful; None if it has too little."""
    try:
        found, doubts = diarizer.voice(Waveform(samples, 0.0), cancelled=lambda: False)
    except VoiceTooShort:
        return None
    return found, bool(doubts)


@dataclass(frozen=True, slots=True)
class Heard:
    """Everybody's voices."""

    samples: dict[int, Voice]
    tests: tuple[tuple[int, Voice], ...]
    """Of whom each is."""
    too_short: int
    doubtful: int


def hear(diarizer: PyannoteDiarizer, company: Company) -> Heard:
    """Listen to everybody."""
    samples, tests, doubts, missing = {}, [], 0, 0
    for at, person in enumerate(company.people):
        found = voice(diarizer, spoken(person.sample, SAMPLE_S, company.seed, at, 0))
        if found is None:
            missing += 1
            continue
        samples[at], doubtful = found
        doubts += doubtful
        for number, seconds in enumerate(TESTS_S, start=1):
            one = voice(diarizer, spoken(person.tests, seconds, company.seed, at, number))
            if one is None:
                missing += 1
            else:
                tests.append((at, one[0]))
                doubts += one[1]
    return Heard(samples, tuple(tests), missing, doubts)


def kept(path: Path | None, listen: Callable[[], Heard]) -> Heard:
    """Return what a file has kept of an earlier call, or listen and keep it."""
    if path is None:
        return listen()
    if path.exists():
        told = json.loads(path.read_text())
        voices = {int(at): Voice(**one) for at, one in told["samples"].items()}
        tests = tuple((at, Voice(**one)) for at, one in told["tests"])
        return Heard(voices, tests, told["too_short"], told["doubtful"])
    heard = listen()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(heard)))
    return heard


# --- trials ---


@dataclass(frozen=True, slots=True)
class Trials:
    """The best name of each trial: how alike it is, how far ahead, and whether it is the right one.

    All (trials,).
    """

    best: Cosines
    lead: Cosines
    is_right: NDArray[np.bool_]

    def named(self, matching: Matching) -> NDArray[np.bool_]:
        """Return which trials end with a name."""
        return (self.best >= matching.threshold) & (self.lead >= matching.margin)


def trials(heard: Heard, company: Company, half: Sequence[int], *, known: bool) -> Trials:
    """Try each recording of some people with names of others, and with its own if it is known."""
    chance = np.random.default_rng([company.seed, known])
    rows = []
    for who, test in heard.tests:
        others = [one for one in half if company.differ[who, one] and one in heard.samples]
        if who not in half:
            continue
        for _ in range(DRAWS):
            most = min(NAMES - known, len(others))
            names = chance.choice(others, most, replace=False).tolist()
            names += [who] if known else []
            cosines = np.array([np.dot(test.vector, heard.samples[one].vector) for one in names])
            first, second = np.argsort(-cosines)[:2]
            rows.append((cosines[first], cosines[first] - cosines[second], names[first] == who))
    best, lead, is_right = (np.array(column) for column in zip(*rows, strict=True))
    return Trials(best, lead, is_right)


def pairs(heard: Heard, company: Company, half: Sequence[int]) -> tuple[Cosines, Cosines]:
    """Return the cosines of recordings with their own person's sample, and with the others'."""
    own, others = [], []
    for who, test in heard.tests:
        for one in half:
            if who in half and one in heard.samples:
                cosine = float(np.dot(test.vector, heard.samples[one].vector))
                if one == who:
                    own.append(cosine)
                elif company.differ[who, one]:
                    others.append(cosine)
    return np.array(own), np.array(others)


def tuned(strangers: Trials, margin: float) -> float:
    """Return the least threshold, in hundredths, that accepts few enough strangers."""
    steps = (round(0.01 * step, 2) for step in range(101))
    return next(one for one in steps if strangers.named(Matching(one, margin)).mean() <= ACCEPTED)


# --- what is printed ---


def equal_error(own: Cosines, others: Cosines) -> tuple[float, float]:
    """Return the rate at which as many pairs are falsely accepted as rejected, and its cosine."""
    at = np.sort(np.concatenate([own, others]))
    rejected = np.searchsorted(np.sort(own), at) / len(own)
    accepted = 1 - np.searchsorted(np.sort(others), at) / len(others)
    best = int(np.abs(rejected - accepted).argmin())
    return float(rejected[best] + accepted[best]) / 2, float(at[best])


def curve(heard: Heard, company: Company, margin: float) -> Iterator[str]:
    """Yield a table: rates by threshold, of everybody in the measured half."""
    half = company.half(1)
    own, others = pairs(heard, company, half)
    strangers, known = (trials(heard, company, half, known=one) for one in (False, True))
    yield (
        f"| threshold | stranger accepted, 1 name | stranger accepted, {NAMES} names | "
        "known: right name | known: wrong name |"
    )
    yield "|---|---|---|---|---|"
    for threshold in THRESHOLDS:
        matching = Matching(threshold, margin)
        named = known.named(matching)
        yield (
            f"| {threshold:.2f} | {_percent(others >= threshold)} | "
            f"{_percent(strangers.named(matching))} | {_percent(named & known.is_right)} | "
            f"{_percent(named & ~known.is_right)} |"
        )
    rate, at = equal_error(own, others)
    yield f"\npairs: equal error rate {100 * rate:.1f} % at {at:.2f}"


def choice(heard: Heard, company: Company) -> Iterator[str]:
    """Yield a table: the threshold that each margin needs, and the rates of the other half."""
    tuning = trials(heard, company, company.half(0), known=False)
    strangers, known = (trials(heard, company, company.half(1), known=one) for one in (False, True))
    yield "| margin | threshold, tuned | stranger accepted | right name | wrong name |"
    yield "|---|---|---|---|---|"
    for margin in MARGINS:
        matching = Matching(tuned(tuning, margin), margin)
        named = known.named(matching)
        yield (
            f"| {margin:.2f} | {matching.threshold:.2f} | {_percent(strangers.named(matching))} | "
            f"{_percent(named & known.is_right)} | {_percent(named & ~known.is_right)} |"
        )


def rule(heard: Heard, company: Company, matching: Matching) -> str:
    """Return what the model's own rule does to everybody, of both halves."""
    everybody = range(len(company.people))
    strangers, known = (trials(heard, company, everybody, known=one) for one in (False, True))
    named = known.named(matching)
    return (
        f"all {len(everybody)} people, threshold {matching.threshold:.2f}, margin "
        f"{matching.margin:.2f}: stranger accepted {_percent(strangers.named(matching))}, right "
        f"name {_percent(named & known.is_right)}, wrong name {_percent(named & ~known.is_right)}"
    )


def _percent(what: NDArray[np.bool_]) -> str:
    return f"{100 * float(what.mean()):.1f} %"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", action="store_true", help="people's voices, and their model")
    parser.add_argument("--voices", type=int, default=120, help="synthetic voices")
    parser.add_argument(
        "--seed", type=int, default=FIRST_HELD_OUT_SEED, help="of the synthetic voices"
    )
    parser.add_argument("--recordings", type=Path, default=Path("build/recorded-voices"))
    parser.add_argument("--keep", type=Path, help="a .json that keeps all vectors")
    parser.add_argument("--conversations", type=int, default=20)
    options = parser.parse_args()
    if options.people:
        new_embedding(people().folder / "network")  # importable from now on
    model = str(people().speakers) if options.people else "embedded"
    diarizer = PyannoteDiarizer(find_diarization_model(model), device="cpu")
    company = (
        of_people(options.recordings, people().recordings)
        if options.people
        else synthetic(options.voices, options.seed)
    )
    heard = kept(options.keep, lambda: hear(diarizer, company))
    print(
        f"{len(company.people)} people, {len(heard.tests)} recordings of those who are known; "
        f"{heard.too_short} had too little speech, {heard.doubtful} seemed to have two voices\n"
    )
    for line in choice(heard, company):
        print(line)
    print()
    for line in curve(heard, company, diarizer.matching.margin):
        print(line)
    print()
    print(rule(heard, company, diarizer.matching), "\n")
    print(conversations(diarizer, heard.samples, company, options.conversations, NAMES))


if __name__ == "__main__":
    main()
