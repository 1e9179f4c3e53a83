"""A first look at the channels of a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.domain.timeline import Span
from core.media.audio import SAMPLE_RATE, Samples, Stream
from core.media.survey import Survey, survey
from tests.core.media.test_channels import hiss, voice
from tests.media import write_wav


def look(folder: Path, *channels: Samples, **options: float) -> Survey:
    """Survey a wav of these channels."""
    path = write_wav(folder / "a.wav", np.stack(channels, 1))
    return survey(Stream(path, max_duration_s=600, **options))  # type: ignore[arg-type]


def talk(seconds: float, seed: int) -> Samples:
    """Noise in bursts of random lengths: two of them do not go together."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(round(seconds * 5)) > 0.5, SAMPLE_RATE // 5)
    return (rng.normal(0, 0.1, len(loud)) * loud).astype(np.float32)


def test_silent_channels_are_told(tmp_path: Path) -> None:
    """A wire with nothing on it, not one on which there is a hiss."""
    found = look(tmp_path, voice(), np.zeros_like(voice()), hiss(seed=3) * np.float32(100))
    assert found.silent() == [1]


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.3])
def test_copies_are_told(gain: float, tmp_path: Path) -> None:
    """Upside down or fainter as well; the loudest is the original."""
    said, other = talk(12, 0), talk(12, 1)
    assert look(tmp_path, said, other, np.float32(gain) * said).copies() == {2: 0}
    assert look(tmp_path, np.float32(0.3) * said, other, said).copies() == {0: 2}


def test_two_voices_are_no_copies_and_do_not_leak(tmp_path: Path) -> None:
    """However much they speak at once."""
    found = look(tmp_path, talk(30, 0), talk(30, 1))
    assert found.copies() == {}
    assert found.leaked(0, 1, Span(0, 30)) == found.leaked(1, 0, Span(0, 30)) == 0


@pytest.mark.parametrize("delay_ms", [0, 40, 80])
def test_a_leak_is_found_with_its_delay(delay_ms: int, tmp_path: Path) -> None:
    """A tenth of the level, beside somebody who speaks there too."""
    one = talk(30, 0)
    other = talk(30, 1) * (np.arange(len(one)) > 15 * SAMPLE_RATE)
    late = np.roll(one, delay_ms * SAMPLE_RATE // 1000)
    found = look(tmp_path, one, (other + np.float32(0.1) * late).astype(np.float32))
    span = Span(2, 12)
    assert found.leaked(1, 0, span) == pytest.approx(0.1 * found.level(0, span), rel=0.15)
    assert found.likeness(1, 0, span) > 0.95
    assert found.leaked(0, 1, span) == 0


@pytest.mark.parametrize("noise", [0.002, 0.006])
def test_a_leak_is_found_in_noise_that_hides_it(noise: float, tmp_path: Path) -> None:
    """What is told has the noise in it; without a leak it is nothing."""
    one = talk(30, 0)
    other = talk(30, 1) * (np.arange(len(one)) > 15 * SAMPLE_RATE).astype(np.float32)
    steady = np.random.default_rng(2).normal(0, noise, len(one)).astype(np.float32)
    span = Span(2, 12)
    found = look(tmp_path, one, np.float32(0.1) * one + other + steady)
    both = np.hypot(0.1 * found.level(0, span), noise)
    assert found.leaked(1, 0, span) == pytest.approx(both, rel=0.1)
    plain = look(tmp_path, one, other + steady)
    assert plain.leaked(1, 0, span) == 0


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    """Also in a range."""
    said = np.concatenate([np.zeros(5 * SAMPLE_RATE, np.float32), talk(5, 0)])
    found = look(tmp_path, said, said, start_s=4.0, end_s=9.0)
    assert found.level(0, Span(4, 5)) == 0
    assert found.level(0, Span(5, 9)) > 0.03
    assert found.levels.shape == (2, 250)
