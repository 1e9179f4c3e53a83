"""The speech corpus: sentences spoken by synthetic voices, kept as log-mel features with the times
of the words.

    python -m training.speech_data --out build/speech --hours 16 --natural 0.6

Written in shards that a training can read while later ones are still being made: `shard_0000.npy`
holds the features of all its utterances one after the other, float16 of shape (frames, 80), not
normalised; `shard_0000.json` says which frames belong to which utterance, and its words.
With `--natural 0.6`, six in ten lines come from the conversations of `training.conversations`, in
their order; with `--answers 0.1`, one in ten is a short answer such as "I see.".
`dev_short.npz` and `dev_long.npz` are audio that training never sees.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal

from training.conversations import Conversations, conversation_words
from training.dialogues import BACKCHANNELS, SHORT_ANSWERS
from training.sentences import Deck, Sentences
from training.voices import SAMPLE_RATE, TimedWord, Utterance, Voice, random_voice, synthesise

FRAME_S = 0.01
MEL_BANDS = 80
SHARD_S = 1200.0
LONGEST_UTTERANCE_S = 16.0
DEV_SEED = 1_000_003

FRONT_END: dict[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "normalize": "per_feature",
    "window_size": 0.025,
    "window_stride": FRAME_S,
    "window": "hann",
    "features": MEL_BANDS,
    "n_fft": 512,
    "frame_splicing": 1,
    "dither": 0.0,
    "pad_to": 0,
}
"""NeMo's mel front end as in Parakeet 0.6B, with 80 bands and no dither (the same audio gives the
same answer).
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance of a shard: its frames [start, start + frames) and its words, times in seconds
    from its start.
    """

    start: int
    frames: int
    words: tuple[TimedWord, ...]
    grammatical: bool
    """False for words in random order."""
    follows: bool = False
    """Whether it answers or continues the recording before it."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say."""

    text: str
    grammatical: bool
    follows: bool = False
    """Whether it answers or continues the line before it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Features (frames, 80) float16, memory-mapped, and the recordings in them."""

    features: np.ndarray
    recordings: tuple[Recording, ...]


def read_shard(path: Path) -> Shard:
    """Read the shard whose `.json` index is at `path`."""
    rows = json.loads(path.read_text())
    recordings = tuple(
        Recording(
            row["start"],
            row["frames"],
            tuple(TimedWord(*word) for word in row["words"]),
            row["grammatical"],
            row.get("follows", False),
        )
        for row in rows
    )
    return Shard(np.load(path.with_suffix(".npy"), mmap_mode="r"), recordings)


class LogMel:
    """NeMo's log-mel features without the normalisation (which belongs to the whole model input,
    not to a part).
    """

    def __init__(self) -> None:
        import torch
        from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor

        torch.set_num_threads(1)
        self._torch = torch
        self._front_end = AudioToMelSpectrogramPreprocessor(
            **{**FRONT_END, "normalize": "none"}
        ).eval()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """float32 samples (n,) at 16 kHz -> float16 features (n // 160, 80)."""
        with self._torch.inference_mode():
            wave = self._torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None]
            features, lengths = self._front_end(
                input_signal=wave, length=self._torch.tensor([wave.shape[1]])
            )
        return features[0, :, : int(lengths[0])].T.numpy().astype(np.float16)


def random_line(sentences: Sentences, rng: np.random.Generator) -> Line:
    """Mostly one sentence, sometimes two in a row, sometimes words without grammar."""
    kind = rng.random()
    if kind < 0.72:
        return Line(sentences.sentence(), grammatical=True)
    if kind < 0.84:
        return Line(sentences.turn(2), grammatical=True)
    return Line(sentences.word_list(int(rng.integers(2, 7))), grammatical=False)


def harder_voice(rng: np.random.Generator) -> Voice:
    """A random voice, with more of those that the model finds hard: flite's rather than
    espeak-ng's.
    """
    voice = random_voice(rng)
    easy = {"espeak": 0.45, "rms": 0.6}.get(
        voice.engine if voice.engine == "espeak" else voice.name, 1.0
    )
    return voice if rng.random() < easy else harder_voice(rng)


def natural_lines(conversations: Conversations, rng: np.random.Generator) -> Iterator[Line]:
    """A conversation's turns one after the other, some of them a sentence at a time."""
    follows = False
    for turn in conversations.draw():
        for text in turn.sentences() if rng.random() < 0.4 else [turn.text]:
            yield Line(text, grammatical=True, follows=follows)
            follows = True


def random_lines(sentences: Sentences, words: Deck, rng: np.random.Generator) -> Iterator[Line]:
    """One line of the grammar; now and then, words of conversations without any grammar."""
    if rng.random() < 0.06:
        text = " ".join(words.draw() for _ in range(int(rng.integers(2, 7))))
        yield Line(sentences.written(text + "."), grammatical=False)
    else:
        yield random_line(sentences, rng)


@dataclass(frozen=True, slots=True)
class Shares:
    """What the lines are, as shares of 0 to 1; the rest is of the grammar."""

    natural: float = 0.0
    """From conversations, in their order."""
    answers: float = 0.0
    """What people say while somebody else speaks."""


def lines(seed: int, shares: Shares, held_out: bool) -> Iterator[Line]:
    """An endless stream of lines."""
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    sentences, conversations = Sentences(chance), Conversations(chance, held_out)
    words = Deck(sorted(conversation_words()), chance)
    natural, total = 0, 0
    while True:
        due = shares.natural and natural <= shares.natural * total
        if rng.random() < shares.answers:
            source = iter([Line(str(rng.choice(SHORT_ANSWERS + BACKCHANNELS)), grammatical=True)])
        elif due:
            source = natural_lines(conversations, rng)
        else:
            source = random_lines(sentences, words, rng)
        for line in source:
            natural, total = natural + bool(due), total + 1
            yield line


def utterances(
    seed: int, shares: Shares = Shares(), held_out: bool = False
) -> Iterator[tuple[Line, Utterance]]:
    """An endless stream of lines, each spoken by another voice; texts that an engine splits
    differently are skipped. The conversations are the held-out ones or all others.
    """
    rng = np.random.default_rng(seed)
    broken = False
    for line in lines(seed, shares, held_out):
        try:
            utterance = synthesise(line.text, harder_voice(rng))
        except (ValueError, RuntimeError):
            broken = True
            continue
        if 0.2 < len(utterance.samples) / SAMPLE_RATE < LONGEST_UTTERANCE_S:
            yield replace(line, follows=line.follows and not broken), utterance
            broken = False
        else:
            broken = True


def in_a_room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light reverberation: a direct path and an exponentially decaying tail of noise; float32 (n,)
    in and out.
    """
    decay_s = rng.uniform(0.08, 0.4)
    time_s = np.arange(int(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(time_s.size) * 10 ** (-3 * time_s / decay_s)
    tail[0] = 0
    tail *= 10 ** (-rng.uniform(3, 14) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return scipy.signal.fftconvolve(samples, tail)[: samples.size].astype(np.float32)


def through_a_narrow_channel(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A low-pass filter between 3.4 and 7.5 kHz, as telephones and lossy coding leave it; float32
    (n,) in and out.
    """
    filter_ = scipy.signal.butter(6, rng.uniform(3400, 7500), fs=SAMPLE_RATE, output="sos")
    return scipy.signal.sosfilt(filter_, samples).astype(np.float32)


def distorted(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave most utterances alone; put some in a room, some through a narrow channel."""
    if rng.random() < 0.4:
        samples = in_a_room(samples, rng)
    if rng.random() < 0.12:
        samples = through_a_narrow_channel(samples, rng)
    return samples


def write_shard(out: Path, number: int, seed: int, shares: Shares) -> None:
    """Make shard `number`; a shard that exists is kept.

    Its random numbers depend on `seed` and `number` alone.
    """
    index = out / f"shard_{number:04d}.json"
    if index.exists():
        return
    log_mel, rng = _log_mel(), np.random.default_rng([seed, number, 1])
    parts, rows, frames = [], [], 0
    stream = utterances(int(np.random.default_rng([seed, number]).integers(2**31)), shares)
    for line, utterance in stream:
        features = log_mel(distorted(utterance.samples, rng))
        words = [(word.text, word.start, word.end) for word in utterance.words]
        rows.append(
            {
                "start": frames,
                "frames": len(features),
                "words": words,
                "grammatical": line.grammatical,
                "follows": line.follows,
            }
        )
        parts.append(features)
        frames += len(features)
        if frames * FRAME_S >= SHARD_S:
            break
    np.save(index.with_suffix(".npy"), np.concatenate(parts))
    partial = index.with_suffix(".partial")
    partial.write_text(json.dumps(rows))
    partial.rename(index)


_LOG_MEL: list[LogMel] = []


def _log_mel() -> LogMel:
    if not _LOG_MEL:
        _LOG_MEL.append(LogMel())
    return _LOG_MEL[0]


def room_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a random spectral slope between white and brown, float32 (count,), of unit
    power.
    """
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum /= np.maximum(np.arange(spectrum.size), 20) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, count)
    return (noise / np.std(noise)).astype(np.float32)


def write_dev_sets(out: Path, count: int = 100) -> None:
    """Short clean utterances of the grammar, and noisy 20-25 s sequences of several voices at
    different levels, of the grammar and of held-out conversations.
    """
    rng, stream = np.random.default_rng(DEV_SEED), utterances(DEV_SEED)
    short = [next(stream) for _ in range(count)]
    _write_audio(
        out / "dev_short.npz", [(utterance.samples, line.text) for line, utterance in short]
    )
    _write_audio(out / "dev_long.npz", [_sequence(stream, rng) for _ in range(count // 4)])
    natural = utterances(DEV_SEED, Shares(natural=1.0), held_out=True)
    _write_audio(out / "dev_natural.npz", [_sequence(natural, rng) for _ in range(count // 4)])


def _sequence(
    stream: Iterator[tuple[Line, Utterance]], rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    parts, texts, limit = [], [], rng.uniform(18, 23) * SAMPLE_RATE
    while sum(part.size for part in parts) < limit:
        line, utterance = next(stream)
        gap = np.zeros(int(rng.uniform(0.05, 0.9) * SAMPLE_RATE), np.float32)
        parts += [utterance.samples * 10 ** (-rng.uniform(0, 10) / 20), gap]
        texts.append(line.text)
    samples = np.concatenate(parts)
    noise = (
        room_noise(samples.size, rng)
        * np.sqrt(np.mean(samples**2))
        * 10 ** (-rng.uniform(12, 35) / 20)
    )
    return (samples + noise) * 0.6, " ".join(texts)


def _write_audio(path: Path, rows: list[tuple[np.ndarray, str]]) -> None:
    samples = {
        f"samples_{i}": np.round(row[0] * 32767).clip(-32768, 32767).astype(np.int16)
        for i, row in enumerate(rows)
    }
    np.savez(path, texts=np.array([row[1] for row in rows]), **samples)


def read_audio(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """A dev set: float32 waveforms (n,) at 16 kHz in -1..1, and what is said in each."""
    data = np.load(path)
    texts = [str(text) for text in data["texts"]]
    return [data[f"samples_{i}"].astype(np.float32) / 32768 for i in range(len(texts))], texts


def main() -> None:
    """Parse the command line and write the corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=16.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--natural", type=float, default=0.0, help="share of lines, 0 to 1")
    parser.add_argument("--answers", type=float, default=0.0, help="share of lines, 0 to 1")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_dev_sets(arguments.out)
    numbers = range(round(arguments.hours * 3600 / SHARD_S))
    shares = Shares(arguments.natural, arguments.answers)
    jobs = [(arguments.out, number, arguments.seed, shares) for number in numbers]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        pool.starmap(write_shard, jobs, chunksize=1)


if __name__ == "__main__":
    main()
