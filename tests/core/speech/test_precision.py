"""The precision of a Parakeet model, and its CUDA graphs, as far as a CPU can tell."""

from __future__ import annotations

import logging

import pytest
import torch

from core.domain.request import Decoding
from core.modelstore import find_speech_model
from core.speech.parakeet import ParakeetModel
from tests import golden, models


@pytest.fixture(scope="module")
def half() -> ParakeetModel:
    """The embedded model in bfloat16."""
    return ParakeetModel(find_speech_model("embedded").path, device="cpu", precision="bfloat16")


def dtypes(model: ParakeetModel) -> set[torch.dtype]:
    """Return those of the weights."""
    return {parameter.dtype for parameter in model._model.parameters()}


def test_weights_are_in_bfloat16_and_features_are_not(half):
    """The filterbank and the window stay as they are: NeMo computes features in float32."""
    assert dtypes(half) == {torch.bfloat16}
    featurizer = half._model.preprocessor.featurizer
    assert {buffer.dtype for buffer in featurizer.buffers()} == {torch.float32}


def test_words_are_nearly_those_of_float32(half):
    """The golden sentences, of which the embedded model in float32 misses few words."""
    samples = golden.load("sentences").waveform.samples
    full = ParakeetModel(find_speech_model("embedded").path, device="cpu")
    assert dtypes(full) == {torch.float32}
    (heard,), (expected,) = (model.recognise([samples], Decoding()) for model in (half, full))
    pairs = zip(heard.words, expected.words, strict=True)
    same = [one.text == other.text for one, other in pairs]
    assert sum(same) >= 0.9 * len(same) > 0


@pytest.mark.parametrize("setting", ["on", "off"])
@pytest.mark.parametrize("kind", ["tdt", "rnnt"])
def test_cuda_graphs_are_what_the_setting_says(tmp_path, kind, setting):
    """The decoder is built with or without them."""
    model = ParakeetModel(models.speech_model(kind, tmp_path), device="cpu", cuda_graphs=setting)
    computer = model._model.decoding.decoding.decoding_computer
    assert computer.allow_cuda_graphs == (setting == "on")


def test_log_of_a_fault_names_the_setting(half, caplog, monkeypatch):
    """Whoever reads that the GPU failed can see whether graphs may have been the cause."""

    def fail(*_: object, **__: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(half._model, "transcribe", fail)
    with caplog.at_level(logging.WARNING), pytest.raises(torch.AcceleratorError):
        half.recognise([golden.load("sentences").waveform.samples], Decoding())
    assert "the GPU failed with CUDA_GRAPHS=off" in caplog.text
