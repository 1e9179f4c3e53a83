"""Train the embedded speaker segmentation: pyannote's PyanNet, small, on mixtures of synthetic
people.

    python -m training.voicebank --out build/voicebank
    python -m training.train_segmentation --bank build/voicebank \
        --out build/segmentation/pytorch_model.bin --minutes 30

The loss is the powerset cross-entropy under the best permutation of the speakers of a chunk
(Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization",
2023). Three things make a step cheap: the sinc filters keep their mel-spaced start values, so that
no gradient has to pass the layer that runs fastest; frames are twice as long as pyannote's (34 ms);
and with `--frozen-front` all layers before the LSTM stay as they are, so that what they make of a
chunk is computed once and used several times.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.utils.powerset import Powerset

from training import checkpoints
from training.dialogues import Manner, SpeakerTurn, converse
from training.precision import bfloat16_is_fast
from training.voicebank import VoiceBank
from training.voices import SAMPLE_RATE

CHUNK_S = 4.0
"""community-1 looks at 10 s.

A model of this size mistakes similar voices for each other the more often, the more of them it
hears; in 4 s there are mostly two, and the embeddings tell apart the rest.
"""
CHUNK_SAMPLES = int(CHUNK_S * SAMPLE_RATE)
SPEAKERS_PER_CHUNK = 3
SPEAKERS_AT_ONCE = 2
TRAINING_MANNER = Manner(
    gap_s=(0.0, 1.5),
    cut_in_probability=0.4,
    overlap_s=(0.1, 1.5),
    backchannel_probability=0.25,
    long_pause_probability=0.06,
)
POOL_CHUNKS = 256
FEATURE_POOL_CHUNKS = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """`CHUNK_S` of a mixture: samples float32 (64000,), activity float32 (frames, 3) of zeros and
    ones.
    """

    samples: np.ndarray
    activity: np.ndarray


def new_model() -> PyanNet:
    """A PyanNet with random weights and fixed mel-spaced sinc filters, 3 speakers in a chunk and 2
    at once.
    """
    model = PyanNet(
        sincnet={"stride": 20},
        lstm={
            "hidden_size": 96,
            "num_layers": 2,
            "bidirectional": True,
            "monolithic": True,
            "dropout": 0.0,
        },
        linear={"hidden_size": 64, "num_layers": 2},
    )
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=CHUNK_S,
        min_duration=CHUNK_S,
        warm_up=(0.0, 0.0),
        classes=[f"speaker#{number}" for number in range(1, SPEAKERS_PER_CHUNK + 1)],
        powerset_max_classes=SPEAKERS_AT_ONCE,
        permutation_invariant=True,
    )
    model.setup()
    model.sincnet.wav_norm1d.requires_grad_(False)
    model.sincnet.conv1d[0].requires_grad_(False)
    return model


def frame_times_s(model: PyanNet) -> np.ndarray:
    """Centres of the model's output frames in a chunk, seconds, float64 (frames,)."""
    frames = model.num_frames(CHUNK_SAMPLES)
    return np.array([model.receptive_field_center(frame) for frame in range(frames)]) / SAMPLE_RATE


def activity(turns: Sequence[SpeakerTurn], start_s: float, times_s: np.ndarray) -> np.ndarray:
    """Who speaks at `start_s + times_s`: float32 (frames, speakers heard), the most talkative
    first.
    """
    names = sorted({turn.speaker for turn in turns})
    active = np.zeros((len(times_s), len(names)), np.float32)
    for turn in turns:
        inside = (times_s + start_s >= turn.start) & (times_s + start_s < turn.end)
        active[inside, names.index(turn.speaker)] = 1
    spoken = active.sum(axis=0)
    order = [index for index in np.argsort(-spoken) if spoken[index] > 0]
    return active[:, order]


def chunks(bank: VoiceBank, seed: int, times_s: np.ndarray) -> Iterator[Chunk]:
    """An endless stream of chunks, each of some dialogue of 1 to 4 people of the bank."""
    rng = np.random.default_rng([seed, 30])
    while True:
        count = int(rng.choice([1, 2, 3, 4], p=[0.12, 0.38, 0.3, 0.2]))
        dialogue = converse(
            bank.company(count, rng), float(rng.uniform(40, 80)), TRAINING_MANNER, rng
        )
        for start in range(0, len(dialogue.samples) - CHUNK_SAMPLES, CHUNK_SAMPLES * 3 // 4):
            active = activity(dialogue.turns, start / SAMPLE_RATE, times_s)
            if active.shape[1] <= SPEAKERS_PER_CHUNK:
                padded = np.pad(active, ((0, 0), (0, SPEAKERS_PER_CHUNK - active.shape[1])))
                yield Chunk(dialogue.samples[start : start + CHUNK_SAMPLES], padded)


@dataclass(frozen=True, slots=True)
class Example:
    """What the trained part sees of a chunk, float16 or float32, and who speaks, (frames, 3)."""

    heard: torch.Tensor
    activity: torch.Tensor


class Front:
    """The layers before the trained part: none, or with `frozen` all of those before the LSTM."""

    def __init__(self, model: PyanNet, frozen: bool) -> None:
        self._model, self._frozen = model, frozen

    @torch.inference_mode()
    def example(self, chunk: Chunk) -> Example:
        """Samples (1, 64000), or features (60, frames) in float16: many of them are kept."""
        samples, active = torch.from_numpy(chunk.samples)[None], torch.from_numpy(chunk.activity)
        if not self._frozen:
            return Example(samples, active)
        device = next(self._model.parameters()).device
        return Example(self._model.sincnet(samples[None].to(device))[0].half().cpu(), active)

    def scores(self, heard: torch.Tensor) -> torch.Tensor:
        """Log probabilities (batch, frames, classes) of a batch of examples."""
        model = self._model
        if not self._frozen:
            return model(heard)
        outputs, _ = model.lstm(heard.float().transpose(1, 2))
        for layer in model.linear:
            outputs = torch.nn.functional.leaky_relu(layer(outputs))
        return model.activation(model.classifier(outputs))


def batches(
    stream: Iterator[Example], size: int, pool_size: int, uses: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of what is heard and of activity (size, frames, 3), drawn from a pool so that a batch
    mixes dialogues.

    With each batch `size / uses` examples are new: the pool grows up to `pool_size`, then they take
    others' places.
    """
    rng = np.random.default_rng([seed, 31])
    pool = [next(stream) for _ in range(min(POOL_CHUNKS, pool_size))]
    while True:
        chosen = [pool[index] for index in rng.choice(len(pool), size, replace=False)]
        yield (
            torch.stack([example.heard for example in chosen]),
            torch.stack([example.activity for example in chosen]),
        )
        for _ in range(math.ceil(size / uses)):
            if len(pool) < pool_size:
                pool.append(next(stream))
            else:
                pool[rng.integers(len(pool))] = next(stream)


def best_permutation(
    scores: torch.Tensor, active: torch.Tensor, powerset: Powerset
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss (batch,) and targets (batch, frames) under each chunk's best order of the speakers.

    scores: log probabilities (batch, frames, classes); active: (batch, frames, 3).
    """
    losses, targets = [], []
    for order in powerset.permutation_mapping:
        target = powerset.to_powerset(active[..., list(order)]).argmax(dim=-1)
        targets.append(target)
        losses.append(-scores.gather(-1, target[..., None])[..., 0].mean(dim=-1))
    loss, best = torch.stack(losses).min(dim=0)
    return loss, torch.stack(targets)[best, torch.arange(len(best), device=best.device)]


@torch.inference_mode()
def evaluate(
    model: PyanNet, held_out: Sequence[Chunk], powerset: Powerset, device: torch.device
) -> str:
    """Share of right powerset frames, and missed, false and confused speaker time against the
    reference's.
    """
    model.eval()
    right = missed = false_alarm = confused = spoken = frames = 0.0
    for start in range(0, len(held_out), 16):
        part = held_out[start : start + 16]
        wave = torch.from_numpy(np.stack([chunk.samples for chunk in part]))[:, None].to(device)
        active = torch.from_numpy(np.stack([chunk.activity for chunk in part])).to(device)
        scores = model(wave)
        _, target = best_permutation(scores, active, powerset)
        found, truth = powerset.mapping[scores.argmax(dim=-1)], powerset.mapping[target]
        right += float((found == truth).all(dim=-1).sum())
        frames += target.numel()
        extra = found.sum(dim=-1) - truth.sum(dim=-1)
        missed += float((-extra).clamp(min=0).sum())
        false_alarm += float(extra.clamp(min=0).sum())
        common = (found * truth).sum(dim=-1)
        confused += float((torch.minimum(found.sum(dim=-1), truth.sum(dim=-1)) - common).sum())
        spoken += float(truth.sum())
    model.train()
    shares = " ".join(
        f"{name} {100 * value / spoken:.1f}%"
        for name, value in (
            ("missed", missed),
            ("false alarm", false_alarm),
            ("confused", confused),
        )
    )
    return f"right frames {100 * right / frames:.2f}% {shares}"


def train(bank: VoiceBank, options: argparse.Namespace) -> None:
    """Train for `minutes`, from `start`'s weights if given, writing a checkpoint every two minutes
    and at the end.
    """
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = new_model()
    if options.start is not None:
        model.load_state_dict(Model.from_pretrained(options.start).state_dict())
    model.to(device).train()
    front = Front(model, options.frozen_front)
    if options.frozen_front:
        model.sincnet.requires_grad_(False)
    powerset = Powerset(SPEAKERS_PER_CHUNK, SPEAKERS_AT_ONCE).to(device)
    times_s = frame_times_s(model)
    held_out_stream = chunks(bank, options.seed + 1_000_000, times_s)
    held_out = [next(held_out_stream) for _ in range(96)]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        trained, lr=options.peak_rate, weight_decay=1e-3, betas=(0.9, 0.98)
    )
    examples = (front.example(chunk) for chunk in chunks(bank, options.seed, times_s))
    pool_size, uses = (FEATURE_POOL_CHUNKS, 4) if options.frozen_front else (POOL_CHUNKS, 2)
    began, saved, losses = time.monotonic(), time.monotonic(), []
    for step, (heard, active) in enumerate(
        batches(examples, options.batch_size, pool_size, uses, options.seed), start=1
    ):
        done = (time.monotonic() - began) / (60 * options.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = (
                options.peak_rate * min(step / 100, 0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
            )
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
            scores = front.scores(heard.to(device))
        loss = best_permutation(scores.float(), active.to(device), powerset)[0].mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(
                f"{60 * options.minutes * done:.0f} s step {step} loss "
                f"{np.mean(losses[-100:]):.4f}",
                flush=True,
            )
        if time.monotonic() - saved > 180:
            checkpoints.save(model, options.out)
            print(f"step {step}: {evaluate(model, held_out, powerset, device)}", flush=True)
            saved = time.monotonic()
    checkpoints.save(model, options.out)
    print(f"end: {evaluate(model, held_out, powerset, device)}", flush=True)


def main() -> None:
    """Train and write the checkpoint."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--frozen-front", action="store_true", help="train the LSTM and what follows it only"
    )
    parser.add_argument(
        "--bfloat16", action=argparse.BooleanOptionalAction, default=bfloat16_is_fast()
    )
    options = parser.parse_args()
    train(VoiceBank.read(options.bank), options)


if __name__ == "__main__":
    main()
