"""The embedded pipeline, and a recording whose speakers are known."""

from __future__ import annotations

import pytest

from core.domain.timeline import Diarization
from core.media.audio import SAMPLE_RATE, Waveform
from core.modelstore import find_diarization_model
from core.speakers.pipeline import BatchSizes
from core.speakers.pyannote import PyannoteDiarizer
from tests import golden
from tests.core.speakers.calls import diarize


@pytest.fixture(scope="package")
def diarizer() -> PyannoteDiarizer:
    """The embedded pipeline, on the CPU."""
    location = find_diarization_model("embedded")
    return PyannoteDiarizer(location, device="cpu", batch_sizes=BatchSizes(4, 4))


@pytest.fixture(scope="package")
def dialogue() -> golden.Golden:
    """Two speakers, 22 s."""
    return golden.load("dialogue")


@pytest.fixture(scope="package")
def exchange(dialogue: golden.Golden) -> Waveform:
    """Its last 12 s: both speak, one after the other."""
    return Waveform(dialogue.waveform.samples[10 * SAMPLE_RATE :], 10.0)


@pytest.fixture(scope="package")
def brief_answer(diarizer: PyannoteDiarizer, exchange: Waveform) -> Diarization:
    """Who speaks in the exchange."""
    return diarize(diarizer, exchange)


@pytest.fixture(scope="package")
def answer(diarizer: PyannoteDiarizer, dialogue: golden.Golden) -> Diarization:
    """Who speaks in the dialogue."""
    return diarize(diarizer, dialogue.waveform)
