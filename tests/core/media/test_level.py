"""Level: faint and loud recordings come out as if they had been recorded well, others untouched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.media.audio import SAMPLE_RATE, Samples
from core.media.level import BLOCK, levelled
from tests.hearing import level, read


def speech(seconds: float, seed: int = 0) -> Samples:
    """Noise with pauses, at a usual level, with a little of the room."""
    count = round(seconds * SAMPLE_RATE)
    rng = np.random.default_rng(seed)
    bursts = rng.normal(0, 0.1, count) * (np.arange(count) // 5_000 % 3 > 0)
    return (bursts + rng.normal(0, 1e-4, count)).astype(np.float32)


def written(path: Path, samples: Samples, gain_db: float) -> Path:
    """As float, so that nothing is lost on the way."""
    soundfile.write(path, samples * 10 ** (gain_db / 20), SAMPLE_RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("gain_db", [-66, -50, -40, 12, 20])
def test_the_sound_is_the_same_at_any_level(gain_db: float, tmp_path: Path) -> None:
    """Only its level differs, and that is a usual one."""
    plain = speech(10)
    samples = read(written(tmp_path / "a.wav", plain, gain_db)).samples
    likeness = float(samples @ plain) / (np.linalg.norm(samples) * np.linalg.norm(plain))
    assert likeness > 0.998
    assert 0.02 < level(samples) < 0.4


@pytest.mark.parametrize("gain_db", [-6, 0, 3])
def test_a_usual_level_is_left_alone(gain_db: float, tmp_path: Path) -> None:
    """To the 16 bits that it always was rounded to."""
    plain = speech(40)
    samples = read(written(tmp_path / "a.wav", plain, gain_db)).samples
    rounded = np.clip(np.rint(plain * np.float32(10 ** (gain_db / 20)) * 32_768), -32_768, 32_767)
    assert np.abs(samples * 32_768 - rounded).max() <= 1


def test_a_pause_is_not_made_loud() -> None:
    """Before speech, behind it, and in between."""
    pause = speech(3 * BLOCK / SAMPLE_RATE) * np.float32(1e-4)
    whole = np.concatenate((speech(BLOCK / SAMPLE_RATE), pause, speech(BLOCK / SAMPLE_RATE)))
    out = np.concatenate(list(levelled([whole])))
    assert np.abs(out - whole).max() <= 1 / 32_768


def test_steady_noise_is_not_made_loud() -> None:
    """There is no speech in it."""
    noise = np.random.default_rng(0).normal(0, 1e-4, 2 * BLOCK).astype(np.float32)
    assert level(np.concatenate(list(levelled([noise])))) < 2e-4


def test_the_gain_does_not_pump() -> None:
    """Within a faint recording it is one number, whatever the words are."""
    faint = speech(4 * BLOCK / SAMPLE_RATE) * np.float32(1e-3)
    out = np.concatenate(list(levelled(np.array_split(faint, 50))))
    loud = np.abs(faint) > 3e-5
    gains = out[loud] / faint[loud]
    assert np.percentile(gains, 99) < 1.1 * np.percentile(gains, 1)


def test_numbers_that_are_none_are_silence() -> None:
    """A file of floats may hold anything."""
    broken = speech(5)
    broken[1_000:1_010] = np.nan
    broken[2_000] = np.inf
    out = np.concatenate(list(levelled([broken])))
    assert np.isfinite(out).all()
    assert level(out) == pytest.approx(level(speech(5)), rel=0.01)


def test_a_sample_here_and_there_is_no_trouble() -> None:
    """What is left of channels that cancel each other: all but one sample in 200 are zero."""
    sparse = np.zeros(2 * BLOCK, np.float32)
    sparse[: BLOCK // 3 : 200] = 1 / 32_768
    out = np.concatenate(list(levelled([sparse])))
    assert len(out) == len(sparse)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 1
