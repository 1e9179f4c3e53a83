"""A Whisper model whose words are known beforehand, through CTranslate2 itself.

What real models hear is tested in `tests/people`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from core.domain.request import Decoding, Task
from core.domain.writing import joined
from core.errors import InvalidRequest, ModelNotFound, UnsupportedLanguage
from core.flows.load import load_transcription
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance
from core.settings import Settings
from core.speech.engine import Recognition
from core.speech.transcriber import BatchTranscriber
from core.speech.whisper import WhisperModel
from tests.whisper import scripted

SENTENCE = (" Guten", " Mor", "gen", ",", " Wien", ".")
FRENCH = Decoding("fr")


def noise(duration_s: float, level: float = 0.1) -> Samples:
    """Sound in which a scripted model hears its sentence."""
    samples = np.random.default_rng(0).standard_normal(round(duration_s * SAMPLE_RATE))
    return (level * samples).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A multilingual model that always says one German sentence."""
    return scripted(tmp_path_factory.mktemp("whisper"), SENTENCE)


@pytest.fixture(scope="module")
def whisper(folder) -> WhisperModel:
    """The model in it."""
    return WhisperModel(folder, device="cpu")


@pytest.fixture(scope="module")
def english(tmp_path_factory) -> WhisperModel:
    """A model of English alone."""
    path = scripted(tmp_path_factory.mktemp("en"), [" Hello", "."], multilingual=False)
    return WhisperModel(path, device="cpu")


def says(folder: Path, *sentence: str, certainty: float) -> str:
    """Return what is left of a sentence of this certainty."""
    model = WhisperModel(scripted(folder, sentence, certainty=certainty), device="cpu")
    return " ".join(word.text for word in model.recognise([noise(2.9)], FRENCH)[0].words)


def test_words_are_those_that_the_decoder_writes(whisper):
    """Tokens become words with the probability of their least likely token, and characters."""
    (found,) = whisper.recognise([noise(3)], FRENCH)
    assert [word.text for word in found.words] == ["Guten", "Morgen,", "Wien."]
    assert ["".join(one.text for one in word) for word in found.characters] == [
        "Guten",
        "Morgen,",
        "Wien.",
    ]
    assert all(0.85 < word.confidence < 0.95 for word in found.words)


@pytest.mark.parametrize("duration_s", [0.02, 0.5, 4.3, 30.0])
def test_times_lie_inside_the_utterance(whisper, duration_s):
    """However short it is: the window that the model hears is always longer."""
    (found,) = whisper.recognise([noise(duration_s)], FRENCH)
    times = [time for word in found.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= duration_s for time in times)
    for word, characters in zip(found.words, found.characters, strict=True):
        assert all(0 <= one.start <= one.end <= duration_s for one in characters), word


def test_silence_is_not_asked_for_words(whisper):
    """The model would say its sentence; the others of the batch keep their places."""
    arrays = [np.zeros(SAMPLE_RATE, np.float32), noise(2), np.zeros(0, np.float32), noise(3)]
    found = whisper.recognise(arrays, FRENCH)
    assert [bool(one.words) for one in found] == [False, True, False, True]
    assert found[0] == found[2] == Recognition()


def test_language_is_detected_only_if_none_is_given(whisper):
    """The guess says how sure the model is."""
    (detected,) = whisper.recognise([noise(3)], Decoding())
    (given,) = whisper.recognise([noise(3)], FRENCH)
    assert (detected.guess.language, given.guess) == ("de", None)
    assert detected.guess.probability > 0.99


def test_batch_finds_what_each_alone_has(whisper):
    """The other windows of a batch change nothing."""
    arrays = [noise(seconds) for seconds in (1.0, 7.0, 2.5)]
    alone = [whisper.recognise([array], Decoding())[0] for array in arrays]
    assert whisper.recognise(arrays, Decoding()) == alone


@pytest.mark.parametrize(("variables", "beams"), [({}, 5), ({"BEAM_SIZE": "2"}, 2)])
def test_search_keeps_as_many_texts_as_the_setting_says(folder, monkeypatch, variables, beams):
    """Five, as faster-whisper does, unless the operator wants otherwise."""
    search, kept = ctranslate2.models.Whisper.generate, set()

    def watched(*arguments, **options):
        kept.add(options["beam_size"])
        return search(*arguments, **options)

    monkeypatch.setattr(ctranslate2.models.Whisper, "generate", watched)
    for name, value in {"MODEL_ID": str(folder), **variables}.items():
        monkeypatch.setenv(name, value)
    load_transcription(Settings.from_environment())
    assert kept == {beams}


def test_text_that_is_unlikely_is_dropped(tmp_path):
    """Below a mean probability of 0.37 nothing speaks for it."""
    assert says(tmp_path / "sure", " Hello", " there", certainty=0.6) == "Hello there"
    assert says(tmp_path / "unsure", " Hello", " there", certainty=0.2) == ""


def test_loop_that_no_temperature_ends_is_said_once(tmp_path):
    """The text of all further attempts is the same; the repetitions go."""
    loop = [" I", " am", " here"] * 8
    assert says(tmp_path, *loop, certainty=0.999999) == "I am here"


def test_loop_is_decoded_again_at_a_higher_temperature(tmp_path, monkeypatch):
    """Until it is none, and then no more."""
    model = WhisperModel(scripted(tmp_path, [" la"] * 20, certainty=0.999999), device="cpu")
    write, temperatures = model._network.write, []

    def watched(windows, decoding, *, temperature=0.0):
        temperatures.append((temperature, decoding.keyterms))
        drafts = write(windows, decoding, temperature=temperature)
        return [replace(one, text=" la la") for one in drafts] if temperature > 0.5 else drafts

    monkeypatch.setattr(model._network, "write", watched)
    model.recognise([noise(2.9)], Decoding("fr", keyterms=("la",)))
    assert temperatures == [(0.0, ("la",)), (0.2, ()), (0.4, ()), (0.6, ())]


def test_words_of_a_script_without_blanks_are_its_tokens(tmp_path):
    """Marks belong to the word before them, and the text has no blanks either."""
    sentence = ["今日", "は", "晴", "れ", "。", "OK"]
    model = WhisperModel(scripted(tmp_path, sentence, language="zh"), device="cpu")
    (found,) = model.recognise([noise(2.9)], Decoding())
    texts = [word.text for word in found.words]
    assert texts == ["今日", "は", "晴", "れ。OK"]
    assert joined(texts) == "今日は晴れ。OK"


def test_key_terms_come_before_the_text(whisper):
    """They are in the prompt, so the decoder is at another position when it begins."""
    windows = whisper._network.encode([noise(3)])
    plain = whisper._network.write(windows, FRENCH)
    told = whisper._network.write(windows, replace(FRENCH, keyterms=("Guten",)))
    assert plain[0].text != told[0].text


def test_model_knows_its_languages_and_whether_it_translates(whisper, english):
    """From the tokens of its files, as ISO 639-1 codes."""
    assert whisper.abilities.languages == {"en", "de", "fr", "jv", "zh"}
    assert english.abilities.languages == {"en"}
    assert (whisper.abilities.translates, english.abilities.translates) == (True, False)
    assert english.recognise([noise(3)], Decoding("en"))[0].words[0].text == "Hello."


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "config.json"])
def test_broken_file_is_named_as_what_it_should_be(tmp_path, folder, name):
    """The worker that starts with it says so in one sentence."""
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ModelNotFound, match="cannot be read as a Whisper model for CTranslate2"):
        WhisperModel(tmp_path, device="cpu")


_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # importing it fails, as in an image that has none
from pathlib import Path
import numpy as np
from core.domain.request import Decoding
from core.flows.load import load_transcription
from core.media.cutting import Utterance
from core.settings import Settings

flow = load_transcription(Settings(model_id=sys.argv[1], temp_dir=Path(sys.argv[2])))
sound = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) / 10
heard = flow.transcriber.transcribe(
    [Utterance(sound, 0.0)],
    decoding=flow.transcriber.prepared(Decoding()),
    progress=lambda _: None,
    cancelled=lambda: False,
)
print(heard.language, *(word.text for word in heard.words))
"""


def test_no_torch_is_needed(tmp_path, folder):
    """The whole path of the transcription worker, from the settings to the words."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, str(folder), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == "de Guten Morgen, Wien.\n", done.stderr


def transcriber(model: WhisperModel, name: str = "openai/whisper-large-v3") -> BatchTranscriber:
    """The model under a name."""
    return BatchTranscriber(lambda: model, name=name)


@pytest.mark.parametrize(("given", "answered"), [(None, "de"), ("French", "fr"), ("ja-JP", None)])
def test_answer_names_the_language_that_was_given_or_detected(whisper, given, answered):
    """One that the model does not have is refused, with those that it has."""
    model = transcriber(whisper)
    if answered is None:
        with pytest.raises(UnsupportedLanguage, match="give one of de, en, fr, jv, zh"):
            model.prepared(Decoding(given))
        return
    heard = model.transcribe(
        [Utterance(noise(3), 0.0)],
        decoding=model.prepared(Decoding(given)),
        progress=lambda _: None,
        cancelled=lambda: False,
    )
    assert heard.language == answered


@pytest.mark.parametrize(
    "name", ["openai/whisper-large-v3-turbo", "distil-whisper/distil-large-v3"]
)
def test_model_that_was_not_trained_to_translate_refuses(whisper, name):
    """Its tokens promise it, and it would write what was said."""
    with pytest.raises(InvalidRequest, match=f"task translate is not known to {name}"):
        transcriber(whisper, name).prepared(Decoding(task=Task.TRANSLATE))
    decoding = Decoding("fr", Task.TRANSLATE)
    assert transcriber(whisper).prepared(decoding) == decoding


def test_model_of_english_refuses_german_and_translations(english):
    """With a sentence instead of silence."""
    model = transcriber(english, "openai/whisper-tiny.en")
    with pytest.raises(UnsupportedLanguage, match=r"not known to openai/whisper-tiny\.en"):
        model.prepared(Decoding("de"))
    with pytest.raises(InvalidRequest, match="leave task out"):
        model.prepared(Decoding(task=Task.TRANSLATE))
    assert model.prepared(Decoding()).language == "en"
