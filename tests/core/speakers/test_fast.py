"""`DIARIZATION_SPEED=fast`: frames of the whole recording, shared by its windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.engine.accelerator import quick_dtype
from core.media.audio import SAMPLE_RATE, Samples
from core.modelstore import find_diarization_model
from core.speakers.embedding import Embeddings, Masks, embed_recording, embed_windows
from core.speakers.loading import load_pipeline
from core.speakers.networks import FrameNetwork, frame_network
from core.speakers.pipeline import BatchSizes, SpeakerPipeline
from core.speakers.pyannote import PyannoteDiarizer
from core.speakers.recording_frames import recording_frames
from core.speakers.segmentation import Segmentation
from core.speakers.windows import Windows
from tests import models
from tests.core.speakers.calls import UNBOUNDED, diarize
from tests.core.speakers.test_pyannote import error_rate


def network_of(kind: str) -> FrameNetwork:
    """Return a thin ResNet with random weights, or the embedded x-vector network."""
    if kind == "ResNet":
        found = frame_network(models.embedding_model("WeSpeakerResNet34", num_mel_bins=8))
    else:
        pipeline = load_pipeline(find_diarization_model("embedded"), "cpu")
        found = frame_network(pipeline._embedding.model_)
    assert found is not None
    return found


def speech(samples: Samples, *, window_s: float, silent: slice = slice(0)) -> Segmentation:
    """Return a segmentation in which two people speak in turns of a second, but for some windows
    in which nobody speaks.
    """
    windows = Windows.over(samples, window_s, 0.2 * window_s)
    active = np.zeros((windows.count, 10 * int(window_s), 2), np.uint8)
    seconds = np.arange(active.shape[1]) // 10
    active[:, seconds % 2 == 0, 0] = active[:, seconds % 2 == 1, 1] = 1
    active[silent] = 0
    return Segmentation(windows, active, active, None)


def ignore(*_: object) -> None:
    """Be told what is done."""


def shared(network: Any, segmentation: Segmentation, block_s: float) -> Embeddings:
    """Return the vectors from shared frames."""
    windows, masks = segmentation.windows, Masks(segmentation, least_samples=None)
    frames = recording_frames(network, windows)
    assert frames is not None
    return embed_recording(network, frames, windows, masks, block_s=block_s, done=ignore)


def exact(network: Any, segmentation: Segmentation) -> Embeddings:
    """Return the vectors from each window's own frames."""
    masks = Masks(segmentation, least_samples=None)
    return embed_windows(network, segmentation.windows, masks, batch_size=1, done=ignore)


def least_cosine(one: Embeddings, other: Embeddings) -> float:
    """Return the least cosine between vectors of the same speaker and window."""
    norms = np.linalg.norm(one, axis=2) * np.linalg.norm(other, axis=2)
    return float(((one * other).sum(axis=2) / norms).min())


@pytest.mark.parametrize("kind", ["ResNet", "x-vector"])
def test_blocks_leave_no_seams(dialogue, kind):
    """The vectors are the same however the recording is divided, and however long it is silent."""
    network, samples = network_of(kind), dialogue.waveform.samples[: 16 * SAMPLE_RATE]
    segmentation = speech(samples, window_s=4.0, silent=slice(4, 12))
    whole, divided = (shared(network, segmentation, block_s) for block_s in (100.0, 1.7))
    assert np.allclose(whole, divided, rtol=0, atol=1e-5 * np.abs(whole).max())
    assert np.array_equal(whole[4], np.tile(network.of_nobody(), (2, 1)))


@pytest.mark.parametrize(("kind", "precision"), [("ResNet", 1e-4), ("x-vector", 1e-2)])
def test_single_window_has_its_exact_vectors(dialogue, kind, precision):
    """Nothing else is near that could shift its mean; MFCC mirror the sound at the edges."""
    network = network_of(kind)
    segmentation = speech(dialogue.waveform.samples[: 4 * SAMPLE_RATE], window_s=4.0)
    expected = exact(network, segmentation)
    assert np.allclose(
        shared(network, segmentation, 20.0),
        expected,
        rtol=0,
        atol=precision * np.abs(expected).max(),
    )


@pytest.mark.parametrize(("kind", "cosine"), [("ResNet", 0.9), ("x-vector", 0.99)])
def test_vectors_are_near_the_exact_ones(dialogue, kind, cosine):
    """What is left is each window's own mean, and its edges."""
    network = network_of(kind)
    segmentation = speech(dialogue.waveform.samples[: 12 * SAMPLE_RATE], window_s=4.0)
    assert least_cosine(shared(network, segmentation, 20.0), exact(network, segmentation)) > cosine


def test_convolutions_in_bfloat16_hear_the_same(dialogue):
    """Features and pooling stay in float32, and so does the result."""
    model = models.embedding_model("WeSpeakerResNet34", num_mel_bins=8)
    segmentation = speech(dialogue.waveform.samples[: 8 * SAMPLE_RATE], window_s=4.0)
    full = exact(network_of("ResNet"), segmentation)
    half = exact(frame_network(model, trunk_dtype=torch.bfloat16), segmentation)
    assert least_cosine(full, half) > 0.999
    assert not np.array_equal(full, half)
    assert half.dtype == np.float32


def test_silence_is_not_computed(dialogue):
    """Only blocks in which somebody speaks go through the network."""
    network, read = network_of("ResNet"), []
    trunk = network.trunk
    network.trunk = lambda features: read.append(features.shape[1]) or trunk(features)
    samples = dialogue.waveform.samples[: 12 * SAMPLE_RATE]
    for silent in (slice(0), slice(1, None)):
        shared(network, speech(samples, window_s=4.0, silent=silent), 1.0)
        read.append(0)
    spoken, silent = np.split(np.array(read[:-1]), [read.index(0)])
    assert silent.sum() < spoken.sum() * 0.6


def test_fast_diarizer_finds_the_speakers(dialogue):
    """The embedded pipeline has the fast step anyway, so little can change."""
    diarizer = PyannoteDiarizer(find_diarization_model("embedded"), device="cpu", speed="fast")
    fractions: list[float] = []
    answer = diarize(diarizer, dialogue.waveform, progress=fractions.append)
    assert answer.num_speakers == 2
    assert error_rate(answer, dialogue) < 0.15
    assert fractions == sorted(fractions)


@pytest.mark.parametrize(("own", "speed", "step_s"), [
    (0.1, "exact", 0.4), (0.1, "fast", 0.8), (0.5, "fast", 2.0), (0.5, "exact", 2.0),
])  # fmt: skip
def test_fast_looks_at_windows_a_fifth_of_their_length_apart(
    tmp_path: Path, dialogue, own, speed, step_s
):
    """Unless the pipeline's own step is larger."""
    pipeline = load_pipeline(find_diarization_model("embedded"), "cpu")
    pipeline.segmentation_step = own
    pipeline._segmentation.step = own * pipeline._segmentation.duration
    said = {}

    def watch(step: str, completed: int = 1, total: int = 1) -> None:
        said[step] = total

    samples = dialogue.waveform.samples[: 8 * SAMPLE_RATE]
    SpeakerPipeline(pipeline, speed).run(samples, UNBOUNDED, sizes=BatchSizes(8, 8), watch=watch)
    assert said["segmentation"] == 1 + 4.0 / step_s


def test_bfloat16_is_for_processors_that_have_it():
    """Others imitate it, several times more slowly than float32."""
    has_it = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    assert quick_dtype(torch.device("cpu")) == (torch.bfloat16 if has_it else torch.float32)
    assert quick_dtype(torch.device("meta")) == torch.float32
