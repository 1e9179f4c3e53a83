"""A Parakeet model of NVIDIA NeMo: arrays in, words with times and confidence out.

Three habits of `transcribe()` in NeMo 3.0.0 shape this module:

- Asked for timestamps it rebuilds the decoder, for CTC models at every call. So the decoding is set
  once, and offsets are read from the hypotheses.
- It pads arrays of less than a second on both sides, and shifts their times. So they are padded
  here, on the right.
- It can return more or fewer word confidences than words (NeMo issue 15143). So words are put
  together here, from the tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from core.domain.request import Decoding
from core.engine.accelerator import (
    choose_device,
    is_device_fault,
    is_out_of_memory,
    quick_dtype,
)
from core.engine.lazy_imports import LIGHTNING_EXTRAS, deferred, imported
from core.engine.nemo_log import silence_nemo
from core.errors import ModelNotFound
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import CudaGraphs, SpeechPrecision
from core.speech import keyterms, nemo_archive
from core.speech.engine import Abilities, Recognition
from core.speech.spelling import Token, recognition
from core.speech.terms_heard import with_terms

MIN_SAMPLES = SAMPLE_RATE
"""NeMo pads shorter arrays itself, on both sides."""
PROBE_S = 2.0
"""Seconds to decode at the start, to see that CUDA graphs work."""

_NEVER_CALLED = (
    "sklearn",
    "datasets",
    "lhotse",
    "numba",
    "onnx",
    "paramiko",
    "pytorch_lightning",
    "scipy",
    "triton",
    "nemo.collections.asr.metrics.bleu",
    "nemo.collections.asr.metrics.multitask",
    "nemo.collections.asr.models.aed_multitask_models",
    "nemo.collections.asr.models.clustering_diarizer",
    "nemo.collections.asr.models.multitalker_asr_models",
    "nemo.collections.asr.modules.transformer_encoder",
    "nemo.collections.asr.parts.context_biasing.context_biasing_utils",
    "nemo.collections.asr.parts.utils.speaker_utils",
    "nemo.collections.audio",
    "nemo.collections.common.data.lhotse",
)
"""Modules that NeMo imports for training, export and other models.

Those of NeMo's own import others of the list, and derive classes from them. Two of them,
`context_biasing_utils` and `speaker_utils`, close circles that otherwise the order of the imports
would have to resolve.
"""

log = logging.getLogger("parakeet.model")


class ParakeetModel:
    """A TDT, RNNT or CTC model from a `.nemo` file.

    Its calls change its state: only one thread may make them.
    """

    window_s = 0.0

    def __init__(
        self,
        path: Path,
        *,
        device: str | None = None,
        eager_imports: bool = False,
        cuda_graphs: CudaGraphs = "off",
        precision: SpeechPrecision = "auto",
        weights: nemo_archive.WeightsAhead | None = None,
    ) -> None:
        """Load the model. If it is to use CUDA graphs, decode two seconds of faint noise with it.

        `weights` are those of the same file, if somebody began to read them earlier. Raises
        ModelNotFound for a file that is not such a model.
        """
        weights = weights or nemo_archive.WeightsAhead(path)
        self.device = choose_device(device)
        self._cuda_graphs = cuda_graphs
        dtype = _dtype(precision, self.device)
        self._model = _restore(path, self.device, dtype, weights, eager_imports=eager_imports)
        self._frame_s = (
            float(self._model.cfg.preprocessor.window_stride)
            * self._model.encoder.subsampling_factor
        )
        _set_decoding(self._model, cuda_graphs)
        self._terms = keyterms.of(self._model)
        letters = None if self._terms is None else self._terms.letters
        can = self._terms is not None
        self.abilities = Abilities(takes_keyterms=can, mixes_keyterms=can, letters=letters)
        if cuda_graphs == "on":
            self._probe()

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """See `core.speech.engine.SpeechEngine`; the language is a label."""
        return self.recognise_mixed(arrays, [decoding] * len(arrays))

    def recognise_mixed(
        self, arrays: Sequence[Samples], decodings: Sequence[Decoding]
    ) -> list[Recognition]:
        """See `core.speech.engine.MixingEngine`."""
        padded = [np.pad(samples, (0, max(0, MIN_SAMPLES - len(samples)))) for samples in arrays]
        if self._terms is None:
            return list(map(self._recognition, self._transcribe(padded), arrays))
        terms = [decoding.keyterms for decoding in decodings]
        hypotheses, favoured = self._terms.both(lambda: self._transcribe(padded), terms)
        found = list(map(self._recognition, hypotheses, arrays))
        for index, hypothesis in favoured.items():
            with_them = self._recognition(hypothesis, arrays[index])
            found[index] = with_terms(found[index], with_them, terms[index])
        return found

    def _recognition(self, hypothesis: Any, samples: Samples) -> Recognition:
        return recognition(
            hypothesis.text,
            self._tokens(hypothesis),
            frame_s=self._frame_s,
            duration_s=len(samples) / SAMPLE_RATE,
        )

    def _transcribe(self, arrays: list[Samples]) -> Any:
        try:
            return self._model.transcribe(
                arrays, batch_size=len(arrays), return_hypotheses=True, verbose=False
            )
        except Exception as error:
            if is_device_fault(error):
                log.warning("the GPU failed with CUDA_GRAPHS=%s", self._cuda_graphs)
            raise

    def _tokens(self, hypothesis: Any) -> list[Token]:
        offsets = hypothesis.timestamp["char"]
        confidences = hypothesis.token_confidence or ()
        if len(confidences) != len(offsets):
            confidences = [None] * len(offsets)
        return [
            self._token(offset, confidence)
            for offset, confidence in zip(offsets, confidences, strict=True)
        ]

    def _token(self, offset: dict[str, Any], confidence: float | None) -> Token:
        text = "".join("".join(offset["char"]).split())
        start, end = offset["start_offset"] * self._frame_s, offset["end_offset"] * self._frame_s
        return Token(
            text,
            float(start),
            float(max(start, end)),
            None if confidence is None else min(1.0, max(0.0, float(confidence))),
        )

    def _probe(self) -> None:
        """Decode noise; if that fails on a GPU, decode it again without CUDA graphs.

        NeMo's graphs need a driver as new as the CUDA bindings: else "CUDA failure 35" (NeMo issues
        14915, 15145).
        """
        noise = _faint_noise()
        try:
            self.recognise([noise], Decoding())
        except Exception as error:
            if not self._model.disable_cuda_graphs():
                raise
            log.warning(
                "CUDA graphs do not work here (%s): decoding without them, more slowly",
                type(error).__name__,
            )
        else:
            return
        self.recognise([noise], Decoding())


def _faint_noise() -> Samples:
    noise = np.random.default_rng(0).standard_normal(int(PROBE_S * SAMPLE_RATE))
    return noise.astype(np.float32) * np.float32(1e-3)


def import_nemo(*, eager: bool = False) -> Any:
    """Import NeMo, which takes most of the time of a start, and return its class of all models.

    For `eager` see `core.engine.lazy_imports.imported`.
    """
    import torch  # noqa: F401  with its compiler, which is deferred while NeMo is imported

    silence_nemo()
    return imported("NeMo", _asr_model, (*LIGHTNING_EXTRAS, *_NEVER_CALLED), eager=eager)


def _asr_model() -> Any:
    import librosa.filters  # noqa: F401  else making a model imports it, with SciPy's signals
    from nemo.collections.asr.models import ASRModel
    from nemo.utils import logging as nemo_log

    nemo_log.setLevel(logging.ERROR)
    return ASRModel


def _dtype(precision: SpeechPrecision, device: str) -> Any:
    """Return the torch dtype to cast weights to; None leaves them as NeMo builds them.

    Stock NeMo in bfloat16 makes as many errors as in float32 (its cards, and fastconformer-trt's
    table: 1.931 % beside 1.93 %).
    """
    import torch

    quick = torch.device(device).type == "cuda" and quick_dtype(torch.device(device))
    if precision == "bfloat16" or (precision == "auto" and quick == torch.bfloat16):
        return torch.bfloat16
    return None


def _restore(
    path: Path,
    device: str,
    dtype: Any,
    ahead: nemo_archive.WeightsAhead,
    *,
    eager_imports: bool,
) -> Any:
    with ThreadPoolExecutor(1, thread_name_prefix="tensors") as reader:
        weights = reader.submit(ahead.tensors, device, dtype)
        model = _build(import_nemo(eager=eager_imports), path, device, weights, dtype)
    if not (
        hasattr(model, "decoding")
        and hasattr(getattr(model, "encoder", None), "subsampling_factor")
    ):
        raise ModelNotFound(
            f"{path.name} is a NeMo {type(model).__name__}; a TDT, RNNT or CTC model is needed"
        )
    if model.cfg.get("sample_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise ModelNotFound(
            f"{path.name} wants {model.cfg.sample_rate} Hz; a model for {SAMPLE_RATE} Hz is needed"
        )
    return _in_dtype(model.to(device).eval(), dtype)


def _in_dtype(model: Any, dtype: Any) -> Any:
    """Return the model with everything in the dtype but what features are computed with."""
    if dtype is None:
        return model
    featurizer = model.preprocessor.featurizer
    kept = {name: buffer.clone() for name, buffer in featurizer.named_buffers()}
    model.to(dtype)
    for name, buffer in kept.items():
        setattr(featurizer, name, buffer)
    return model


def _build(kind: Any, path: Path, device: str, weights: Future[dict[str, Any]], dtype: Any) -> Any:
    """Restore a model around its weights; if that fails, in NeMo's own way."""
    try:
        with deferred("numba"):  # the loss, which only training computes, asks for its version
            return kind.restore_from(
                str(path),
                map_location="cpu",
                save_restore_connector=nemo_archive.connector(weights, dtype),
            )
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        log.info(
            "%s is restored in NeMo's own way, more slowly (%s)", path.name, type(error).__name__
        )
    return _build_in_nemos_own_way(kind, path, device)


def _build_in_nemos_own_way(kind: Any, path: Path, device: str) -> Any:
    try:
        return kind.restore_from(str(path), map_location=device)
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelNotFound(
            f"{path.name} cannot be read as a NeMo model ({type(error).__name__}); check the file"
        ) from None


_CONFIDENCE = {
    "preserve_token_confidence": True,
    "exclude_blank": True,
    "aggregation": "min",
    "method_cfg": {"name": "max_prob", "alpha": 1.0},
}
"""A token's confidence is its probability among all, scaled so that a guess is 0.

That is (p * V - 1) / (V - 1) for V tokens.
"""


def _set_decoding(model: Any, cuda_graphs: CudaGraphs) -> None:
    """Set greedy decoding with times and confidences of tokens, once for all.

    CUDA graphs end the process on some recordings with an illegal memory access, which no trial at
    the start can foresee (NeMo issue 15423); CTC models have none.
    """
    from omegaconf import open_dict

    decoding = model.cfg.decoding
    with open_dict(decoding):
        decoding.strategy = "greedy_batch"
        decoding.compute_timestamps = True
        decoding.rnnt_timestamp_type = decoding.ctc_timestamp_type = "char"
        decoding.confidence_cfg = _CONFIDENCE
        if hasattr(model, "joint"):
            decoding.greedy.use_cuda_graph_decoder = cuda_graphs == "on"
    model.change_decoding_strategy(decoding, verbose=False)
