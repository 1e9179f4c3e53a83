"""Words of a long file beside those of the clips it is made of.

    python -m bench.joined --count 12

The dialogues of `bench.accuracy`, each by itself and all of them one after the other, as samples,
so that no coding differs. `one batch` has the clips' own utterances in one job, so it differs from
`clips` by who shares a batch; `joined` is cut anew, so that some utterances hold the end of one
dialogue and the start of the next; `joined, level` is the same with all dialogues equally loud.
`across` tells how many words of `joined` lie in such utterances, and how many of them are missing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jiwer
import numpy as np

from bench.accuracy import normalise
from core.domain.request import Decoding
from core.domain.timeline import Word
from core.domain.watch import Stage, Watch
from core.flows.load import load_transcription
from core.media import audio, cutting
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import Settings
from training.dialogues import FIRST_HELD_OUT_SEED, KINDS, SpokenWord, read_reference, write_set

LOUDNESS = 0.05
"""The root mean square to which dialogues are brought for `joined, level`."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A dialogue and where it begins in the long file, seconds."""

    samples: Samples
    words: tuple[SpokenWord, ...]
    start: float

    @property
    def end(self) -> float:
        """Where it ends in the long file."""
        return self.start + len(self.samples) / SAMPLE_RATE


def clips(recordings: Iterable[Path]) -> list[Clip]:
    """Return the dialogues, one after the other."""
    found: list[Clip] = []
    for path in recordings:
        words, _ = read_reference(path.with_suffix(".json"))
        samples = audio.Stream(path, max_duration_s=3600).read().samples
        found.append(Clip(samples, words, found[-1].end if found else 0.0))
    return found


class Ears:
    """The speech model of the environment; the embedded one if it names no other."""

    def __init__(self) -> None:
        os.environ.setdefault("MODEL_ID", "embedded")
        self._transcriber = load_transcription(Settings.from_environment()).transcriber

    def hear(self, utterances: Sequence[cutting.Utterance]) -> list[Word]:
        """Return the words of one job."""
        watch = Watch()
        return list(
            self._transcriber.transcribe(
                iter(utterances),
                decoding=self._transcriber.prepared(Decoding()),
                progress=watch.stage(Stage.TRANSCRIBING),
                cancelled=watch.cancelled,
                duration_s=utterances[-1].end,
            ).words
        )


def cut(samples: Samples, start_s: float = 0.0) -> list[cutting.Utterance]:
    """Return the utterances that a job of these samples has."""
    return list(cutting.utterances([samples], start_s=start_s))


def levelled(samples: Samples) -> Samples:
    """Return the samples at the common loudness."""
    loudness = float(np.sqrt(np.mean(samples**2)))
    equal: Samples = (samples * (LOUDNESS / loudness)).astype(np.float32)
    return equal


def report(name: str, spoken: Sequence[SpokenWord], found: Sequence[Word]) -> None:
    """Print a line: errors per spoken word, in percent."""
    truth, heard = (normalise(" ".join(w.text for w in words)) for words in (spoken, found))
    score = jiwer.process_words(truth, heard)
    count = score.hits + score.substitutions + score.deletions
    shares = [score.wer] + [n / count for n in (score.deletions, score.insertions)]
    figures = "".join(f"{100 * share:8.2f}" for share in shares)
    print(f"{name:<16}{figures}  of {count} words", flush=True)


def moved(clip: Clip) -> list[SpokenWord]:
    """Return a clip's words at their place in the long file."""
    return [
        SpokenWord(w.text, w.start + clip.start, w.end + clip.start, w.speaker) for w in clip.words
    ]


def compare(ears: Ears, parts: Sequence[Clip]) -> None:
    """Print the table of one kind of dialogues."""
    spoken = [word for part in parts for word in moved(part)]
    print(f"{'':<16}{'WER':>8}{'deleted':>8}{'added':>8}")
    report("clips", spoken, [word for part in parts for word in ears.hear(cut(part.samples))])
    report("one batch", spoken, ears.hear([u for p in parts for u in cut(p.samples, p.start)]))
    long = cut(np.concatenate([part.samples for part in parts]))
    found = ears.hear(long)
    report("joined", spoken, found)
    level = cut(np.concatenate([levelled(part.samples) for part in parts]))
    report("joined, level", spoken, ears.hear(level))
    joins = [part.start for part in parts[1:]]
    across = [u for u in long if any(u.start + 0.1 < join < u.end - 0.1 for join in joins)]

    def inside(words: Iterable[SpokenWord | Word]) -> list[SpokenWord | Word]:
        return [w for w in words if any(u.start <= w.start < u.end for u in across)]

    report("across", inside(spoken), inside(found))  # type: ignore[arg-type]
    print(f"{len(across)} of {len(long)} utterances hold two dialogues")


def main() -> None:
    """Print a table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=12, help="dialogues")
    parser.add_argument("--dialogues", type=Path, default=Path("build/held-out"))
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    ears = Ears()
    for kind in options.kind:
        folder = options.dialogues / kind if kind == "natural" else options.dialogues
        print(kind)
        compare(ears, clips(write_set(folder, options.count, FIRST_HELD_OUT_SEED, kind=kind)))


if __name__ == "__main__":
    main()
