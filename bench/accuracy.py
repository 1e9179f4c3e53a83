"""Accuracy of the whole pipeline on held-out dialogues: WER, DER, speaker counts, cpWER and tcpWER.

    python -m bench.accuracy --count 20
    python -m bench.accuracy --count 20 --only diarization
    python -m bench.accuracy --count 20 --kind natural

The dialogues are those of `training.dialogues` with seeds from 1000 on, natural and random ones.
Nothing was trained or tuned on them. They are made on the first call, which needs flite, espeak-ng,
sox and ffmpeg, and kept in `build/held-out`. The rules of the measures:

- Text is compared in lower case, without any character that is no letter, digit, apostrophe or
  blank.
- WER (jiwer): the words of all speakers in order of time, those of the reference against those of
  the transcript. If two people speak at once that order is arbitrary, which counts as errors; cpWER
  does not suffer from it.
- DER (pyannote.metrics): collar 0, overlapped speech scored, from the start to the end of the
  recording.
- Wrong words (substituted or deleted) among those that one says alone, and among those during which
  somebody else says one.
- cpWER and tcpWER with a collar of 5 s (meeteval): words under the best assignment of speakers. A
  word without a speaker counts as one of a speaker of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jiwer
from meeteval.io import SegLST
from meeteval.wer import cp_word_error_rate, time_constrained_minimum_permutation_word_error_rate

from core.domain.request import Decoding, SpeakerCount
from core.domain.timeline import Diarization, Transcript
from core.domain.timeline import Word as FoundWord
from core.domain.watch import Stage, Watch
from core.flows.load import load_diarization, load_transcription
from core.media import audio, cutting
from core.settings import Settings
from core.transcript.assembly import assemble
from training.dialogues import (
    FIRST_HELD_OUT_SEED,
    KINDS,
    SpokenWord,
    read_reference,
    write_set,
)
from training.diarization_scores import DiarizationScore, annotation, score
from training.diarization_scores import total as total_diarization

COLLAR_S = 5
_REMOVED = re.compile(r"[^\w\s']|_")


@dataclass(frozen=True, slots=True)
class WordScore:
    """Counts of words, which can be summed."""

    spoken: int
    deleted: int
    inserted: int
    substituted: int
    cp_errors: int
    tcp_errors: int
    at_once: int
    """Words during which somebody else says one."""
    at_once_wrong: int
    """Those of them that are substituted or deleted."""

    def rates(self) -> tuple[float, ...]:
        """Return WER, deletions, insertions, substitutions, cpWER and tcpWER per word spoken.

        Then the share of wrong words among those that one says alone, and those that two say at
        once.
        """
        errors = self.deleted + self.inserted + self.substituted
        counts = (
            errors,
            self.deleted,
            self.inserted,
            self.substituted,
            self.cp_errors,
            self.tcp_errors,
        )
        wrong_alone = self.deleted + self.substituted - self.at_once_wrong
        shares = (
            wrong_alone / (self.spoken - self.at_once),
            self.at_once_wrong / max(1, self.at_once),
        )
        return (*(count / self.spoken for count in counts), *shares)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    speakers: str
    diarization: DiarizationScore
    words: WordScore | None


# --- the system ---


class System:
    """The production pipeline with the models of the environment.

    These are the embedded ones if it names no others.
    """

    def __init__(self, only_diarization: bool) -> None:
        os.environ.setdefault("MODEL_ID", "embedded")
        os.environ.setdefault("DIARIZATION_MODEL_ID", "embedded")
        settings = Settings.from_environment()
        self._diarizer = load_diarization(settings).diarizer
        self._transcriber = None if only_diarization else load_transcription(settings).transcriber

    def run(self, path: Path) -> tuple[Diarization, Transcript | None]:
        """Return a recording's turns and, unless only these are wanted, its transcript."""
        watch = Watch()
        waveform = audio.Stream(path, max_duration_s=3600).read()
        diarization = self._diarizer.diarize(
            waveform,
            speakers=SpeakerCount(),
            progress=watch.stage(Stage.DIARIZING),
            cancelled=watch.cancelled,
        )
        if self._transcriber is None:
            return diarization, None
        transcription = self._transcriber.transcribe(
            cutting.utterances([waveform.samples], start_s=waveform.start),
            decoding=self._transcriber.prepared(Decoding()),
            progress=watch.stage(Stage.TRANSCRIBING),
            cancelled=watch.cancelled,
            duration_s=waveform.duration,
        )
        return diarization, assemble(transcription, diarization, duration_s=waveform.end)


# --- scores ---


def normalise(text: str) -> str:
    """Return the text in lower case, without punctuation.

    >>> normalise("No, it's the four-legged one.")
    "no it's the fourlegged one"
    """
    return " ".join(_REMOVED.sub("", text.lower()).split())


def score_words(spoken: Sequence[SpokenWord], found: Sequence[FoundWord]) -> WordScore:
    """Score one transcript."""
    reference, hypothesis = _segments(spoken), _segments(found)
    plain = jiwer.process_words(_text(reference), _text(hypothesis))
    cp = cp_word_error_rate(reference, hypothesis)
    tcp = time_constrained_minimum_permutation_word_error_rate(
        reference, hypothesis, collar=COLLAR_S
    )
    return WordScore(
        plain.hits + plain.substitutions + plain.deletions,
        plain.deletions,
        plain.insertions,
        plain.substitutions,
        cp.errors,
        tcp.errors,
        *_at_once(reference, plain.alignments[0]),
    )


def _at_once(reference: SegLST, alignment: Sequence[jiwer.AlignmentChunk]) -> tuple[int, int]:
    """Return how many words of the reference two say at once, and how many of these are wrong."""
    wrong = {
        index
        for chunk in alignment
        if chunk.type in ("substitute", "delete")
        for index in range(chunk.ref_start_idx, chunk.ref_end_idx)
    }
    at_once = {
        index
        for index, one in enumerate(reference)
        if any(
            other["speaker"] != one["speaker"]
            and other["start_time"] < one["end_time"]
            and one["start_time"] < other["end_time"]
            for other in reference
        )
    }
    return len(at_once), len(at_once & wrong)


def _segments(words: Sequence[SpokenWord | FoundWord]) -> SegLST:
    ordered = sorted(words, key=lambda word: (word.start, word.end))
    return SegLST(
        [
            {
                "session_id": "dialogue",
                "speaker": word.speaker or "nobody",
                "start_time": word.start,
                "end_time": max(word.end, word.start + 0.01),
                "words": text,
            }
            for word in ordered
            if (text := normalise(word.text))
        ]
    )


def _text(segments: SegLST) -> str:
    return " ".join(segment["words"] for segment in segments)


def measure(system: System, recording: Path) -> Row:
    """Run one recording through the pipeline and score it."""
    words, turns = read_reference(recording.with_suffix(".json"))
    diarization, transcript = system.run(recording)
    # mp3 pads the end; what lies past the last word of either side is scored, the padding is
    # silence.
    ends = [*(turn.end for turn in turns), *(turn.end for turn in diarization.turns)]
    scored = score(annotation(turns), annotation(diarization.turns), max(ends))
    found = {turn.speaker for turn in diarization.turns}
    true = {turn.speaker for turn in turns}
    counts = f"{len(found)}/{len(true)}"
    return Row(
        recording.stem,
        counts,
        scored,
        None if transcript is None else score_words(words, transcript.words),
    )


def total(rows: Sequence[Row]) -> Row:
    """Return the last line of the table: errors and words summed over all dialogues."""
    diarization = total_diarization([row.diarization for row in rows])
    scores = [row.words for row in rows if row.words is not None]
    words = WordScore(*map(sum, zip(*map(astuple, scores), strict=True))) if scores else None
    return Row(
        "all", f"{diarization.right_counts}/{diarization.dialogues} right", diarization, words
    )


# --- the table ---

_DIARIZATION_HEAD = f"{'dialogue':<15}{'speakers':>12}{'DER':>7}{'miss':>7}{'f.a.':>7}{'conf':>7}"
_WORDS_HEAD = (
    f"{'WER':>9}{'del':>7}{'ins':>7}{'sub':>7}{'cpWER':>8}{'tcpWER':>8}{'alone':>8}{'at once':>9}"
)


def head(with_words: bool) -> str:
    """Return the first line of the table."""
    return _DIARIZATION_HEAD + (_WORDS_HEAD if with_words else "")


def line(row: Row) -> str:
    """Return a line of the table, all numbers in percent."""
    shares = (row.diarization.error_rate, *row.diarization.shares())
    text = f"{row.name:<15}{row.speakers:>12}" + "".join(f"{100 * share:7.1f}" for share in shares)
    if row.words is not None:
        widths = (9, 7, 7, 7, 8, 8, 8, 9)
        text += "".join(
            f"{100 * rate:{width}.1f}"
            for rate, width in zip(row.words.rates(), widths, strict=True)
        )
    return text


def main() -> None:
    """Make missing dialogues, and print the table (speakers: found/true; the rest in percent)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20, help="dialogues of each kind")
    parser.add_argument("--seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--dialogues", type=Path, default=Path("build/held-out"))
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--only", choices=("diarization",))
    options = parser.parse_args()
    system = System(only_diarization=options.only == "diarization")
    print(head(with_words=options.only is None))
    totals = []
    for kind in options.kind:
        folder = options.dialogues / kind if kind == "natural" else options.dialogues
        rows, began = [], time.monotonic()
        for recording in write_set(folder, options.count, options.seed, kind=kind):
            rows.append(measure(system, recording))
            print(line(rows[-1]), flush=True)
        totals.append(line(replace(total(rows), name=kind)))
        print(f"{time.monotonic() - began:.0f} s for {len(rows)} {kind} dialogues")
    print("\n".join(totals))


if __name__ == "__main__":
    main()
