"""Train the embedded speaker embedding, pyannote's x-vector on MFCC, and the PLDA that clusters its
output.

    python -m training.voicebank --out build/voicebank
    python -m training.train_embedding --bank build/voicebank \
        --out build/embedding/pytorch_model.bin --minutes 30
    python -m training.voicebank --out build/voicebank-plda --voices 250 --long 6 --short 1 --seed 3
    python -m training.train_embedding --bank build/voicebank-plda \
        --out build/embedding/pytorch_model.bin --plda build/plda

The PLDA has voices of its own: those that the embedding was trained on vary less than voices that
it never heard. Speakers of the bank are told apart with an additive angular margin (Deng et al.,
"ArcFace", 2019). Crops carry a mask as in pyannote's pipeline: the rest of a crop is somebody else,
silence or noise, and only the masked frames are pooled.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import XVectorMFCC
from scipy.linalg import eigh
from scipy.signal import fftconvolve
from torch.nn import functional

from training import checkpoints, voicebank
from training.coding import COARSEST, FINEST, through_mp3
from training.dialogues import coloured_noise, room_response, speech_spans, tell_apart
from training.voicebank import VoiceBank
from training.voices import SAMPLE_RATE, TimedWord

DIMENSION = 128
LDA_DIMENSION = 64
CROP_S = 2.5
CROP_SAMPLES = int(CROP_S * SAMPLE_RATE)
MASK_STEP = SAMPLE_RATE // 100
SCALE = 24.0
MARGIN = 0.15
CODED = 0.6
"""The share of the crops that have been mp3."""
MFCC = {
    "n_mfcc": 40,
    "log_mels": True,
    "melkwargs": {"n_fft": 512, "hop_length": 320, "n_mels": 64, "f_min": 40.0, "f_max": 7600.0},
}


@dataclass(frozen=True, slots=True)
class Crop:
    """2.5 s: samples float32 (40000,), the mask of the speaker's frames float32 (250,), the
    speaker's index.
    """

    samples: np.ndarray
    mask: np.ndarray
    speaker: int


# --- data ---


class Crops:
    """Crops of the bank's speech with rooms, noise, levels and other people."""

    def __init__(self, bank: VoiceBank, seed: int) -> None:
        self._bank = bank
        self._rng = np.random.default_rng([seed, 40])

    def crop(self, speaker: int) -> Crop:
        """A crop of one speaker; two in five share it with somebody else or with silence."""
        rng = self._rng
        samples, mask = (
            self._speech(speaker, CROP_SAMPLES),
            np.ones(CROP_SAMPLES // MASK_STEP, np.float32),
        )
        if rng.random() < 0.4:
            own = int(rng.uniform(0.9, 2.2) * SAMPLE_RATE) // MASK_STEP * MASK_STEP
            rest = CROP_SAMPLES - own
            other = self._speech(int(rng.integers(len(self._bank.voices))), rest) * 10 ** (
                rng.uniform(-12, 12) / 20
            )
            samples = np.concatenate([samples[:own], other * (rng.random() < 0.7)])
            mask[own // MASK_STEP :] = 0
        if rng.random() < 0.5:
            samples = np.roll(samples, shift := int(rng.integers(len(mask))) * MASK_STEP)
            mask = np.roll(mask, shift // MASK_STEP)
        heard = self._noisy(samples)
        if rng.random() < CODED:
            heard = through_mp3(heard, rng.uniform(FINEST, COARSEST))
        return Crop(heard, mask, speaker)

    def _speech(self, speaker: int, length: int) -> np.ndarray:
        utterances, parts, total = self._bank.utterances[speaker], [], 0
        while total < length:
            item = utterances[self._rng.integers(len(utterances))]
            words = [TimedWord("", start, end) for start, end in item.words]
            for start_s, end_s in speech_spans(words):
                start, end = (item.start + int(at * SAMPLE_RATE) for at in (start_s, end_s))
                parts.append(self._bank.samples[start : min(end, item.start + item.length)])
                total += len(parts[-1])
        speech = np.concatenate(parts).astype(np.float32) / 32768
        start = int(self._rng.integers(len(speech) - length + 1))
        return speech[start : start + length]

    def _noisy(self, samples: np.ndarray) -> np.ndarray:
        rng = self._rng
        if rng.random() < 0.4:
            response = room_response(rng.uniform(0.1, 0.4), rng.uniform(0.02, 0.3), rng)
            samples = fftconvolve(samples, response)[: len(samples)]
        samples = _tinted(samples, rng)
        rms = float(np.sqrt(np.mean(samples**2))) + 1e-6
        noisy = samples + coloured_noise(len(samples), rng) * (
            rms * 10 ** (-rng.uniform(4, 45) / 20)
        )
        peak = float(np.abs(noisy).max()) + 1e-6
        return (noisy * (0.9 * 10 ** (rng.uniform(-24, 0) / 20) / peak)).astype(np.float32)


def _tinted(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech through some microphone: a smooth curve of up to 6 dB either way over the octaves."""
    octaves = np.arange(8)
    gains_db = rng.uniform(-6, 6, len(octaves)) * rng.random()
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    places = np.log2(np.maximum(hertz, 62.5) / 62.5)
    return np.fft.irfft(spectrum * 10 ** (np.interp(places, octaves, gains_db) / 20), len(samples))


@dataclass(frozen=True, slots=True)
class Batch:
    """samples (batch, 1, 40000), masks (batch, 250), speakers (batch,)."""

    samples: torch.Tensor
    masks: torch.Tensor
    speakers: torch.Tensor


def gather(crops: list[Crop]) -> Batch:
    """Stack crops."""
    return Batch(
        torch.from_numpy(np.stack([crop.samples for crop in crops]))[:, None],
        torch.from_numpy(np.stack([crop.mask for crop in crops])),
        torch.tensor([crop.speaker for crop in crops]),
    )


def batches(bank: VoiceBank, size: int, seed: int) -> Iterator[Batch]:
    """An endless stream of batches, every speaker as often as any other."""
    crops, rng = Crops(bank, seed), np.random.default_rng([seed, 41])
    while True:
        order = rng.permutation(len(bank.voices))
        for start in range(0, len(order) - size + 1, size):
            yield gather([crops.crop(int(speaker)) for speaker in order[start : start + size]])


# --- model ---


class Standardised(torch.nn.Module):
    """The x-vector network with standardised MFCC, which `folded` moves into the first
    convolution.
    """

    def __init__(self, sample: torch.Tensor) -> None:
        super().__init__()
        self.network = XVectorMFCC(mfcc=MFCC, dimension=DIMENSION)
        self.network.specifications = Specifications(
            problem=Problem.REPRESENTATION,
            resolution=Resolution.CHUNK,
            duration=CROP_S,
            min_duration=1.0,
        )
        self.network.setup()
        with torch.no_grad():
            features = self.network.mfcc(sample)[:, 0]
        self.register_buffer("mean", features.mean(dim=(0, 2)))
        self.register_buffer("deviation", features.std(dim=(0, 2)))

    def forward(self, samples: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """(batch, 1, samples) and (batch, frames) -> embeddings (batch, 128)."""
        with torch.no_grad(), torch.autocast(samples.device.type, enabled=False):
            features = (self.network.mfcc(samples)[:, 0] - self.mean[:, None]) / self.deviation[
                :, None
            ]
        for layer in self.network.tdnns:
            features = layer(features)
        with torch.autocast(samples.device.type, enabled=False):
            # The pooling's standard deviation has no finite gradient at zero.
            noise = 1e-3 * torch.randn_like(features, dtype=torch.float32)
            return self.network.embedding(
                self.network.stats_pool(features.float() + noise, weights=masks)
            )

    def resume(self, path: Path) -> None:
        """Take the weights of a model that `folded` made, and take its folding back."""
        self.network.load_state_dict(Model.from_pretrained(path).state_dict())
        convolution = self.network.tdnns[0]
        with torch.no_grad():
            convolution.bias += (convolution.weight * self.mean[None, :, None]).sum(dim=(1, 2))
            convolution.weight *= self.deviation[None, :, None]

    def folded(self) -> XVectorMFCC:
        """The same function as a plain pyannote model that takes MFCC as they are."""
        network = copy.deepcopy(self.network).cpu().eval()
        convolution = network.tdnns[0]
        mean, deviation = self.mean.cpu(), self.deviation.cpu()
        with torch.no_grad():
            convolution.weight /= deviation[None, :, None]
            convolution.bias -= (convolution.weight * mean[None, :, None]).sum(dim=(1, 2))
        return network


def angular_margin_loss(
    embeddings: torch.Tensor, centres: torch.Tensor, speakers: torch.Tensor, margin: float
) -> torch.Tensor:
    """ArcFace: cross-entropy of scaled cosines, the right speaker's angle widened by `margin`
    radians; a scalar.
    """
    cosines = functional.linear(
        functional.normalize(embeddings), functional.normalize(centres)
    ).clamp(-0.9999, 0.9999)
    widened = torch.cos(torch.acos(cosines) + margin)
    own = functional.one_hot(speakers, len(centres)).bool()
    return functional.cross_entropy(SCALE * torch.where(own, widened, cosines), speakers)


@torch.inference_mode()
def embed(model: Model, crops: list[Crop]) -> np.ndarray:
    """Embeddings float64 (len(crops), 128)."""
    parts = [gather(crops[start : start + 64]) for start in range(0, len(crops), 64)]
    return np.concatenate(
        [model(part.samples, weights=part.masks).numpy() for part in parts]
    ).astype(np.float64)


def equal_error_rate(model: Model, bank: VoiceBank, crops_per_voice: int = 6) -> float:
    """EER of cosine scores between crops, over pairs of people who can be told apart."""
    source = Crops(bank, 99)
    crops = [
        source.crop(speaker) for speaker in range(len(bank.voices)) for _ in range(crops_per_voice)
    ]
    embeddings = embed(model, crops)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    scores = embeddings @ embeddings.T
    speakers = np.array([crop.speaker for crop in crops])
    distinct = np.array([[tell_apart(one, other) for other in bank.voices] for one in bank.voices])
    upper = np.triu(np.ones_like(scores, bool), k=1)
    same = np.sort(scores[upper & (speakers[:, None] == speakers)])
    different = np.sort(scores[upper & distinct[speakers][:, speakers]])
    thresholds = np.linspace(-1, 1, 2001)
    missed = np.searchsorted(same, thresholds) / len(same)
    accepted = 1 - np.searchsorted(different, thresholds) / len(different)
    return float(np.min(np.maximum(missed, accepted)))


def train(
    bank: VoiceBank,
    unseen: VoiceBank,
    out: Path,
    minutes: float,
    batch_size: int,
    peak_rate: float,
    seed: int,
    start: Path | None = None,
) -> None:
    """Train for `minutes`, writing a checkpoint every two minutes and at the end."""
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stream = batches(bank, batch_size, seed)
    model = Standardised(next(stream).samples).to(device).train()
    if start:
        model.resume(start)
    centres = torch.nn.Parameter(torch.randn(len(bank.voices), DIMENSION, device=device))
    trained = [*model.parameters(), centres]
    optimiser = torch.optim.AdamW(trained, lr=peak_rate, weight_decay=1e-3)
    began, saved, losses = time.monotonic(), time.monotonic(), []
    for step, batch in enumerate(stream, start=1):
        done = (time.monotonic() - began) / (60 * minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = peak_rate * min(step / 50, 0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
        with torch.autocast(device.type, torch.bfloat16):
            embeddings = model(batch.samples.to(device), batch.masks.to(device))
        margin = MARGIN * min(1.0, max(0.0, 3 * done - 0.5))
        loss = angular_margin_loss(embeddings.float(), centres, batch.speakers.to(device), margin)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimiser.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(
                f"{60 * minutes * done:.0f} s step {step} loss {np.mean(losses[-50:]):.4f}",
                flush=True,
            )
        if time.monotonic() - saved > 120:
            _save(model, unseen, out, step)
            saved = time.monotonic()
    _save(model, unseen, out, step)


def _save(model: Standardised, unseen: VoiceBank, out: Path, step: int) -> None:
    folded = model.folded()
    checkpoints.save(folded, out, torch.float16)
    print(
        f"step {step}: EER of unseen voices {100 * equal_error_rate(folded, unseen):.2f}%",
        flush=True,
    )


# --- PLDA ---


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, d) of length sqrt(d)."""
    return vectors * (np.sqrt(vectors.shape[1]) / np.linalg.norm(vectors, axis=1, keepdims=True))


def scatter(vectors: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance within and between speakers, each (d, d)."""
    names, index, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    means = np.stack([vectors[speakers == name].mean(axis=0) for name in names])
    within = (vectors - means[index]).T @ (vectors - means[index]) / (len(vectors) - len(names))
    # The means of n crops still hold 1/n of the covariance within.
    between = np.cov(means.T) - within / counts.mean()
    values, directions = np.linalg.eigh(between)
    return within, (directions * np.maximum(values, 1e-6)) @ directions.T


def estimate_plda(
    vectors: np.ndarray, speakers: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The two files of pyannote's `PLDA`: centring, length and LDA; then the two-covariance model
    (Ioffe, 2006).

    vectors: float64 (n, 128); speakers: (n,).
    """
    mean1 = vectors.mean(axis=0)
    centred = normalised(vectors - mean1)
    within, between = scatter(centred, speakers)
    _, directions = eigh(between, within)
    lda = directions[:, ::-1][:, :LDA_DIMENSION]
    projected = centred @ lda
    mean2 = projected.mean(axis=0)
    prepared = normalised(projected - mean2)
    within, between = scatter(prepared, speakers)
    psi, transform = eigh(between, within)
    plda = {
        "mu": prepared.mean(axis=0),
        "tr": transform.T[::-1].copy(),
        "psi": np.maximum(psi[::-1], 1e-6).copy(),
    }
    return {"mean1": mean1, "mean2": mean2, "lda": lda.copy()}, plda


def write_plda(model: Model, bank: VoiceBank, folder: Path, crops_per_voice: int = 10) -> None:
    """Estimate the PLDA from the bank's voices and write `xvec_transform.npz` and `plda.npz`."""
    source = Crops(bank, 98)
    crops = [
        source.crop(speaker) for speaker in range(len(bank.voices)) for _ in range(crops_per_voice)
    ]
    transform, plda = estimate_plda(embed(model, crops), np.array([crop.speaker for crop in crops]))
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "xvec_transform.npz", **transform)
    np.savez(folder / "plda.npz", **plda)


def main() -> None:
    """Train the embedding, or with --plda estimate the PLDA of a trained one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plda", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a model of this script to go on from")
    options = parser.parse_args()
    bank = VoiceBank.read(options.bank)
    if options.plda:
        write_plda(Model.from_pretrained(options.out).eval(), bank, options.plda)
        return
    unseen = options.bank.with_name(options.bank.name + "-unseen")
    if not (unseen / "index.json").exists():
        voicebank.write(
            unseen,
            voices=60,
            long_utterances=4,
            short_utterances=1,
            seed=voicebank.TRAINING_SEED + 1,
        )
    train(
        bank,
        VoiceBank.read(unseen),
        options.out,
        options.minutes,
        options.batch_size,
        options.peak_rate,
        options.seed,
        options.start,
    )


if __name__ == "__main__":
    main()
