"""Train the embedded speech model: a small FastConformer TDT, built as Parakeet 0.6B is, on the
corpus of `speech_data`.

    python -m training.train_speech --data build/speech --out models/embedded/speech.nemo \
        --budget-minutes 80

The synthesiser tells when each word is spoken, so the training never has to find that out. Three
losses are summed, with weights that follow the share of the budget that is used up:

* frame: cross-entropy of a temporary head, which token is being spoken in each 80 ms frame (leads
  at first);
* CTC on a second temporary head (https://www.cs.toronto.edu/~graves/icml_2006.pdf);
* TDT (https://arxiv.org/abs/2304.06795), summed over the alignments within a few tokens of the true
  times, which makes
  a long input cost what its parts cost, and keeps the model's word times honest.

The learning rate follows the clock and ends at zero with the budget. The exported weights are a
running average.

A second thread gains nothing for a model as small as this. With `--processes 2` two processes have
batches of their own, and each step is that of their mean gradient.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import tarfile
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from training.precision import bfloat16_is_fast
from training.sentences import Sentences, words_of
from training.speech_data import (
    FRAME_S,
    FRONT_END,
    MEL_BANDS,
    SAMPLE_RATE,
    LogMel,
    Recording,
    read_audio,
    read_shard,
    room_noise,
)

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from sentencepiece import SentencePieceProcessor

DURATIONS = (0, 1, 2, 3, 4)
SUBSAMPLING = 8
ENCODER_FRAME_S = FRAME_S * SUBSAMPLING
BAND = 12
AVERAGE_EVERY = 4
SHORT_FRAMES = 120
"""What is shorter than this, in mel frames, can be said while somebody else speaks."""
ANSWER_SHARE = 0.5
"""How often a line of a conversation is followed by the line that follows it there."""
SPEECH_LOUDNESS = -3.0
"""Mean log-mel of the synthetic voices' loud frames when the samples have unit power (measured)."""
SILENCE = math.log(2**-24)
"""What NeMo's front end gives for digital silence: the logarithm of its guard value."""


@dataclass(frozen=True, slots=True)
class Size:
    """The dimensions of the model."""

    layers: int = 8
    width: int = 144
    heads: int = 4
    kernel: int = 9
    subsampling_channels: int = 32
    prediction: int = 160
    joint: int = 192
    pieces: int = 256


def model_config(size: Size, tokenizer_folder: Path) -> dict[str, Any]:
    """NeMo's configuration of an `EncDecRNNTBPEModel`, as in parakeet-tdt-0.6b-v2 but for the sizes
    and the mel bands.
    """
    durations = list(DURATIONS)
    return {
        "sample_rate": SAMPLE_RATE,
        "log_prediction": False,
        "rnnt_reduction": "mean_volume",
        "skip_nan_grad": False,
        "model_defaults": {
            "enc_hidden": size.width,
            "pred_hidden": size.prediction,
            "joint_hidden": size.joint,
            "tdt_durations": durations,
            "num_tdt_durations": len(durations),
        },
        "tokenizer": {"dir": str(tokenizer_folder), "type": "bpe"},
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            **FRONT_END,
        },
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder",
            "feat_in": MEL_BANDS,
            "feat_out": -1,
            "n_layers": size.layers,
            "d_model": size.width,
            "use_bias": False,
            "subsampling": "dw_striding",
            "subsampling_factor": SUBSAMPLING,
            "subsampling_conv_channels": size.subsampling_channels,
            "causal_downsampling": False,
            "ff_expansion_factor": 4,
            "self_attention_model": "rel_pos",
            "n_heads": size.heads,
            "att_context_size": [-1, -1],
            "xscaling": False,
            "untie_biases": True,
            "pos_emb_max_len": 5000,
            "conv_kernel_size": size.kernel,
            "conv_norm_type": "batch_norm",
            "dropout": 0.0,
            "dropout_pre_encoder": 0.0,
            "dropout_emb": 0.0,
            "dropout_att": 0.0,
            "stochastic_depth_drop_prob": 0.0,
        },
        "decoder": {
            "_target_": "nemo.collections.asr.modules.RNNTDecoder",
            "normalization_mode": None,
            "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {
                "pred_hidden": size.prediction,
                "pred_rnn_layers": 1,
                "t_max": None,
                "dropout": 0.0,
            },
        },
        "joint": {
            "_target_": "nemo.collections.asr.modules.RNNTJoint",
            "log_softmax": None,
            "preserve_memory": False,
            "fuse_loss_wer": False,
            "fused_batch_size": -1,
            "jointnet": {"joint_hidden": size.joint, "activation": "relu", "dropout": 0.05},
            "num_extra_outputs": len(durations),
        },
        "decoding": {
            "strategy": "greedy_batch",
            "model_type": "tdt",
            "durations": durations,
            "greedy": {"max_symbols": 10},
            "beam": {"beam_size": 2, "return_best_hypothesis": False, "score_norm": True},
        },
        "loss": {
            "loss_name": "tdt",
            "tdt_kwargs": {
                "fastemit_lambda": 0.0,
                "clamp": -1.0,
                "durations": durations,
                "sigma": 0.02,
                "omega": 0.1,
            },
        },
    }


def train_tokenizer(folder: Path, pieces: int, seed: int) -> None:
    """Train sentencepiece's BPE on fresh sentences and word lists; leaves `tokenizer.model` and
    `vocab.txt` in the folder.
    """
    import sentencepiece

    sentences = Sentences(random.Random(seed))
    texts = [sentences.word_list(8) if i % 4 == 0 else sentences.sentence() for i in range(40_000)]
    prefix = folder / "tokenizer"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(prefix),
        vocab_size=pieces,
        model_type="bpe",
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    listed = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    (folder / "vocab.txt").write_text("\n".join(listed[1:]) + "\n", encoding="utf-8")


def new_model(size: Size, tokenizer_folder: Path, seed: int) -> EncDecRNNTBPEModel:
    """The untrained model; its tokenizer is trained once into a folder, where NeMo wants to find it
    again when it saves.
    """
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from omegaconf import OmegaConf

    torch.manual_seed(seed)
    tokenizer_folder.mkdir(parents=True, exist_ok=True)
    if not (tokenizer_folder / "tokenizer.model").exists():
        train_tokenizer(tokenizer_folder, size.pieces, seed)
    return EncDecRNNTBPEModel(OmegaConf.create(model_config(size, tokenizer_folder)))


def unpack_tokenizer(path: Path, folder: Path) -> None:
    """Lay the tokenizer of a `.nemo` file out in a folder: its weights mean nothing with another
    one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            name = member.name.rsplit("_", 1)[-1]
            if name in ("tokenizer.model", "tokenizer.vocab", "vocab.txt"):
                (folder / name).write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]


def load_weights(model: EncDecRNNTBPEModel, path: Path) -> None:
    """Take the weights of a model with as many layers or fewer from a `.nemo` file.

    Further layers are added behind them, and change nothing at first: what they would add is zero.
    """
    from nemo.collections.asr.models import ASRModel

    start = ASRModel.restore_from(str(path), map_location="cpu")
    known, layers = len(start.encoder.layers), model.encoder.layers
    model.load_state_dict(start.state_dict(), strict=known == len(layers))
    if known < len(layers):
        _pass_through(layers[known - 1], layers[known:])


@torch.no_grad()
def _pass_through(last: torch.nn.Module, added: torch.nn.ModuleList) -> None:
    added[-1].norm_out.load_state_dict(last.norm_out.state_dict())
    for norm in (last.norm_out, *(layer.norm_out for layer in added[:-1])):
        norm.reset_parameters()
    for layer in added:
        branches = (
            layer.feed_forward1.linear2,
            layer.self_attn.linear_out,
            layer.conv.pointwise_conv2,
            layer.feed_forward2.linear2,
        )
        for branch in branches:
            branch.weight.zero_()


# --- TDT over a band of alignments ---


@numba.njit(cache=True)
def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


@numba.njit(cache=True)
def _tdt_forward_backward(blank, label, duration, low, frames, tokens):  # noqa: ANN001, ANN202, PLR0912, PLR0915
    """Losses and gradients of a batch: -log P and its derivatives by the log-probabilities of
    tokens and durations.

    blank, label: float32 (B, T, S), log-probability of the blank and of the next token in frame t
    after u = low[b, t] + s tokens; duration: float32 (B, T, S, D); low: int64 (B, T); frames,
    tokens: int64 (B,). An arc of duration d leads from (t, u) to (t + d, u) for a blank, d > 0, and
    to (t + d, u + 1) for a token. The end is (frames, tokens), by a blank.
    """
    batch, _, states, lengths = duration.shape
    losses = np.zeros(batch)
    d_blank, d_label, d_duration = (
        np.zeros_like(blank),
        np.zeros_like(label),
        np.zeros_like(duration),
    )
    for b in range(batch):
        end, last = frames[b], tokens[b]
        alpha = np.full((end, states), -np.inf)
        beta = np.full((end, states), -np.inf)
        alpha[0, 0 - low[b, 0]] = 0.0
        total = -np.inf
        for t in range(end):
            for s in range(states):
                a = alpha[t, s]
                u = low[b, t] + s
                if a == -np.inf or u > last:
                    continue
                for d in range(lengths):
                    if t + d < end:
                        if d > 0:
                            to = u - low[b, t + d]
                            if 0 <= to < states:
                                alpha[t + d, to] = _log_add(
                                    alpha[t + d, to], a + blank[b, t, s] + duration[b, t, s, d]
                                )
                        to = u + 1 - low[b, t + d]
                        if u < last and 0 <= to < states:
                            alpha[t + d, to] = _log_add(
                                alpha[t + d, to], a + label[b, t, s] + duration[b, t, s, d]
                            )
                    elif t + d == end and u == last and d > 0:
                        total = _log_add(total, a + blank[b, t, s] + duration[b, t, s, d])
        if total == -np.inf:
            continue
        losses[b] = -total
        for t in range(end - 1, -1, -1):
            for s in range(states - 1, -1, -1):
                a = alpha[t, s]
                u = low[b, t] + s
                if a == -np.inf or u > last:
                    continue
                value = -np.inf
                for d in range(lengths):
                    step = duration[b, t, s, d]
                    rest_blank, rest_label = -np.inf, -np.inf
                    if t + d < end:
                        to = u - low[b, t + d]
                        if d > 0 and 0 <= to < states:
                            rest_blank = beta[t + d, to]
                        to = u + 1 - low[b, t + d]
                        if u < last and 0 <= to < states:
                            rest_label = beta[t + d, to]
                    elif t + d == end and u == last and d > 0:
                        rest_blank = 0.0
                    if rest_blank > -np.inf:
                        arc = blank[b, t, s] + step + rest_blank
                        value = _log_add(value, arc)
                        share = np.exp(a + arc - total)
                        d_blank[b, t, s] -= share
                        d_duration[b, t, s, d] -= share
                    if rest_label > -np.inf:
                        arc = label[b, t, s] + step + rest_label
                        value = _log_add(value, arc)
                        share = np.exp(a + arc - total)
                        d_label[b, t, s] -= share
                        d_duration[b, t, s, d] -= share
                beta[t, s] = value
    return losses, d_blank, d_label, d_duration


class _BandedTdt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, blank, label, duration, low, frames, tokens):  # noqa: ANN001, ANN205
        arrays = [
            value.detach().cpu().numpy() for value in (blank, label, duration, low, frames, tokens)
        ]
        losses, *gradients = _tdt_forward_backward(*arrays)
        ctx.save_for_backward(*(torch.from_numpy(gradient).to(blank) for gradient in gradients))
        return torch.from_numpy(losses).to(blank)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor):  # noqa: ANN205
        blank, label, duration = ctx.saved_tensors
        by_row = upstream[:, None, None]
        return blank * by_row, label * by_row, duration * by_row[..., None], None, None, None


def band_low(token_s: np.ndarray, frames: int) -> np.ndarray:
    """The lowest state of the band in each encoder frame, int64 (frames,), from the tokens' times
    (U,) in seconds.
    """
    spoken = np.searchsorted(token_s, np.arange(frames) * ENCODER_FRAME_S)
    return np.clip(spoken - BAND // 2, 0, max(0, len(token_s) + 1 - BAND)).astype(np.int64)


# --- the model with its temporary heads ---


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs padded to one length, with B rows."""

    features: torch.Tensor
    """float32 (B, 80, T), normalised, zero after the end."""
    frames: torch.Tensor
    """int64 (B,), mel frames."""
    tokens: torch.Tensor
    """int64 (B, U), padded with the blank."""
    token_counts: torch.Tensor
    """int64 (B,)."""
    spoken: torch.Tensor
    """int64 (B, T / 8 + 1): which token is spoken in each encoder frame, the blank for none."""
    low: torch.Tensor
    """int64 (B, T / 8 + 1): the band's lowest state."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


def _subsample_in_float32(model: EncDecRNNTBPEModel) -> None:
    # On CPUs the depthwise strided convolutions are about six times slower in bfloat16, and slower
    # still channels first.
    subsampling = model.encoder.pre_encode
    subsampling.conv.to(memory_format=torch.channels_last)
    forward = subsampling.forward

    def in_float32(x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x=x, lengths=lengths)

    subsampling.forward = in_float32


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each loss counts."""

    frame: float
    ctc: float
    tdt: float


class Trainee(torch.nn.Module):
    """The NeMo model and the two heads that are thrown away."""

    def __init__(self, model: EncDecRNNTBPEModel, size: Size, sigma: float = 0.02) -> None:
        super().__init__()
        self.model = model
        self.blank = size.pieces
        self.sigma = sigma
        _subsample_in_float32(model)
        self.frame_head = torch.nn.Linear(size.width, size.pieces + 1)
        self.ctc_head = torch.nn.Linear(size.width, size.pieces + 1)

    def forward(
        self, batch: Batch, weights: Weights, autocast: bool
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The weighted loss, and each part per token or frame."""
        with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=autocast):
            encoded, lengths = self.model.encoder(audio_signal=batch.features, length=batch.frames)
        encoded = encoded.float().transpose(1, 2)
        parts: dict[str, torch.Tensor] = {}
        if weights.frame:
            parts["frame"] = self._frame_loss(encoded, lengths, batch)
        if weights.ctc:
            parts["ctc"] = self._ctc_loss(encoded, lengths, batch)
        if weights.tdt:
            parts["tdt"] = self._tdt_loss(encoded, lengths, batch, autocast)
        loss = sum(getattr(weights, name) * part for name, part in parts.items())
        return loss, {name: float(part.detach()) for name, part in parts.items()}

    def _frame_loss(
        self, encoded: torch.Tensor, lengths: torch.Tensor, batch: Batch
    ) -> torch.Tensor:
        frames = encoded.shape[1]
        inside = torch.arange(frames, device=encoded.device)[None] < lengths[:, None]
        return torch.nn.functional.cross_entropy(
            self.frame_head(encoded)[inside], batch.spoken[:, :frames][inside]
        )

    def _ctc_loss(self, encoded: torch.Tensor, lengths: torch.Tensor, batch: Batch) -> torch.Tensor:
        scores = self.ctc_head(encoded).log_softmax(-1).transpose(0, 1)
        losses = torch.nn.functional.ctc_loss(
            scores,
            batch.tokens,
            lengths,
            batch.token_counts,
            self.blank,
            reduction="none",
            zero_infinity=True,
        )
        return losses.sum() / batch.token_counts.sum()

    def _tdt_loss(
        self, encoded: torch.Tensor, lengths: torch.Tensor, batch: Batch, autocast: bool
    ) -> torch.Tensor:
        joint, rows = (
            self.model.joint,
            torch.arange(len(batch.tokens), device=encoded.device)[:, None, None],
        )
        predicted, _ = self.model.decoder.predict(batch.tokens, state=None, add_sos=True)
        low = batch.low[:, : encoded.shape[1]]
        state = low[:, :, None] + torch.arange(BAND, device=encoded.device)
        inside = state.clamp(max=predicted.shape[1] - 1)
        with torch.autocast(encoded.device.type, torch.bfloat16, enabled=autocast):
            band = (
                joint.project_encoder(encoded)[:, :, None]
                + joint.project_prednet(predicted)[rows, inside]
            )
            scores = joint.joint_net(band).float()
        token = scores[..., : self.blank + 1].log_softmax(-1) - self.sigma
        duration = scores[..., self.blank + 1 :].log_softmax(-1)
        following = torch.nn.functional.pad(batch.tokens, (0, 1), value=self.blank)[rows, inside]
        label = token.gather(-1, following[..., None])[..., 0]
        losses = _BandedTdt.apply(
            token[..., self.blank], label, duration, low, lengths, batch.token_counts
        )
        return losses.sum() / batch.token_counts.sum()


# --- what the model hears ---


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance ready for mixing: features (T, 80) float32 and its tokens with their times in
    seconds.
    """

    features: np.ndarray
    tokens: np.ndarray
    starts_s: np.ndarray
    ends_s: np.ndarray


def timed_tokens(
    recording: Recording, pieces: SentencePieceProcessor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids int64 (U,), start and end times float64 (U,): a word's time is shared out by its
    tokens' letters.
    """
    tokens, starts, ends = [], [], []
    for word in recording.words:
        ids = pieces.encode(word.text)
        letters = [max(0.4, sum(c.isalpha() for c in pieces.id_to_piece(i)) + 0.01) for i in ids]
        bounds = word.start + (word.end - word.start) * np.cumsum([0.0, *letters]) / sum(letters)
        tokens += ids
        starts += list(bounds[:-1])
        ends += list(bounds[1:])
    return np.array(tokens, np.int64), np.array(starts), np.array(ends)


class Corpus:
    """The shards that are there by now, dealt in random order; noise to mix in; and the making of
    batches.
    """

    def __init__(self, folders: Sequence[Path], pieces: SentencePieceProcessor, seed: int) -> None:
        self._folders, self._pieces, self._blank = folders, pieces, pieces.get_piece_size()
        self._begins_word = np.array(
            [pieces.id_to_piece(i).startswith("▁") for i in range(self._blank)]
        )
        self._rng = np.random.default_rng(seed)
        self._known: set[Path] = set()
        self._utterances: list[
            tuple[np.ndarray, Recording, tuple[np.ndarray, np.ndarray, np.ndarray]]
        ] = []
        self._short: list[int] = []
        self._deck: list[int] = []
        self._ready: list[list[Spoken]] = []
        self._noise = self._noise_pool()
        self.hours = 0.0
        self.list_share = 1.0
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were written since the last look; the newest are heard first."""
        found = {path for folder in self._folders for path in folder.glob("shard_*.json")}
        for path in sorted(found - self._known):
            shard = read_shard(path)
            first = len(self._utterances)
            for recording in shard.recordings:
                if recording.frames < SHORT_FRAMES:
                    self._short.append(len(self._utterances))
                self._utterances.append(
                    (shard.features, recording, timed_tokens(recording, self._pieces))
                )
            fresh = np.arange(first, len(self._utterances))
            self._deck += [int(i) for i in self._rng.permutation(fresh)]
            self._known.add(path)
            self.hours += sum(recording.frames for recording in shard.recordings) * FRAME_S / 3600
        if not self._utterances:
            raise FileNotFoundError(
                f"no shard_*.json in {self._folders[0]}: run training.speech_data first"
            )

    def batch(self, seconds: float, longest_share: float) -> Batch:
        """Inputs of similar length that together last about `seconds`; a share of the batches are
        12 to 26 s long.
        """
        if not self._ready:
            kind = self._rng.random()
            shortest_s, longest_s = 0.0, 0.0
            if kind < longest_share:
                shortest_s, longest_s = 12.0, 26.0
            elif kind < longest_share + 0.25:
                shortest_s, longest_s = 4.0, 12.0
            self._ready = self._bucketed(shortest_s, longest_s, seconds)
        return self._collate(self._ready.pop())

    def _bucketed(
        self, shortest_s: float, longest_s: float, seconds: float, batches: int = 6
    ) -> list[list[Spoken]]:
        inputs, total = [], 0.0
        while total < batches * seconds:
            inputs.append(self._input(self._rng.uniform(shortest_s, longest_s)))
            total += len(inputs[-1].features) * FRAME_S
        inputs.sort(key=lambda item: len(item.features))
        groups: list[list[Spoken]] = [[]]
        for item in inputs:
            if (
                len(groups[-1]) > 1
                and (len(groups[-1]) + 1) * len(item.features) * FRAME_S > seconds * 1.1
            ):
                groups.append([])
            groups[-1].append(item)
        self._rng.shuffle(groups)
        return groups

    def _draw(self) -> int:
        dealt = self._deal()
        while not self._utterances[dealt][1].grammatical and self._rng.random() > self.list_share:
            dealt = self._deal()
        return dealt

    def _after(self, index: int) -> int:
        """What comes after an utterance: often its answer, if it has one."""
        following = index + 1
        answered = following < len(self._utterances) and self._utterances[following][1].follows
        return following if answered and self._rng.random() < ANSWER_SHARE else self._draw()

    def _spoken_at(self, index: int) -> Spoken:
        features, recording, (tokens, starts, ends) = self._utterances[index]
        part = features[recording.start : recording.start + recording.frames].astype(np.float32)
        return Spoken(part, tokens, starts, ends)

    def _deal(self) -> int:
        if not self._deck:
            self._deck = [int(i) for i in self._rng.permutation(len(self._utterances))]
        return self._deck.pop()

    def _input(self, aim_s: float) -> Spoken:
        if self._rng.random() < 0.015:
            frames = int(self._rng.uniform(1, max(aim_s, 3)) / FRAME_S)
            nothing = np.zeros(0)
            silence = np.full((frames, MEL_BANDS), SILENCE, np.float32)
            heard = self._with_noise(silence, -6.0) if self._rng.random() < 0.7 else silence
            return Spoken(heard, nothing.astype(np.int64), nothing, nothing)
        rng = self._rng
        lead = int(rng.exponential(0.25) / FRAME_S) if rng.random() < 0.5 else 0
        placed, cursor, end = [], lead, lead
        drawn = self._draw()
        while True:
            utterance = self._spoken_at(drawn)
            placed.append((cursor, utterance))
            if rng.random() < 0.3:
                placed += self._interjected(cursor, utterance)
            end = cursor + len(utterance.features)
            if end * FRAME_S >= aim_s:
                break
            gap_s = (
                -rng.uniform(0.05, 0.8) if rng.random() < 0.35 else min(rng.exponential(0.35), 2.5)
            )
            cursor = max(cursor + 20, end + int(gap_s / FRAME_S))
            drawn = self._after(drawn)
        tail = int(rng.exponential(0.25) / FRAME_S) if rng.random() < 0.5 else 0
        end = max(at + len(utterance.features) for at, utterance in placed)
        mixed = np.full((end + tail, MEL_BANDS), SILENCE, np.float32)
        for start, utterance in placed:
            part = mixed[start : start + len(utterance.features)]
            part[:] = power_sum(part, utterance.features + np.float32(rng.uniform(-2.8, 0.0)))
        tokens, starts, ends = self._by_time(placed)
        loudness = float(np.percentile(mixed.mean(1), 85))
        if rng.random() < 0.8:
            mixed = self._with_noise(mixed, loudness)
        return Spoken(mixed, tokens, starts, ends)

    def _interjected(self, start: int, utterance: Spoken) -> list[tuple[int, Spoken]]:
        """Somebody's short answer into an utterance that starts at frame `start`; none where none
        is short enough.
        """
        answer = self._spoken_at(self._short[self._rng.integers(len(self._short))])
        room = len(utterance.features) - len(answer.features)
        return [(start + int(self._rng.integers(room)), answer)] if room > 40 else []

    def _by_time(
        self, placed: list[tuple[int, Spoken]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens, starts and ends in seconds; where people talk at once their words stand in the
        order in which they begin.
        """
        tokens = np.concatenate([u.tokens for _, u in placed])
        starts, ends = (
            np.concatenate([getattr(u, name) + at * FRAME_S for at, u in placed])
            for name in ("starts_s", "ends_s")
        )
        if not tokens.size:
            return tokens, starts, ends
        word = np.cumsum(self._begins_word[tokens]) - 1
        order = np.argsort(starts[np.searchsorted(word, word)], kind="stable")
        return tokens[order], np.maximum.accumulate(starts[order]), ends[order]

    def _with_noise(self, features: np.ndarray, loudness: float) -> np.ndarray:
        at = self._rng.integers(len(self._noise) - len(features))
        level = loudness - SPEECH_LOUDNESS - self._rng.uniform(6, 40) * math.log(10) / 10
        return power_sum(features, self._noise[at : at + len(features)] + np.float32(level))

    def _noise_pool(self) -> np.ndarray:
        log_mel, rng = LogMel(), np.random.default_rng(0)
        return np.concatenate(
            [log_mel(room_noise(30 * SAMPLE_RATE, rng)) for _ in range(24)]
        ).astype(np.float32)

    def _collate(self, inputs: list[Spoken]) -> Batch:
        frames = np.array([len(item.features) for item in inputs])
        counts = np.array([len(item.tokens) for item in inputs])
        encoder_frames = frames.max() // SUBSAMPLING + 2
        features = np.zeros((len(inputs), MEL_BANDS, frames.max()), np.float32)
        tokens = np.full((len(inputs), max(1, counts.max())), self._blank, np.int64)
        spoken = np.full((len(inputs), encoder_frames), self._blank, np.int64)
        low = np.zeros((len(inputs), encoder_frames), np.int64)
        for row, item in enumerate(inputs):
            features[row, :, : frames[row]] = self._masked(normalised(item.features)).T
            tokens[row, : counts[row]] = item.tokens
            spoken[row] = self._spoken(item, encoder_frames)
            low[row] = band_low(item.starts_s, encoder_frames)
        return Batch(
            *(torch.from_numpy(value) for value in (features, frames, tokens, counts, spoken, low))
        )

    def _spoken(self, item: Spoken, frames: int) -> np.ndarray:
        labels = np.full(frames, self._blank, np.int64)
        bounds = np.round(np.stack([item.starts_s, item.ends_s]) / ENCODER_FRAME_S).astype(int)
        for token, start, end in zip(item.tokens, *bounds, strict=True):
            labels[start:end] = token
        return labels

    def _masked(self, features: np.ndarray) -> np.ndarray:
        """A light SpecAugment (https://arxiv.org/abs/1904.08779) on normalised features."""
        rng = self._rng
        if rng.random() < 0.4:
            start = rng.integers(MEL_BANDS - 10)
            features[:, start : start + rng.integers(1, 11)] = 0
        for _ in range(rng.poisson(len(features) * FRAME_S / 8)):
            start = rng.integers(len(features))
            features[start : start + rng.integers(2, 11)] = 0
        return features


def power_sum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Log-mel features of two sounds at once, float32 (T, 80): `np.logaddexp` is 20 times slower
    than its parts.
    """
    return np.log(np.exp(one) + np.exp(other))


def normalised(features: np.ndarray) -> np.ndarray:
    """NeMo's `per_feature` normalisation of one input, (T, 80) in and out."""
    return (features - features.mean(0)) / (features.std(0, ddof=1) + 1e-5)


# --- the training ---


@dataclass(frozen=True, slots=True)
class Plan:
    """The recipe; `done` is the share of the budget that is used up, 0..1."""

    learnt: bool = False
    """Whether the weights come from an earlier run: then the alignment is known and TDT leads at
    once.
    """
    peak_rate: float = 2e-3
    warm_up: float = 0.03
    batch_s: float = 64.0
    average: float = 0.997

    def learning_rate(self, done: float) -> float:
        """A linear warm-up, then half a cosine down to a hundredth of the peak."""
        if done < self.warm_up:
            return self.peak_rate * max(done, 0.001) / self.warm_up
        return self.peak_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def weights(self, done: float) -> Weights:
        """Frames lead while nothing is known; TDT joins once they are half learnt."""
        if self.learnt:
            return Weights(frame=0.1, ctc=0.2, tdt=1.0)
        frame = float(np.interp(done, [0.06, 0.3], [2.0, 0.2]))
        return Weights(frame=frame, ctc=0.3, tdt=0.0 if done < 0.05 else 1.0)

    def list_share(self, done: float) -> float:
        """The share of the word lists that are heard: in the end the model may lean on the
        grammar.
        """
        return 1.0 if done < 0.7 else 0.2

    def long_share(self, done: float) -> float:
        """The share of batches with inputs of 12 to 26 s."""
        return 0.5 if self.learnt else float(np.interp(done, [0.0, 0.1, 0.3], [0.0, 0.1, 0.3]))


class Training:
    """One run: everything that changes while it goes on."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.size, self.plan, self.arguments = (
            Size(layers=arguments.layers),
            Plan(learnt=bool(arguments.start), peak_rate=arguments.peak_rate),
            arguments,
        )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if arguments.start:
            unpack_tokenizer(arguments.start, arguments.data / "tokenizer")
        model = new_model(self.size, arguments.data / "tokenizer", arguments.seed)
        if arguments.start:
            load_weights(model, arguments.start)
        self.trainee = Trainee(model, self.size).to(self.device)
        self.averaged = {name: value.clone() for name, value in model.state_dict().items()}
        folders = (arguments.data, *arguments.more_data)
        self.together = distributed.is_initialized()
        self.leads = not self.together or distributed.get_rank() == 0
        seed = arguments.seed + (distributed.get_rank() if self.together else 0)
        self.corpus = Corpus(folders, model.tokenizer.tokenizer, seed)
        self.optimizer = torch.optim.AdamW(
            self.trainee.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-3, fused=True
        )
        self.step, self.done_s = 0, 0.0
        self.checkpoint = arguments.data / "checkpoint.pt"
        if arguments.resume and self.checkpoint.exists():
            self._load()
        self.learner: torch.nn.Module = self.trainee
        if self.together:
            self.learner = DistributedDataParallel(
                self.trainee,
                broadcast_buffers=False,
                find_unused_parameters=not self.plan.learnt,
            )

    def run(self) -> None:
        """Train until the budget is used up; checkpoint, measure and export on the way."""
        budget_s = self.arguments.budget_minutes * 60
        began, next_report, next_dev = (
            time.monotonic() - self.done_s,
            self.done_s + 60,
            self.done_s + 150,
        )
        sums: dict[str, list[float]] = {}
        while (elapsed := self._agreed(time.monotonic() - began)) < budget_s:
            self.done_s = elapsed
            for name, value in self._step(elapsed / budget_s).items():
                sums.setdefault(name, []).append(value)
            if elapsed > next_report:
                self._report(elapsed, sums)
                sums, next_report = {}, elapsed + 60
            if elapsed > next_dev:
                self._keep()
                next_dev = elapsed + 360
        self._keep()

    def _agreed(self, elapsed_s: float) -> float:
        """The time of the process that leads: all of them have to end with the same step."""
        if not self.together:
            return elapsed_s
        clock = torch.tensor(elapsed_s, dtype=torch.float64)
        distributed.broadcast(clock, src=0)
        return float(clock)

    def _keep(self) -> None:
        if self.leads:
            self._save()
            self.measure()

    def _step(self, done: float) -> dict[str, float]:
        self.corpus.list_share = self.plan.list_share(done)
        batch = self.corpus.batch(self.plan.batch_s, self.plan.long_share(done)).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate(done)
        self.trainee.train()
        loss, parts = self.learner(batch, self.plan.weights(done), autocast=self.arguments.bfloat16)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.trainee.parameters(), 2.0))
        if math.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self._average()
        return {**parts, "norm": norm, "audio_s": float(batch.frames.sum()) * FRAME_S}

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.plan.average, (1 + self.step) / (10 + self.step)) ** AVERAGE_EVERY
        theirs = self.trainee.model.state_dict()
        for name, value in self.averaged.items():
            if value.is_floating_point():
                value.lerp_(theirs[name].to(value), 1 - keep)
            else:
                value.copy_(theirs[name])

    def _report(self, elapsed: float, sums: dict[str, list[float]]) -> None:
        self.corpus.refresh()
        if not self.leads:
            return
        means = {name: float(np.mean(values)) for name, values in sums.items()}
        means["audio_s"] = float(np.sum(sums["audio_s"]))
        figures = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        rate = self.optimizer.param_groups[0]["lr"]
        print(
            f"{elapsed / 60:.1f} min step {self.step} lr {rate:.5f} hours "
            f"{self.corpus.hours:.1f} {figures}",
            flush=True,
        )

    def _save(self) -> None:
        state = {
            "trainee": self.trainee.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "done_s": self.done_s,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.rename(self.checkpoint)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.trainee.load_state_dict(state["trainee"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["fused"] = True
        self.step, self.done_s = state["step"], state["done_s"]

    def measure(self) -> None:
        """Export, then print the error rates of what was exported."""
        # Apart: NeMo waits for the other processes of a training when it is in one of them.
        arguments = (self.size, self.arguments.data, self.averaged, self.arguments.out)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rates = pool.submit(export, *arguments).result()
        print(json.dumps(rates), flush=True)


def export(size: Size, data: Path, state: dict[str, torch.Tensor], path: Path) -> dict[str, float]:
    """Write weights as a `.nemo` file, in float16 (NeMo's loading copies them into float32).

    Return the error rates of what was written: see `dev_error_rates`.
    """
    model = new_model(size, data / "tokenizer", seed=0)
    model.load_state_dict(state)
    # Where the tokenizer was made is nobody's business; the file brings it along.
    model.cfg.tokenizer.dir = "tokenizer"
    for parameter in model.parameters():
        parameter.data = parameter.data.half()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    model.save_to(str(partial))
    partial.rename(path)
    return dev_error_rates(path, data)


def dev_error_rates(path: Path, data: Path) -> dict[str, float]:
    """Word error rates in percent, without case and punctuation, by NeMo's own `transcribe()`."""
    from nemo.collections.asr.models import ASRModel

    model = ASRModel.restore_from(str(path), map_location="cpu")
    model.eval()
    rates = {}
    for name in ("dev_short", "dev_long", "dev_natural"):
        audio, texts = read_audio(data / f"{name}.npz")
        answers = model.transcribe(audio, batch_size=8, verbose=False)
        rates[name] = round(error_rate(texts, [answer.text for answer in answers]), 2)
        for text, answer in list(zip(texts, answers, strict=True))[:4]:
            print(f"  {text[:160]}\n  {answer.text[:160]}", flush=True)
    return rates


def error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Word error rate over all texts, in percent."""
    pairs = [(words_of(a), words_of(b)) for a, b in zip(references, hypotheses, strict=True)]
    return 100 * sum(_edits(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs)


def _edits(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder made by training.speech_data"
    )
    parser.add_argument(
        "--more-data", type=Path, nargs="*", default=[], help="further folders made by it"
    )
    parser.add_argument("--out", type=Path, required=True, help="the .nemo file to write")
    parser.add_argument(
        "--start", type=Path, help="a .nemo file of this script to go on from, with new heads"
    )
    parser.add_argument(
        "--layers", type=int, default=Size.layers, help="of the encoder; at least those of --start"
    )
    parser.add_argument("--budget-minutes", type=float, default=80.0)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint in the data folder"
    )
    parser.add_argument(
        "--bfloat16", action=argparse.BooleanOptionalAction, default=bfloat16_is_fast()
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="that train together, each on its own core"
    )
    arguments = parser.parse_args()
    if arguments.processes == 1:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        train(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        torch.multiprocessing.spawn(_train_together, (arguments, meeting), arguments.processes)


def _train_together(rank: int, arguments: argparse.Namespace, meeting: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=arguments.processes
    )
    train(arguments)
    distributed.destroy_process_group()


def train(arguments: argparse.Namespace) -> None:
    """Train in this process."""
    # Gradients of unlikely tokens are denormal numbers: a step takes 1.8 times as long with them.
    torch.set_flush_denormal(True)
    Training(arguments).run()


if __name__ == "__main__":
    main()
