"""The turns of a worker are those of pyannote's own pipeline, although it computes less."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization
from core.media.audio import SAMPLE_RATE, Waveform
from core.modelstore import ModelLocation, find_diarization_model
from core.speakers.loading import load_pipeline
from core.speakers.pipeline import BatchSizes
from core.speakers.pyannote import PyannoteDiarizer
from tests import models
from tests.core.speakers.calls import diarize
from tests.core.speakers.stock import stock_answer


@pytest.fixture(scope="module")
def stock() -> Any:
    """The embedded pipeline as pyannote runs it."""
    return load_pipeline(find_diarization_model("embedded"), "cpu")


def without_warnings(answer: Diarization) -> Diarization:
    """Return the answer's turns alone: pyannote does not say that it was overruled."""
    return dataclasses.replace(answer, warnings=())


@pytest.mark.parametrize("bounds", [{}, {"min_speakers": 3}, {"max_speakers": 1}])
def test_turns_of_the_embedded_pipeline_are_stocks(stock, diarizer, dialogue, bounds):
    """Bounds on the number of speakers change them in the same way."""
    names = {"num_speakers": "exact", "min_speakers": "at_least", "max_speakers": "at_most"}
    speakers = SpeakerCount(**{names[name]: value for name, value in bounds.items()})
    expected = stock_answer(stock, dialogue.waveform, **bounds)
    assert without_warnings(diarize(diarizer, dialogue.waveform, speakers)) == expected
    assert expected.turns


@pytest.mark.parametrize("length_s", [0.05, 0.4, 3.999, 4.0, 4.8, 5.3])
def test_turns_of_short_recordings_are_stocks(stock, diarizer, dialogue, length_s):
    """They may be shorter than a window, exactly one, or end in the middle of a step."""
    waveform = Waveform(dialogue.waveform.samples[: int(length_s * SAMPLE_RATE)], 1.5)
    assert diarize(diarizer, waveform) == stock_answer(stock, waveform)


@pytest.mark.parametrize("sizes", [BatchSizes(1, 1), BatchSizes(32, 3)])
def test_turns_do_not_depend_on_the_batch(dialogue, answer, sizes):
    """The last batch may be as good as empty."""
    other = PyannoteDiarizer(find_diarization_model("embedded"), device="cpu", batch_sizes=sizes)
    assert diarize(other, dialogue.waveform) == answer


def speaking_segmentation(samples: np.ndarray, *, powerset: bool = True) -> Any:
    """Return a random PyanNet whose outputs are stretched until all its speakers come and go."""
    import torch

    model = models.segmentation_model(
        lstm={"hidden_size": 16, "num_layers": 1}, linear={"hidden_size": 16}
    )
    if not powerset:
        model.specifications = dataclasses.replace(
            model.specifications,
            problem=type(model.specifications.problem).MULTI_LABEL_CLASSIFICATION,
            powerset_max_classes=None,
        )
        model.setup()
    models.stretch(model, torch.from_numpy(samples))
    return model


KINDS = {
    "ResNet, powerset": ({"num_mel_bins": 8}, True, "VBxClustering", {}),
    "ResNet, overlap, pauses filled": (
        {"num_mel_bins": 8},
        True,
        "AgglomerativeClustering",
        {"min_cluster_size: 12": "min_cluster_size: 1",
         "embedding_exclude_overlap: true": "embedding_exclude_overlap: false",
         "min_duration_off: 0.0": "min_duration_off: 0.05"},
    ),
    "ResNet, activations": (
        {"num_mel_bins": 8},
        False,
        "AgglomerativeClustering",
        {"min_cluster_size: 12": "min_cluster_size: 1",
         "{min_duration_off: 0.0}": "{min_duration_off: 0.0, threshold: 0.5}"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_turns_of_other_models_are_stocks(tmp_path, dialogue, kind):
    """The architectures are community-1's and those before it, thin and with random weights."""
    resnet, powerset, clustering, changes = KINDS[kind]
    waveform = Waveform(dialogue.waveform.samples[: 12 * SAMPLE_RATE], 0.0)
    folder = models.speaker_pipeline(
        tmp_path / "pipeline",
        speaking_segmentation(waveform.samples, powerset=powerset),
        models.embedding_model("WeSpeakerResNet34", **resnet),
        clustering=clustering,
        lda_dimension=16,
    )
    edit(folder / "config.yaml", changes)
    location = ModelLocation(folder, "a test", "pyannote")
    expected = stock_answer(load_pipeline(location, "cpu"), waveform, num_speakers=2)
    diarizer = PyannoteDiarizer(location, device="cpu")
    answer = diarize(diarizer, waveform, SpeakerCount(exact=2), voices=True)
    assert dataclasses.replace(without_warnings(answer), voices=None) == expected
    assert len(expected.turns) > 5
    voices = answer.voices or ()
    assert {voice.speaker for voice in voices} <= {turn.speaker for turn in answer.turns}
    assert all(np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-4) for one in voices)
    # A vector of overlapped speech is nobody's voice, and here somebody else speaks in all windows.
    assert {len(one.vector) for one in voices} == (set() if "overlap" in kind else {256})


def edit(file: Path, changes: dict[str, str]) -> None:
    """Replace what must be there."""
    text = file.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
