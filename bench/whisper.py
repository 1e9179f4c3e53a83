"""Whisper: what speaks for a text of speech and of noise, and our batches beside faster-whisper.

python -m bench.whisper MODEL RECORDINGS [--sounds]

MODEL is a folder of a Whisper model for CTranslate2, RECORDINGS one of recordings with their words,
as `make people` and `python -m tests.people.conversations` leave them. With --sounds print the
evidence of each recording's text, and of each sound of `tests/people/sounds.py`. Else make five
minutes of the recordings and print the word error rate and the seconds of all cores, each system in
turn. Text is spelled by Whisper's own English normaliser. Give it one thread (`OMP_NUM_THREADS=1`):
threads that wait for each other count too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from core.domain.request import Decoding
from core.media.audio import SAMPLE_RATE, Samples
from core.speech.transcriber import BatchTranscriber
from core.speech.whisper import WhisperModel
from core.speech.whisper_network import Network
from tests.people import sounds

LENGTH_S = 300.0
PAUSE_S = 1.0
_spelled = EnglishTextNormalizer()


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--sounds", action="store_true")
    options = parser.parse_args()
    (_evidence if options.sounds else _rivals)(options.model, options.recordings)


def _evidence(model: Path, recordings: Path) -> None:
    network = Network(model, "cpu")
    known = [(path.stem, samples) for path, samples, _ in _recordings(recordings)]
    noise = [(sound.__name__, sounds.samples(sound())) for sound in sounds.WORDLESS]
    for name, samples in known + noise:
        windows = network.encode([samples])
        guess = windows.guesses[0]
        draft = network.write(windows, Decoding(guess.language if guess else "en"))[0]
        loop = "loop" if draft.is_loop else ""
        print(f"{name:24} {draft.evidence:6.2f} {loop:5}{draft.text[:60]!r}")


def _rivals(model: Path, recordings: Path) -> None:
    samples, text = _five_minutes(recordings)
    for name, transcribe in _systems(model).items():
        started = time.process_time()
        heard = transcribe(samples)
        taken_s = time.process_time() - started
        wrong = jiwer.process_words(_spelled(text), _spelled(heard))
        print(
            f"{name:32} WER {100 * wrong.wer:5.1f} %, {wrong.deletions} left out, "
            f"{wrong.insertions} added, {taken_s:6.1f} s of all cores"
        )


def _systems(model: Path) -> dict[str, Callable[[Samples], str]]:
    from faster_whisper import BatchedInferencePipeline
    from faster_whisper import WhisperModel as Theirs

    ours = BatchTranscriber(lambda: WhisperModel(model, device="cpu"), name=model.name)
    theirs = Theirs(str(model), device="cpu", compute_type="int8")

    def batched(samples: Samples) -> str:
        pipeline = BatchedInferencePipeline(theirs)
        found, _ = pipeline.transcribe(samples, language="en", word_timestamps=True, batch_size=8)
        return " ".join(segment.text for segment in found)

    def sequential(samples: Samples, *, told: bool = True) -> str:
        found, _ = theirs.transcribe(
            samples, language="en", word_timestamps=True, condition_on_previous_text=told
        )
        return " ".join(segment.text for segment in found)

    return {
        "ours": lambda samples: _ours(ours, samples),
        "faster-whisper": sequential,
        "… without the text before": lambda samples: sequential(samples, told=False),
        "… in batches": batched,
    }


def _ours(transcriber: BatchTranscriber, samples: Samples) -> str:
    found = transcriber.transcribe(
        transcriber.cut([samples]),
        decoding=Decoding("en"),
        progress=lambda _: None,
        cancelled=lambda: False,
    )
    return " ".join(word.text for word in found.words)


def _recordings(folder: Path) -> Iterator[tuple[Path, Samples, str]]:
    for path in sorted(folder.glob("*.wav")):
        words = json.loads(path.with_suffix(".json").read_text())["words"]
        yield path, sounds.samples(sounds.read(path)), " ".join(word["text"] for word in words)


def _five_minutes(folder: Path) -> tuple[Samples, str]:
    pieces: list[Samples] = []
    texts: list[str] = []
    for _, samples, text in itertools.cycle(list(_recordings(folder))):
        pieces += [samples, np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)]
        texts.append(text)
        if sum(map(len, pieces)) > LENGTH_S * SAMPLE_RATE:
            return np.concatenate(pieces), " ".join(texts)
    raise SystemExit(f"{folder.name}: there are no recordings")


if __name__ == "__main__":
    main()
