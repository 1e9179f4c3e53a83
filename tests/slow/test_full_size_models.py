"""The exact architectures of the production models, with random weights, through the code that runs
the real ones.

What they say is nonsense; that they load, run, fit and answer is what is shown. Run alone, and with
`-s` to see time and memory: python -m pytest -m slow -s tests/slow/test_full_size_models.py
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator

import numpy as np
import pytest

from core.domain.request import Decoding, SpeakerCount
from core.media.audio import SAMPLE_RATE, Waveform
from core.media.cutting import utterances
from core.modelstore import find_diarization_model, find_speech_model
from core.speakers.pyannote import PyannoteDiarizer
from core.speech.languages import languages_of
from core.speech.parakeet import ParakeetModel
from core.speech.transcriber import BatchTranscriber
from tests import golden, models

pytestmark = pytest.mark.slow

DURATION_S = 60


@contextlib.contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long something takes and the most memory that the process has had."""
    started = time.perf_counter()
    yield
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{what}: {time.perf_counter() - started:.1f} s, peak {peak_gib:.2f} GiB")


@pytest.fixture(scope="module")
def minute() -> Waveform:
    """One minute of two people talking."""
    samples = golden.load("dialogue").waveform.samples
    return Waveform(np.resize(samples, DURATION_S * SAMPLE_RATE), 0.0)


def test_speech_model_of_full_size_transcribes_a_minute(tmp_path, minute):
    """All utterances pass through 616 million parameters, on the device that the machine has."""
    with measured("building parakeet-tdt-0.6b-v2"):
        path = models.parakeet_tdt_0_6b_v2(tmp_path)
    with measured("loading it and trying it out"):
        file = find_speech_model(str(path)).path
        transcriber = BatchTranscriber(lambda: ParakeetModel(file), name=file.name)
    assert languages_of(file.name) == {"en"}
    fractions: list[float] = []
    with measured(f"transcribing {DURATION_S} s"):
        answer = transcriber.transcribe(
            utterances([minute.samples]),
            decoding=Decoding(),
            progress=fractions.append,
            cancelled=lambda: False,
            duration_s=DURATION_S,
        )
    assert fractions[-1] == 1
    assert [word.start for word in answer.words] == sorted(word.start for word in answer.words)
    assert all(0 <= word.start <= word.end <= DURATION_S for word in answer.words)
    assert all(0 <= word.confidence <= 1 for word in answer.words)
    assert answer.words or answer.warnings


def test_speaker_models_of_full_size_diarize_a_minute(tmp_path, minute):
    """Segmentation, embeddings, PLDA and VBx of community-1's sizes give turns inside the
    recording.
    """
    with measured("building community-1"):
        folder = models.community_1(tmp_path)
    with measured("loading it"):
        diarizer = PyannoteDiarizer(find_diarization_model(str(folder)))
    with measured(f"diarizing {DURATION_S} s"):
        answer = diarizer.diarize(
            minute,
            speakers=SpeakerCount(at_most=4),
            progress=lambda _: None,
            cancelled=lambda: False,
        )
    assert 1 <= answer.num_speakers <= 4
    assert all(
        0 <= turn.start < turn.end <= DURATION_S
        for turn in (*answer.turns, *answer.exclusive_turns)
    )
