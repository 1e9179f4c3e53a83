"""Words and speakers of people's speech: ours beside the tools that it is compared with.

    make people
    python -m bench.people [--only call] [--keep build/answers]

On the call of two women and on conversations made of single readers (`tests.people.conversations`),
with Whisper base and the speaker models of `make people`. The rules of the measures:

- Text is spelled by Whisper's own English normaliser: numbers, titles and contractions alike on
  both sides.
- WER (jiwer) of the words in order of time; deletions also apart.
- DER (pyannote.metrics): collar 0, overlapped speech scored.
- cpWER and tcpWER with a collar of 5 s (meeteval): words under the best assignment of speakers. A
  word without a speaker counts as one of a speaker of its own.
- whisperX's rule labels our words with our turns; so does ours. Its segments are sentences, as it
  has them after its alignment, or chunks of 30 s, as it has them without.
- Seconds by the clock and of the processor, and the peak of memory, are those of a process that
  does nothing else; loading is not counted. With --keep, answers that are there are not made anew.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")

import jiwer
from meeteval.io import SegLST
from meeteval.wer import cp_word_error_rate, time_constrained_minimum_permutation_word_error_rate
from whisper_normalizer.english import EnglishTextNormalizer

from bench import rivals
from examples.split import merge
from tests.people.conversations import write_all
from tests.people.places import ROOT, People, people
from training.dialogues import SpeakerTurn, SpokenWord, read_reference
from training.diarization_scores import annotation, score

COLLAR_S = 5
APART_S = 2.0
"""Words of one speaker that are further apart are scored as two segments."""
THREADS = 1
"""Of each library, in every process: more of them fight for the cores of a shared machine."""
_spelled = EnglishTextNormalizer()
logging.getLogger("preprocess").setLevel(logging.ERROR)  # meeteval, of segments that last long


@dataclass(frozen=True, slots=True)
class Count:
    """Errors, and what they are counted against; sums add up."""

    errors: float
    of: float

    def __add__(self, other: Count) -> Count:
        return Count(self.errors + other.errors, self.of + other.of)

    def __str__(self) -> str:
        return f"{100 * self.errors / self.of:.1f}"


Scores = dict[str, Count]


@dataclass(frozen=True, slots=True)
class Truth:
    """A recording, and who says what when."""

    recording: Path
    words: tuple[SpokenWord, ...]
    turns: tuple[SpeakerTurn, ...]

    @classmethod
    def of(cls, recording: Path) -> Truth:
        """Read what is beside a recording."""
        return cls(recording, *read_reference(recording.with_suffix(".json")))


# --- running ---


def answers_of(name: str, recordings: Sequence[Path], own: People, kept: Path) -> dict[str, Any]:
    """Run one of `rivals.RUNS` in a process of its own, unless its answers are there."""
    answers = kept / f"{name}.json"
    if answers.exists():
        return dict(json.loads(answers.read_text()))
    environment = {
        **os.environ,
        "MODEL_ID": str(own.speech),
        "DIARIZATION_MODEL_ID": str(own.speakers),
        "OMP_NUM_THREADS": str(THREADS),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), own.python_path]),
    }
    command = (sys.executable, "-m", "bench.people", "--run", name, "--answers", str(answers))
    subprocess.run([*command, *map(str, recordings)], env=environment, check=True)
    return dict(json.loads(answers.read_text()))


# --- scoring ---


def score_words(truth: Truth, words: Sequence[SpokenWord]) -> Scores:
    """Score words without their speakers."""
    plain = jiwer.process_words(_text(truth.words), _text(words))
    spoken = plain.hits + plain.substitutions + plain.deletions
    errors = plain.substitutions + plain.deletions + plain.insertions
    return {"WER": Count(errors, spoken), "deleted": Count(plain.deletions, spoken)}


def score_speakers(truth: Truth, words: Sequence[SpokenWord]) -> Scores:
    """Score words with their speakers."""
    spoken, found = _segments(truth.words), _segments(words)
    cp = cp_word_error_rate(spoken, found)
    tcp = time_constrained_minimum_permutation_word_error_rate(spoken, found, collar=COLLAR_S)
    return {"cpWER": Count(cp.errors, cp.length), "tcpWER": Count(tcp.errors, tcp.length)}


def score_turns(truth: Truth, turns: Sequence[SpeakerTurn]) -> Scores:
    """Score who speaks when."""
    end = max(turn.end for turn in (*truth.turns, *turns))
    found = score(annotation(truth.turns), annotation(turns), end)
    errors = found.missed_s + found.false_alarm_s + found.confusion_s
    return {"DER": Count(errors, found.speech_s)}


def _text(words: Sequence[SpokenWord]) -> str:
    return str(_spelled(" ".join(word.text for word in words)))


def _segments(words: Sequence[SpokenWord]) -> SegLST:
    """Return what each speaker says in one go: numbers of several words are spelled as one."""
    runs: list[list[SpokenWord]] = []
    for word in sorted(words, key=lambda word: (word.start, word.end)):
        last = runs[-1][-1] if runs else None
        if last and last.speaker == word.speaker and word.start - last.end <= APART_S:
            runs[-1].append(word)
        else:
            runs.append([word])
    return SegLST(
        [
            {
                "session_id": "recording",
                "speaker": run[0].speaker or "nobody",
                "start_time": run[0].start,
                "end_time": max(run[-1].end, run[0].start + 0.01),
                "words": text,
            }
            for run in runs
            if (text := _text(run))
        ]
    )


# --- the systems ---


def words_of(answer: dict[str, Any]) -> list[SpokenWord]:
    """Return the words of an answer, without their speakers."""
    return [SpokenWord(one["word"], one["start"], one["end"], "") for one in answer["words"]]


def turns_of(answer: dict[str, Any]) -> list[SpeakerTurn]:
    """Return the turns of an answer."""
    return [SpeakerTurn(one["start"], one["end"], one["speaker"]) for one in answer["segments"]]


def our_labels(said: dict[str, Any], spoken: dict[str, Any]) -> list[SpokenWord]:
    """Label words with turns as the workers do."""
    transcript = merge(said, spoken)
    return [
        SpokenWord(word.text, word.start, word.end, word.speaker or "") for word in transcript.words
    ]


Labels = Callable[[dict[str, Any], dict[str, Any], People], list[SpokenWord]]


def _whisperx(rule: Callable[..., list[SpokenWord]]) -> Labels:
    return lambda said, spoken, own: rule(words_of(said), turns_of(spoken), own)


ON_TRUTH = ", true turns"


def true_answer(truth: Truth, found: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of the diarization worker as it would be if it were right."""
    turns = [asdict(turn) for turn in truth.turns]
    count = len({turn.speaker for turn in truth.turns})
    return {**found, "num_speakers": count, "segments": turns, "exclusive_segments": turns}


LABELS: dict[str, Labels] = {
    "ours": lambda said, spoken, _: our_labels(said, spoken),
    "whisperX, by word": _whisperx(rivals.by_word),
    "whisperX, by sentence": _whisperx(rivals.by_sentence),
    "whisperX, by chunk": _whisperx(rivals.by_chunk),
}


def measured(truths: Sequence[Truth], own: People, kept: Path) -> dict[str, dict[str, Scores]]:
    """Run and score everything; by system and recording."""
    recordings = [truth.recording for truth in truths]
    ran = {name: answers_of(name, recordings, own, kept) for name in rivals.RUNS}
    rows: dict[str, dict[str, Scores]] = {}
    for truth in truths:
        name = truth.recording.stem
        found = {run: answers["answers"][name]["answer"] for run, answers in ran.items()}
        for run, answer in found.items():
            is_words = "words" in answer
            scores = (
                score_words(truth, words_of(answer))
                if is_words
                else score_turns(truth, turns_of(answer))
            )
            rows.setdefault(run, {})[name] = scores
        told = {"": found["our turns"], ON_TRUTH: true_answer(truth, found["our turns"])}
        for (rule, label), (which, turns) in product(LABELS.items(), told.items()):
            labelled = label(found["our words"], turns, own)
            rows.setdefault(rule + which, {})[name] = score_speakers(truth, labelled)
    for run, answers in ran.items():
        costs = {
            kind: sum(answers["answers"][path.stem][kind] for path in recordings)
            for kind in ("wall_s", "processor_s")
        }
        rows[run]["cost"] = {
            kind: Count(cost, 100)
            for kind, cost in {**costs, "peak_mb": answers["peak_mb"]}.items()
        }
    return rows


# --- the table ---

MEASURES = ("WER", "deleted", "DER", "cpWER", "tcpWER", "wall_s", "processor_s", "peak_mb")


def show(rows: dict[str, dict[str, Scores]], names: Sequence[str]) -> None:
    """Print all over the recordings, then the WER and the cpWER of each recording."""
    print("| |" + "".join(f" {measure} |" for measure in MEASURES))
    print("|---|" + "---|" * len(MEASURES))
    for system, by_name in rows.items():
        cells = [_total(by_name, measure, [*names, "cost"]) for measure in MEASURES]
        print(f"| {system} |" + "".join(f" {cell} |" for cell in cells))
    runs = [run for run in rivals.RUNS if "WER" in rows[run][names[0]]]
    _show_each("WER", runs, rows, names)
    rules = [rule + which for rule, which in product(LABELS, ("", ON_TRUTH))]
    _show_each("cpWER", rules, rows, names)


def _show_each(
    measure: str,
    systems: Sequence[str],
    rows: dict[str, dict[str, Scores]],
    names: Sequence[str],
) -> None:
    print(f"\n| {measure} |" + "".join(f" {name} |" for name in names))
    print("|---|" + "---|" * len(names))
    for system in systems:
        print(f"| {system} |" + "".join(f" {rows[system][name][measure]} |" for name in names))


def _total(by_name: dict[str, Scores], measure: str, names: Sequence[str]) -> str:
    counts = [by_name[name][measure] for name in names if measure in by_name.get(name, {})]
    return str(sum(counts, Count(0, 0))) if counts else "–"


def main() -> None:
    """Measure and print, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", help="names of recordings, such as call")
    parser.add_argument("--keep", type=Path, help="a folder for answers")
    parser.add_argument("--run", choices=rivals.RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--answers", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("recordings", nargs="*", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    own = people()
    if options.run:
        answers = rivals.run_all(options.run, own, options.recordings)
        options.answers.write_text(json.dumps(answers))
        return
    paths = [own.recording("call"), *write_all(ROOT / "build/conversations")]
    chosen = [path for path in paths if not options.only or path.stem in options.only]
    with tempfile.TemporaryDirectory() as folder:
        kept = options.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        rows = measured([Truth.of(path) for path in chosen], own, kept)
    show(rows, [path.stem for path in chosen])


if __name__ == "__main__":
    main()
