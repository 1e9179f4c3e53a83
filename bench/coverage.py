"""What a second look at speech without words brings back, and what it costs.

    python -m bench.coverage [--count 200] [--minutes 30] [--clean 20] [--only blanks noise]

All with the embedded speech model, on the held-out dialogues of `bench.accuracy`. Three parts:

- `blanks`: stretches of dialogues of 12 to 50 s, each with one or two blanks of 0.7 to 8 s whose
  words the model forgets (`bench.blanking`), a quarter of them at the first attempt to find them
  too. Blanks lie anywhere, at the start of an utterance, after the longest silence, or across a
  seam. Of the blanked words those are the same that come back with the same letters within half a
  second, and those are other in whose place another word came back: the model hears a stretch alone
  differently. Both are back. Doubled words were there already, and added ones are in nobody's
  place.
- `noise`: what is found in minutes of noise, tones and music, by the first look and by the second.
  The embedded model knows little and hears words in anything; what counts is the second.
- `clean`: dialogues without blanks. Are the words those of the first look alone? What share of the
  recording is heard again, and how long does it take to look for speech?

Everything is drawn from seeds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from bench.blanking import Blank, Blanking
from core.domain.request import Decoding
from core.domain.timeline import Span, Transcription, Word
from core.media.audio import SAMPLE_RATE, Samples, Stream
from core.media.cutting import Utterance
from core.modelstore import find_speech_model
from core.speech.parakeet import ParakeetModel
from core.speech.second_look import CARE
from core.speech.sound import speech
from core.speech.transcriber import BatchTranscriber
from core.transcript.assembly import assemble
from core.transcript.coverage import coverage
from tests.people import sounds
from training.dialogues import FIRST_HELD_OUT_SEED, write_set

BLANK_S = (0.7, 8.0)
STRETCH_S = (12.0, 50.0)
TWO_BLANKS_S = 35.0
"""Longer recordings have two."""
STUBBORN = 0.25
NEAR_S = 0.5
COLUMNS = ("blanks", "words", "same", "other", "doubled", "added", "filled", "gaps")
PLACES = ("anywhere", "start of an utterance", "after silence", "across a seam")


class Ear:
    """The embedded model, which can be made to forget, behind the queue of a worker."""

    def __init__(self) -> None:
        path = find_speech_model("embedded").path
        self.model = Blanking(ParakeetModel(path, device="cpu"))
        self._transcriber = BatchTranscriber(lambda: self.model, name="embedded")

    def hear(
        self, samples: Samples, blanks: Sequence[Blank] = (), *, twice: bool = True
    ) -> Transcription:
        """Transcribe a recording, float32, shape (samples,); without a second look if wanted."""
        self._transcriber._care = CARE if twice else replace(CARE, least_s=float("inf"))
        return self._transcriber.transcribe(
            self.model.cut(samples, blanks),
            decoding=self._transcriber.prepared(Decoding()),
            progress=lambda _: None,
            cancelled=lambda: False,
        )


# --- blanks ---


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of words."""

    words: int
    """Blanked."""
    same: int
    """Came back with the same letters."""
    other: int
    """Came back as other words: in their place there is one that was not there."""
    doubled: int
    """There again, though they were there."""
    added: int
    """Others of which there were none."""


def place(
    rng: np.random.Generator, kind: str, whole: Transcription, cut: Sequence[Utterance]
) -> Blank:
    """Draw a blank of one kind."""
    length_s = float(rng.uniform(*BLANK_S))
    end_s = cut[-1].end
    starts = {
        "anywhere": float(rng.uniform(0, max(0.0, end_s - length_s))),
        "start of an utterance": cut[int(rng.integers(len(cut)))].start,
        "after silence": _after_silence(whole.words),
        "across a seam": cut[int(rng.integers(len(cut)))].start - length_s * float(rng.random()),
    }
    start = max(0.0, starts[kind])
    return Blank(Span(start, start + length_s), bool(rng.random() < STUBBORN))


def _after_silence(words: Sequence[Word]) -> float:
    pauses = [
        (after.start - before.end, after.start) for before, after in itertools.pairwise(words)
    ]
    return max(pauses, default=(0.0, 0.0))[1] - 0.05


def score(whole: Sequence[Word], found: Sequence[Word], blanks: Sequence[Blank]) -> Score:
    """Compare the words of a recording with blanks with those of the same without."""
    blanked = {
        index for index, word in enumerate(whole) if any(blank.holds(word) for blank in blanks)
    }
    paired = dict(_paired(whole, found))
    extra = [word for index, word in enumerate(found) if index not in set(paired.values())]
    missing = [whole[index] for index in blanked - set(paired)]
    others = [word for word in missing if any(word.overlap(one) > 0 for one in extra)]
    unasked = [word for word in extra if not any(word.overlap(one) > 0 for one in missing)]
    doubled = [
        word
        for word in unasked
        if any(one.letters == word.letters and _near(one, word) for one in whole)
    ]
    return Score(
        len(blanked),
        len(blanked & set(paired)),
        len(others),
        len(doubled),
        len(unasked) - len(doubled),
    )


def _near(one: Word, other: Word) -> bool:
    return abs(one.midpoint - other.midpoint) < NEAR_S


def _paired(whole: Sequence[Word], found: Sequence[Word]) -> Iterator[tuple[int, int]]:
    matcher = SequenceMatcher(
        None, [word.letters for word in whole], [word.letters for word in found], autojunk=False
    )
    for first, other, count in matcher.get_matching_blocks():
        for index in range(count):
            if _near(whole[first + index], found[other + index]):
                yield first + index, other + index


def stretches(
    dialogues: Sequence[Samples], count: int, seed: int
) -> Iterator[tuple[np.random.Generator, Samples]]:
    """Draw recordings; a third have silence before them."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        samples = dialogues[int(rng.integers(len(dialogues)))]
        length = round(float(rng.uniform(*STRETCH_S)) * SAMPLE_RATE)
        first = int(rng.integers(max(1, len(samples) - length)))
        silence = np.zeros(round(float(rng.uniform(0.3, 3.0)) * SAMPLE_RATE), np.float32)
        taken = samples[first : first + length]
        yield rng, np.concatenate([silence, taken]) if rng.random() < 1 / 3 else taken.copy()


def blanks(ear: Ear, dialogues: Sequence[Samples], count: int, seed: int) -> None:
    """Print what comes back."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in (*PLACES, "all")}
    for number, (rng, samples) in enumerate(stretches(dialogues, count, seed)):
        kind = PLACES[number % len(PLACES)]
        whole = ear.hear(samples)
        cut = ear.model.cut(samples)
        lost = [place(rng, kind, whole, cut) for _ in range(1 + (cut[-1].end > TWO_BLANKS_S))]
        found = ear.hear(samples, lost)
        told = assemble(found, None, duration_s=cut[-1].end)
        counted = Counter(asdict(score(whole.words, found.words, lost)))
        counted += Counter(blanks=len(lost), filled=told.repaired, gaps=len(told.gaps))
        counts[kind] += counted
        counts["all"] += counted
    print(f"{'blanks':<24}" + "".join(f"{name:>9}" for name in COLUMNS))
    for kind, counter in counts.items():
        back = 100 * (counter["same"] + counter["other"]) / max(1, counter["words"])
        print(f"{kind:<24}" + "".join(f"{counter[name]:9}" for name in COLUMNS) + f"{back:8.2f} %")


# --- noise ---


def non_speech(minutes: int, seed: int) -> Iterator[Samples]:
    """Yield a minute each of noise, tones and music, at levels drawn from the seed."""
    kinds: tuple[Callable[[float], sounds.Sound], ...] = (
        sounds.noise, sounds.tone, sounds.music, sounds.hold_music, sounds.breathing,
        sounds.laughter,
    )  # fmt: skip
    for number in range(minutes):
        rng = np.random.default_rng([seed, number])
        joined = np.concatenate([kinds[int(rng.integers(len(kinds)))](30.0) for _ in range(2)])
        joined *= rng.uniform(0.2, 2.0)
        joined += rng.standard_normal(len(joined)) * 10 ** (rng.uniform(-80, -40) / 20)
        yield np.clip(joined, -1, 1).astype(np.float32)


def noise(ear: Ear, minutes: int, seed: int) -> None:
    """Print what is found in non-speech."""
    first = second = 0
    first_s = again_s = 0.0
    for samples in non_speech(minutes, seed):
        once, twice = ear.hear(samples, twice=False), ear.hear(samples)
        first += len(once.words)
        second += len(set(twice.words) - set(once.words))
        first_s, again_s = first_s + ear.model.first_s, again_s + ear.model.again_s
    print(
        f"{first_s / 60:.0f} min without speech: {first} words by the first look, {second} more by "
        f"the second; {again_s / first_s:.1%} heard again"
    )


# --- clean ---


def clean(ear: Ear, dialogues: Sequence[Samples]) -> None:
    """Print what the second look does to clean speech, and what it costs."""
    equal = more = fewer = gaps = 0
    first_s = again_s = looking_s = 0.0
    for samples in dialogues:
        once, twice = ear.hear(samples, twice=False), ear.hear(samples)
        equal += once.words == twice.words and once.characters == twice.characters
        more += len(set(twice.words) - set(once.words))
        fewer += len(set(once.words) - set(twice.words))
        gaps += len(coverage(twice).gaps)
        first_s, again_s = first_s + ear.model.first_s, again_s + ear.model.again_s
        cut = ear.model.cut(samples)
        started = time.perf_counter()
        for utterance in cut:
            speech(utterance.samples)
        looking_s += time.perf_counter() - started
    print(
        f"{len(dialogues)} dialogues, {first_s / 60:.1f} min: the words are those of the first "
        f"look in {equal} ({more} more, {fewer} fewer words), {gaps} gaps;\n"
        f"{again_s / first_s:.2%} heard again; looking for speech takes "
        f"{60_000 * looking_s / first_s:.1f} ms a minute of sound"
    )


def main() -> None:
    """Make missing dialogues, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--first", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--only", choices=("blanks", "noise", "clean"), nargs="*")
    parser.add_argument("--dialogues", type=Path, default=Path("build/held-out"))
    options = parser.parse_args()
    paths = write_set(options.dialogues, options.clean, options.first)
    dialogues = [Stream(path, max_duration_s=3600).read().samples for path in paths]
    ear = Ear()
    only = options.only or ("clean", "noise", "blanks")
    if "clean" in only:
        clean(ear, dialogues)
    if "noise" in only:
        noise(ear, options.minutes, options.seed)
    if "blanks" in only:
        blanks(ear, dialogues, options.count, options.seed)


if __name__ == "__main__":
    main()
