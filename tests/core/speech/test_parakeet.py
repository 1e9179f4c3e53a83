"""NeMo's models of every kind."""

import itertools
import tarfile
from pathlib import Path

import numpy as np
import pytest

from core.domain.request import Decoding
from core.errors import ModelNotFound
from core.media.audio import SAMPLE_RATE
from core.modelstore import find_speech_model
from core.speech.engine import Recognition
from core.speech.parakeet import ParakeetModel
from tests import golden, models
from tests.core.speech.test_spelling import FRAME_S, check


@pytest.fixture(scope="module")
def model() -> ParakeetModel:
    """The embedded model."""
    return ParakeetModel(find_speech_model("embedded").path, device="cpu")


def speech(start_s: float, end_s: float) -> np.ndarray:
    """A part of the golden sentences."""
    return golden.load("sentences").waveform.samples[
        int(start_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)
    ]


@pytest.mark.parametrize("kind", ["tdt", "rnnt", "ctc"])
def test_models_of_every_kind_are_read(tmp_path, kind):
    """A `.nemo` of each kind answers with words, their times and confidences, however long the
    input is.
    """
    model = ParakeetModel(models.speech_model(kind, tmp_path), device="cpu")
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal(samples).astype(np.float32) * np.float32(0.1)
        for samples in (800, 16_000, 40_001)
    ]
    found = model.recognise(arrays, Decoding())
    for one, samples in zip(found, arrays, strict=True):
        check(one, len(samples) / SAMPLE_RATE)
    assert any(one.words for one in found)
    assert all(word.confidence is not None for one in found for word in one.words)


def test_decoder_is_set_once(model):
    """No call rebuilds it: for CTC models NeMo would do so at every call, for all when timestamps
    are toggled.
    """
    decoder = model._model.decoding.decoding
    model.recognise([speech(1, 3)], Decoding())
    assert model._model.decoding.decoding is decoder


def test_array_under_a_second_keeps_its_times(model):
    """NeMo pads short arrays on both sides; ours get the silence on the right, as if it had been
    recorded.
    """
    short = speech(1.1, 1.75)
    padded = np.pad(short, (0, SAMPLE_RATE - len(short)))
    (alone,), (recorded,) = (
        model.recognise([short], Decoding()),
        model.recognise([padded], Decoding()),
    )
    assert alone.words
    assert [(word.text, word.start) for word in alone.words] == [
        (word.text, word.start) for word in recorded.words
    ]
    check(alone, len(short) / SAMPLE_RATE)


@pytest.mark.parametrize("samples", [1, 400, 15_999, 3 * SAMPLE_RATE])
def test_silence_has_no_words(model, samples):
    """Digital silence of any length is silence."""
    assert model.recognise([np.zeros(samples, np.float32)], Decoding()) == [Recognition()]


def test_batch_gives_what_its_arrays_give_alone(model):
    """Neither the neighbours in a batch nor their lengths change the words."""
    cuts = [0.9, 2.3, 3.8, 5.5]
    arrays = [speech(*span) for span in itertools.pairwise(cuts)]
    together = model.recognise(arrays, Decoding())
    alone = [model.recognise([array], Decoding())[0] for array in arrays]
    assert any(found.words for found in alone)
    for one, other in zip(together, alone, strict=True):
        assert [word.text for word in one.words] == [word.text for word in other.words]
        assert np.allclose(
            [word.start for word in one.words],
            [word.start for word in other.words],
            atol=FRAME_S + 1e-6,
        )
        assert np.allclose(
            [word.confidence for word in one.words],
            [word.confidence for word in other.words],
            atol=1e-3,
        )


def test_model_says_nothing(model, capfd, caplog):
    """Neither a progress bar nor a configuration nor a word of the transcript is printed or
    logged.
    """
    capfd.readouterr()
    (found,) = model.recognise([speech(0, 5)], Decoding())
    assert found.words
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_file_that_is_no_model_is_refused(tmp_path, content):
    """Garbage, and an archive without weights, are named by the file's name alone."""
    path = tmp_path / "broken.nemo"
    if content is None:
        with tarfile.open(path, "w") as archive:
            archive.add(Path(__file__), "model_config.yaml")
    else:
        path.write_bytes(content)
    with pytest.raises(
        ModelNotFound, match=r"broken\.nemo cannot be read as a NeMo model"
    ) as caught:
        ParakeetModel(path, device="cpu")
    assert str(tmp_path) not in str(caught.value)


def test_model_for_another_sample_rate_is_refused(tmp_path):
    """A telephone model at 8 kHz would hear everything at twice the pitch."""
    with pytest.raises(ModelNotFound, match="wants 8000 Hz"):
        ParakeetModel(models.speech_model("ctc", tmp_path, sample_rate=8_000), device="cpu")
