"""Whisper: what speaks for a text of speech and of noise, and our batches beside faster-whisper.

python -m bench.whisper MODEL RECORDINGS [--sounds] [--length-s 300] [--only ours]

MODEL is a folder of a Whisper model for CTranslate2, RECORDINGS one of recordings with their words,
as `make people` and `python -m tests.people.conversations` leave them. With --sounds print the
evidence of each recording's text, and of each sound of `tests/people/sounds.py`. Else make five
minutes of the recordings, the same again and again if there are too few, and print the word error
rate and the seconds of the processor, each system in a process of its own: what ours sets for its
process makes the others faster too. So one row is of theirs with these settings. Loading is not
counted. Text is spelled by Whisper's own English normaliser. Give it one thread
(`OMP_NUM_THREADS=1`): threads that wait for each other count too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from core.domain.request import Decoding
from core.engine import processor
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import BEAM_SIZE
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
    parser.add_argument("--length-s", type=float, default=LENGTH_S, help="at least so much sound")
    parser.add_argument("--only", choices=SYSTEMS, help="one of the systems")
    options = parser.parse_args()
    if options.sounds:
        _evidence(options.model, options.recordings)
    elif options.only:
        _measure(options.only, options.model, *_joined(options.recordings, options.length_s))
    else:
        print("| | *WER* | left out | added | seconds |\n|---|---|---|---|---|", flush=True)
        for name in SYSTEMS:
            command = [sys.executable, "-m", "bench.whisper", *sys.argv[1:], "--only", name]
            subprocess.run(command, check=True)


def _evidence(model: Path, recordings: Path) -> None:
    network = Network(model, "cpu")
    known = [(path.stem, sounds.samples(sound)) for path, sound, _ in _recordings(recordings)]
    noise = [(sound.__name__, sounds.samples(sound())) for sound in sounds.WORDLESS]
    for name, samples in known + noise:
        windows = network.encode([samples])
        guess = windows.guesses[0]
        draft = network.write(windows, Decoding(guess.language if guess else "en"))[0]
        loop = "loop" if draft.is_loop else ""
        print(f"{name:24} {draft.evidence:6.2f} {loop:5}{draft.text[:60]!r}")


def _measure(name: str, model: Path, samples: Samples, text: str) -> None:
    transcribe = SYSTEMS[name](model)
    started = time.process_time()
    heard = transcribe(samples)
    taken_s = time.process_time() - started
    wrong = jiwer.process_words(_spelled(text), _spelled(heard))
    print(
        f"| {name} | {100 * wrong.wer:.1f} % | {wrong.deletions} | {wrong.insertions} "
        f"| {taken_s:.1f} |",
        flush=True,
    )


Transcribe = Callable[[Samples], str]


def _ours(model: Path, *, beam_size: int = BEAM_SIZE) -> Transcribe:
    engine = BatchTranscriber(
        lambda: WhisperModel(model, device="cpu", beam_size=beam_size), name=model.name
    )
    return lambda samples: _words(engine, samples)


def _sequential(model: Path, *, told: bool = True, ready: bool = False) -> Transcribe:
    from faster_whisper import WhisperModel as Theirs

    if ready:
        processor.make_ready()
    theirs = Theirs(str(model), device="cpu", compute_type="int8")

    def transcribe(samples: Samples) -> str:
        found, _ = theirs.transcribe(
            samples, language="en", word_timestamps=True, condition_on_previous_text=told
        )
        return " ".join(segment.text for segment in found)

    return transcribe


def _batched(model: Path) -> Transcribe:
    from faster_whisper import BatchedInferencePipeline
    from faster_whisper import WhisperModel as Theirs

    pipeline = BatchedInferencePipeline(Theirs(str(model), device="cpu", compute_type="int8"))

    def transcribe(samples: Samples) -> str:
        found, _ = pipeline.transcribe(samples, language="en", word_timestamps=True, batch_size=8)
        return " ".join(segment.text for segment in found)

    return transcribe


SYSTEMS: dict[str, Callable[[Path], Transcribe]] = {
    "ours": _ours,
    "… with BEAM_SIZE=2": partial(_ours, beam_size=2),
    "… with BEAM_SIZE=1": partial(_ours, beam_size=1),
    "faster-whisper": _sequential,
    "… with our memory and instructions": partial(_sequential, ready=True),
    "… without the text before": partial(_sequential, told=False),
    "… in batches": _batched,
}


def _words(transcriber: BatchTranscriber, samples: Samples) -> str:
    found = transcriber.transcribe(
        transcriber.cut([samples]),
        decoding=Decoding("en"),
        progress=lambda _: None,
        cancelled=lambda: False,
    )
    return " ".join(word.text for word in found.words)


def _recordings(folder: Path) -> Iterator[tuple[Path, sounds.Sound, str]]:
    for path in sorted(folder.glob("*.wav")):
        words = json.loads(path.with_suffix(".json").read_text())["words"]
        yield path, sounds.read(path), " ".join(word["text"] for word in words)


def _joined(folder: Path, length_s: float) -> tuple[Samples, str]:
    pieces: list[Samples] = []
    texts: list[str] = []
    for _, sound, text in itertools.cycle(list(_recordings(folder))):
        pieces += [sound.astype(np.float32), np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)]
        texts.append(text)
        if sum(map(len, pieces)) >= length_s * SAMPLE_RATE:
            return np.concatenate(pieces), " ".join(texts)
    raise SystemExit(f"{folder.name}: there are no recordings")


if __name__ == "__main__":
    main()
