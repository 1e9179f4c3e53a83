"""NeMo's models of every kind, and words put together from their tokens."""

import itertools
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Decoding
from core.errors import ModelNotFound
from core.media.audio import SAMPLE_RATE
from core.modelstore import find_speech_model
from core.speech.engine import Recognition
from core.speech.parakeet import ParakeetModel, Token, recognition
from tests import golden, models

FRAME_S = 0.08


@pytest.fixture(scope="module")
def model() -> ParakeetModel:
    """The embedded model."""
    return ParakeetModel(find_speech_model("embedded").path, device="cpu")


def speech(start_s: float, end_s: float) -> np.ndarray:
    """A part of the golden sentences."""
    return golden.load("sentences").waveform.samples[
        int(start_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)
    ]


def check(found: Recognition, duration_s: float) -> None:
    """What holds of every recognition."""
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= duration_s for word in found.words)
    assert all(word.text and not word.text.isspace() for word in found.words)
    assert all(word.confidence is None or 0 <= word.confidence <= 1 for word in found.words)
    for word, characters in zip(found.words, found.characters, strict=True):
        assert "".join(character.text for character in characters) in ("", word.text)


def token(text: str, start: float, end: float, confidence: float | None = 0.5) -> Token:
    """A token with a usual confidence."""
    return Token(text, start, end, confidence)


def test_words_are_put_together_from_their_tokens():
    """Words go by the text's blanks, times by the tokens, the confidence by the least certain
    one.
    """
    tokens = [
        token("He", 0.08, 0.24, 0.9),
        token("llo,", 0.24, 0.4, 0.7),
        token("you", 0.8, 0.96, 0.8),
    ]
    hello, you = recognition("Hello, you", tokens, frame_s=FRAME_S, duration_s=2).words
    assert (hello.text, hello.start, hello.confidence) == ("Hello,", 0.08, 0.7)
    assert (you.text, you.start, you.end, you.confidence) == ("you", 0.8, 0.96, 0.8)


def test_punctuation_that_comes_late_does_not_stretch_its_word():
    """A full stop that is emitted after a pause belongs to the word, its time does not."""
    (word,) = recognition(
        "Stop.", [token("Stop", 0.4, 0.56), token(".", 2.0, 2.08)], frame_s=FRAME_S, duration_s=3
    ).words
    assert (word.start, word.end) == (0.4, 0.56)


def test_word_without_a_duration_lasts_a_frame_or_until_the_next():
    """Tokens of TDT models may have a duration of zero frames."""
    tokens = [token("a", 0.4, 0.4), token("b", 0.44, 0.44), token("c", 0.96, 0.96)]
    words = recognition("a b c", tokens, frame_s=FRAME_S, duration_s=1).words
    assert [(word.start, word.end) for word in words] == [(0.4, 0.44), (0.44, 0.52), (0.96, 1)]


def test_mark_alone_is_no_word():
    """Models emit full stops into silence; next to a word they belong to it, and other signs are
    read aloud.
    """
    tokens = [
        token("?", 0.0, 0.1),
        token("R", 1, 1.1),
        token("&", 1.1, 1.2),
        token("D.", 1.2, 1.3),
        token("...", 3, 3),
    ]
    found = recognition("? R & D. ...", tokens, frame_s=FRAME_S, duration_s=4)
    assert [word.text for word in found.words] == ["R", "&", "D."]
    assert len(found.characters) == 3


def test_letters_share_the_time_of_their_token():
    """Characters follow each other evenly through a token."""
    (characters,) = recognition(
        "abcd", [token("abcd", 0.0, 0.4)], frame_s=FRAME_S, duration_s=1
    ).characters
    assert [character.text for character in characters] == list("abcd")
    assert np.allclose([character.start for character in characters], [0, 0.1, 0.2, 0.3])


def test_tokens_that_do_not_spell_the_text_give_times_alone():
    """An unknown token, a byte: the words stay, their times are in proportion, nothing else is
    claimed.
    """
    tokens = [
        token("na", 0.0, 0.4),
        token("\ufffd", 0.4, 0.4),
        token("\ufffd", 0.4, 0.4),
        token("ve", 0.4, 0.8),
        token("word", 1.2, 1.6),
    ]
    found = recognition("naïve word", tokens, frame_s=FRAME_S, duration_s=2)
    assert [word.text for word in found.words] == ["naïve", "word"]
    assert [word.confidence for word in found.words] == [None, None]
    assert found.characters == ((), ())
    assert found.words[0].start == 0
    assert found.words[1].end == 1.6


@given(
    st.lists(
        st.tuples(
            st.text("ab.,é", min_size=1, max_size=4),
            st.floats(0, 5),
            st.floats(0, 1),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.booleans(),
    st.floats(0.1, 6),
)
def test_any_tokens_give_all_the_words_in_order(parts, is_spelled, duration_s):
    """Whatever the model emits, at whatever times: every word of the text once, in order, inside
    the recording.
    """
    starts = sorted(start for _, start, _, _ in parts)
    tokens = [
        token(text, start, start + length, length)
        for (text, _, length, _), start in zip(parts, starts, strict=True)
    ]
    text = (
        "".join(text + " " * ends for text, _, _, ends in parts)
        if is_spelled
        else "some other words"
    )
    found = recognition(text, tokens, frame_s=FRAME_S, duration_s=duration_s)
    check(found, duration_s)
    assert [word.text for word in found.words] == (
        [word for word in text.split() if word.strip(".,")] if tokens else []
    )


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
