"""Sounds in which Whisper models hear text that nobody said, and speech that ends badly.

All are float32, shape (samples,), 16 kHz mono, -1..1, and the same at every call.
"""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from core.media.audio import SAMPLE_RATE, Samples

Sound = NDArray[np.float64]


def _time(seconds: float) -> Sound:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def noise(seconds: float = 20.0, level: float = 0.1) -> Sound:
    """Return white noise of this mean level."""
    return level * np.random.default_rng(7).standard_normal(round(seconds * SAMPLE_RATE))


def silence(seconds: float = 20.0) -> Sound:
    """Return a quiet room: noise 60 dB below full scale."""
    return noise(seconds, 1e-3)


def tone(seconds: float = 20.0) -> Sound:
    """Return a sine of 440 Hz."""
    return 0.2 * np.sin(2 * np.pi * 440 * _time(seconds))


def music(seconds: float = 24.0) -> Sound:
    """Return a melody over a bass, plucked, two notes a second."""
    chosen = np.random.default_rng(7)
    scale = (261.6, 293.7, 329.6, 392.0, 440.0, 523.3)
    beat = _time(0.5)
    notes = []
    for index in range(int(seconds / 0.5)):
        pitches = (chosen.choice(scale), 65.4 if index // 4 % 2 else 98.1)
        waves = (
            np.sin(2 * np.pi * pitch * harmonic * beat) / harmonic
            for pitch in pitches
            for harmonic in (1, 2, 3, 4)
        )
        notes.append(0.1 * sum(waves) * np.exp(-1.5 * beat))
    return np.concatenate(notes)


def hold_music(seconds: float = 24.0) -> Sound:
    """Return soft music with a beep every six seconds."""
    sound = 0.5 * music(seconds)
    beep = 0.3 * np.sin(2 * np.pi * 1000 * _time(0.25))
    for second in range(2, int(seconds), 6):
        sound[second * SAMPLE_RATE :][: len(beep)] += beep
    return sound


def _filtered(seconds: float, lowest_hz: float, highest_hz: float) -> Sound:
    spectrum = np.fft.rfft(noise(seconds))
    pitch = np.fft.rfftfreq(round(seconds * SAMPLE_RATE), 1 / SAMPLE_RATE)
    spectrum[(pitch < lowest_hz) | (pitch > highest_hz)] = 0
    sound = np.fft.irfft(spectrum, round(seconds * SAMPLE_RATE))
    return sound / sound.std()


def breathing(seconds: float = 20.0) -> Sound:
    """Return slow breaths."""
    breath = np.clip(np.sin(2 * np.pi * 0.3 * _time(seconds)), 0, 1) ** 2
    return 0.05 * _filtered(seconds, 300, 3000) * breath


def laughter(seconds: float = 20.0) -> Sound:
    """Return bursts of noise, five a second, that swell every four seconds."""
    at = _time(seconds)
    bursts = (np.sin(2 * np.pi * 5 * at) > 0) * np.clip(np.sin(2 * np.pi * 0.25 * at), 0, 1)
    return 0.15 * _filtered(seconds, 500, 2500) * bursts


def read(path: Path) -> Sound:
    """Return a wav of 16 bit, 16 kHz mono."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (SAMPLE_RATE, 1)
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float64) / 32_768


def said(text: str, voice: str = "en-us") -> Sound:
    """Return what espeak-ng says."""
    command = ["espeak-ng", "-v", voice, "-s", "150", "--stdout", text]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
    samples = np.frombuffer(data[44:], "<i2").astype(np.float64) / 32_768
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE))


def clipped() -> Sound:
    """Return a sentence whose last word is cut off."""
    sound = said("the meeting begins at half past nine on wednesday")
    return sound[: len(sound) - int(0.55 * SAMPLE_RATE)]


def two_languages() -> Sound:
    """Return an English sentence, a pause and two German ones."""
    english = said("good morning and welcome to our weekly meeting today we talk about the budget")
    german = said(
        "Guten Morgen und herzlich willkommen. Heute sprechen wir über den Haushalt und die neuen "
        "Mitarbeiter.",
        "de",
    )
    return np.concatenate([english, silence(1.0), german])


def digits() -> Sound:
    """Return the ten digits, slowly."""
    spoken = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"]
    return np.concatenate([part for digit in spoken for part in (said(digit), silence(1.5))])


WORDLESS: tuple[Callable[[], Sound], ...] = (
    silence, tone, noise, music, hold_music, breathing, laughter
)  # fmt: skip
ALL = (*WORDLESS, clipped, two_languages, digits)


def samples(sound: Sound) -> Samples:
    """Return a sound as models take it, at most 30 s of it."""
    return sound[: 30 * SAMPLE_RATE].astype(np.float32)
