"""What `channels: split` makes of calls, beside the same calls as one channel with diarization.

    python -m bench.channels [--count 10] [--seconds 60] [--leak-db -20]

Calls of two synthetic people, drawn from held-out seeds (`training.dialogues`): one voice on each
channel, each with a level, a room and a noise of its own; both speak at once at times. All with the
embedded models. Each call is heard in four ways:

- `apart`: nobody is heard on the other's channel;
- `cross-talk`: each channel also has the other's sound, 40 ms late and at -20 dB, or
  at `--leak-db`;
- `copy`: both channels have the mean of both;
- `silent`: the second channel has nothing, and the first one person.

Beside them, `mono` is the mean of both channels of `apart` with speakers by diarization, which is
not told how many there are. WER (jiwer) is of each channel's words against those of its person; in
`copy` against everybody's, and in `mono` everybody's against everybody's, in order of time. A word
is in the wrong place if the other person said it, within half a second, and its own person did not;
in `mono` the two speakers are those that make the fewest, and every other one is wrong. Times are
processor seconds of this process, which leaves the decoder's out, for a minute of a call.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import jiwer
import numpy as np

from bench.accuracy import normalise, score_words
from core.domain.request import Channels, LocalFile, Recording, SingleRequest, SpeakerCount
from core.domain.timeline import Transcript, Word
from core.domain.watch import Watch
from core.flows.load import load_single
from core.flows.single import SingleFlow
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import Settings
from core.transcript.channels import name
from tests.media import write_wav
from training.dialogues import (
    FIRST_HELD_OUT_SEED,
    Manner,
    SpokenWord,
    SyntheticPerson,
    arrange,
    draw_voices,
    mix,
    speaker_name,
)
from training.sentences import Sentences

MANNER = Manner(cut_in_probability=0.35, backchannel_probability=0.2)
"""On the telephone people cut in more often than in a polite meeting."""
LEAK_S = 0.04
NEAR_S = 0.5
PEOPLE = (speaker_name(0), speaker_name(1))
CHANNELS = (name(0), name(1))


@dataclass(frozen=True, slots=True)
class Call:
    """Two people, each on a channel."""

    sides: tuple[Samples, Samples]
    words: tuple[SpokenWord, ...]
    """Of both, in order of time."""

    @property
    def minutes(self) -> float:
        """Its length."""
        return len(self.sides[0]) / SAMPLE_RATE / 60


def draw(seed: int, seconds: float) -> Call:
    """Return the call of a seed."""
    rng = np.random.default_rng([seed, 21])
    sentences = Sentences(random.Random(f"call {seed}"))
    people = [SyntheticPerson(voice, sentences, rng) for voice in draw_voices(2, rng)]
    placed = arrange(people, seconds, MANNER, rng)
    length = max(turn.end for turn in placed) + SAMPLE_RATE // 2
    one, other = (
        mix([turn for turn in placed if turn.speaker == who], length, rng) for who in (0, 1)
    )
    words = sorted(
        (word for turn in placed for word in turn.words()), key=lambda word: (word.start, word.end)
    )
    return Call((one, other), tuple(words))


def ways(call: Call, leak_db: float) -> Iterator[tuple[str, Samples]]:
    """Yield each way to hear a call: float32, shape (samples, channels)."""
    one, other = call.sides
    both = np.float32(0.5) * (one + other)
    yield "apart", np.stack([one, other], 1)
    yield "cross-talk", np.stack([one + _leak(other, leak_db), other + _leak(one, leak_db)], 1)
    yield "copy", np.stack([both, both], 1)
    yield "silent", np.stack([one, np.zeros_like(one)], 1)
    yield "mono", both[:, None]


def _leak(samples: Samples, leak_db: float) -> Samples:
    late = np.roll(samples, round(LEAK_S * SAMPLE_RATE))
    return np.asarray(late * np.float32(10 ** (leak_db / 20)), np.float32)


# --- scores ---


@dataclass(slots=True)
class Score:
    """What one way made of all calls."""

    spoken: Counter[str] = field(default_factory=Counter)
    """Words, by channel; in `mono` all are on the first."""
    errors: Counter[str] = field(default_factory=Counter)
    found: int = 0
    misplaced: int = 0
    cp_errors: int = 0
    told: int = 0
    """Calls with a warning."""
    processor_s: float = 0.0
    minutes: float = 0.0

    def line(self, way: str) -> str:
        """Return a line of the table."""
        rates = [
            f"{100 * self.errors[channel] / self.spoken[channel]:.1f} %"
            if self.spoken[channel]
            else ("–" if not self.errors[channel] else f"{self.errors[channel]} words")
            for channel in CHANNELS
        ]
        placed, cp = "–", "–"
        if way != "copy":
            placed = f"{self.misplaced} of {self.found}"
            cp = f"{100 * self.cp_errors / sum(self.spoken.values()):.1f} %"
        return (
            f"| {way} | {' | '.join(rates)} | {placed} | {cp} | {self.told} | "
            f"{self.processor_s / self.minutes:.2f} s |"
        )


def truth(way: str, call: Call) -> dict[str, list[SpokenWord]]:
    """Return the words that belong on each channel."""
    if way == "mono":
        return {CHANNELS[0]: list(call.words)}
    if way == "copy":
        return {CHANNELS[0]: list(call.words), CHANNELS[1]: []}
    own = {
        channel: [word for word in call.words if word.speaker == person]
        for channel, person in zip(CHANNELS, PEOPLE, strict=True)
    }
    return own | {CHANNELS[1]: []} if way == "silent" else own


def count(score: Score, way: str, call: Call, told: Transcript) -> None:
    """Add a transcript to the score of a way."""
    for channel, spoken in truth(way, call).items():
        heard = [word for word in told.words if way == "mono" or word.speaker == channel]
        texts = [" ".join(normalise(word.text) for word in words) for words in (spoken, heard)]
        score.spoken[channel] += len(texts[0].split())
        score.errors[channel] += _errors(*texts)
    everybody = [word for words in truth(way, call).values() for word in words]
    score.found += len(told.words)
    score.misplaced += 0 if way == "copy" else fewest_misplaced(told.words, everybody)
    score.cp_errors += score_words(everybody, told.words).cp_errors if way != "copy" else 0
    score.told += bool(told.warnings)
    score.minutes += call.minutes


def _errors(reference: str, found: str) -> int:
    if not reference:
        return len(found.split())
    each = jiwer.process_words(reference, found)
    return each.substitutions + each.deletions + each.insertions


def fewest_misplaced(found: Sequence[Word], spoken: Sequence[SpokenWord]) -> int:
    """Return how many words have the wrong speaker, if speakers are matched with people as well as
    they can be; channels are matched as they are.
    """
    labels = sorted({word.speaker or "" for word in found})
    if set(labels) <= set(CHANNELS):
        return misplaced(found, spoken, dict(zip(CHANNELS, PEOPLE, strict=True)))
    pairs = itertools.permutations([*labels, ""], 2)
    return min(misplaced(found, spoken, dict(zip(pair, PEOPLE, strict=True))) for pair in pairs)


def misplaced(
    found: Sequence[Word], spoken: Sequence[SpokenWord], people: Mapping[str, str]
) -> int:
    """Return how many words somebody said, but not the person whom they were given to."""
    wrong = 0
    for word in found:
        near = {
            one.speaker
            for one in spoken
            if normalise(one.text) == normalise(word.text)
            and abs((one.start + one.end) / 2 - word.midpoint) < NEAR_S
        }
        wrong += bool(near) and people.get(word.speaker or "") not in near
    return wrong


# --- the command ---


def hear(flow: SingleFlow, path: Path, *, is_split: bool) -> tuple[Transcript, float]:
    """Return the transcript of a file, and the processor time that it took."""
    request = SingleRequest(
        Recording(LocalFile(path)),
        speakers=None if is_split else SpeakerCount(),
        channels=Channels.SPLIT if is_split else Channels.MIX,
    )
    began = time.process_time()
    return flow.run(request, Watch()), time.process_time() - began


def main() -> None:
    """Hear all calls, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=FIRST_HELD_OUT_SEED, help="the first seed")
    parser.add_argument("--leak-db", type=float, default=-20.0)
    options = parser.parse_args()
    flow = load_single(Settings(model_id="embedded", diarization_model_id="embedded"))
    scores: dict[str, Score] = {}
    with tempfile.TemporaryDirectory(prefix="channels-") as folder:
        for seed in range(options.first, options.first + options.count):
            call = draw(seed, options.seconds)
            for way, samples in ways(call, options.leak_db):
                path = write_wav(Path(folder) / "call.wav", samples)
                told, took_s = hear(flow, path, is_split=way != "mono")
                score = scores.setdefault(way, Score())
                count(score, way, call, told)
                score.processor_s += took_s
    minutes = scores["mono"].minutes
    print(
        f"{options.count} calls, {minutes:.1f} min, {sum(scores['mono'].spoken.values())} words\n"
    )
    print(
        "| way | WER, channel 1 | WER, channel 2 | in the wrong place | cpWER | calls with a "
        "warning | processor time a minute |\n|---|---|---|---|---|---|---|"
    )
    for way, score in scores.items():
        print(score.line(way))


if __name__ == "__main__":
    main()
