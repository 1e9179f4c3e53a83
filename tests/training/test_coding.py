"""What coding does to training data, and a speaker embedding that is trained on."""

import numpy as np
import pytest
import torch

from training import checkpoints
from training.coding import COARSEST, FINEST, USUAL, through_mp3
from training.train_embedding import CROP_SAMPLES, Standardised
from training.voices import SAMPLE_RATE


@pytest.mark.parametrize("compression", [FINEST, USUAL, COARSEST])
@pytest.mark.parametrize("length", [1, 1_000, 40_001])
def test_mp3_keeps_length_and_place(compression, length):
    """The coder's delay is taken out again, so the reference's times hold."""
    samples = np.zeros(length, np.float32)
    samples[length // 2] = 0.9
    coded = through_mp3(samples, compression)
    assert coded.dtype == np.float32
    assert len(coded) == length
    if length > SAMPLE_RATE:
        assert abs(int(np.argmax(np.abs(coded))) - length // 2) <= 2


def test_mp3_empties_the_top_of_the_spectrum():
    """What no voice needs is gone, which is why models must have heard it."""
    noise = np.random.default_rng(1).standard_normal(2 * SAMPLE_RATE).astype(np.float32) / 10
    coded = through_mp3(noise, COARSEST)
    before, after = (np.mean(np.abs(np.fft.rfft(one)[2 * 7_900 :]) ** 2) for one in (noise, coded))
    assert after < before / 100


def test_training_goes_on_from_a_written_model(tmp_path):
    """The standardisation that was folded into the first layer is taken back."""
    torch.manual_seed(1)
    samples = torch.randn(4, 1, CROP_SAMPLES) / 10
    masks = torch.ones(4, 250)
    first, second = Standardised(samples).eval(), Standardised(samples * 3).eval()
    checkpoints.save(first.folded(), tmp_path / "model.bin", torch.float32)
    second.resume(tmp_path / "model.bin")
    with torch.inference_mode():
        one, other = first.folded()(samples, masks), second.folded()(samples, masks)
    assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)
