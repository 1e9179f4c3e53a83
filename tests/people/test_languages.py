"""Languages and translation: Whisper base, Whisper tiny.en and Parakeet, asked over HTTP.

The languages are espeak-ng's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media import ffmpeg
from tests.people.asking import Worker

pytestmark = pytest.mark.people

Say = Callable[[str, str], Path]
SENTENCES = {
    "de": "Guten Morgen. Mein Name ist Peter und ich wohne in Berlin. "
    "Wir haben zwei Kinder und ein großes Haus.",
    "fr": "Bonjour, comment allez-vous? Je vais très bien, merci. "
    "Et vous? Il fait beau aujourd'hui.",
    "es": "Buenos días. Quisiera una habitación con vista al jardín, por favor. "
    "Nos quedamos tres días y volvemos a casa el viernes.",
}
"""Such as the small model understands although a machine says them."""
MORE = {
    "de": "Das Wetter ist heute sehr gut. Wir gehen in die Stadt und kaufen Brot und Milch.",
    "es": "Me llamo Pedro y vivo en Madrid con mi familia. Tenemos dos hijos y una casa grande.",
}
WORDS = {
    "de": {"und", "ein", "wir", "haus"},
    "fr": {"comment", "allez", "vous", "merci"},
    "es": {"una", "con", "días"},
}


def words(text: str) -> set[str]:
    """Return the words of a text in lower case."""
    return set(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize("language", SENTENCES)
def test_a_language_is_detected(language: str, single: Worker, spoken: Say) -> None:
    """The answer names it, and is written in it."""
    answer = single.output(spoken(language, SENTENCES[language]), response_format="verbose_json")
    assert answer["language"] == language
    assert len(words(answer["text"]) & WORDS[language]) >= 2


@pytest.mark.parametrize("pause_s", [0.6, 6.0])
def test_two_languages_in_one_recording_are_both_written(
    single: Worker, spoken: Say, tmp_path: Path, pause_s: float
) -> None:
    """German and Spanish, 26 s that the model hears at once: neither is translated or left out."""
    parts = [spoken(language, f"{SENTENCES[language]} {MORE[language]}") for language in MORE]
    both = tmp_path / "both.wav"
    pause = f"[0]apad=pad_dur={pause_s}[a];[a][1]concat=n=2:v=0:a=1"
    ffmpeg("-i", parts[0], "-i", parts[1], "-filter_complex", pause, both)
    answer = single.output(both, response_format="verbose_json")
    assert answer["language"] in MORE
    assert [one["language"] for one in answer["languages"]] == list(MORE)
    for language in MORE:
        assert len(words(answer["text"]) & WORDS[language]) >= 2, (language, answer["text"])


def test_german_is_translated(single: Worker, spoken: Say) -> None:
    """`task: translate` gives English, whether or not the language is named."""
    german = spoken("de", SENTENCES["de"])
    for given in ({}, {"language": "de"}):
        text = single.output(german, task="translate", **given)["text"]
        assert {"name", "children", "house"} & words(text), text
        assert not words(text) & WORDS["de"], text


def test_parakeet_refuses_to_translate(parakeet: Worker, call: Path) -> None:
    """With a sentence that says what would."""
    refused = parakeet.refusal(call, task="translate")
    assert refused.startswith("invalid_request: ")
    assert "translate" in refused
    assert "whisper" in refused.lower()


def test_tiny_en_refuses_to_translate(english: Worker, call: Path) -> None:
    """It knows English alone, and says so rather than nothing."""
    refused = english.refusal(call, task="translate")
    assert refused.startswith("invalid_request: ")
    assert "translate" in refused


def test_tiny_en_refuses_german(english: Worker, call: Path) -> None:
    """It names the one language that it knows."""
    refused = english.refusal(call, language="de")
    assert refused.startswith("unsupported_language: ")
    assert "en" in words(refused)


def test_tiny_en_hears_the_call(english: Worker, call: Path) -> None:
    """The small model finds most of it too, and says that it is English."""
    answer = english.output(call, response_format="verbose_json")
    assert {"diane", "jersey", "chicago", "yankee"} <= words(answer["text"])
    assert answer["language"] == "en"


@pytest.mark.parametrize("wrong", ["xx", "klingon", "tlh"])
def test_a_language_that_nobody_speaks_is_refused(wrong: str, single: Worker, call: Path) -> None:
    """Before anything is transcribed, with the name that was given."""
    refused = single.refusal(call, language=wrong)
    assert refused.startswith("unsupported_language: ")
    assert wrong in refused


def test_a_wrong_language_is_not_made_up_for(single: Worker, call: Path) -> None:
    """The caller's word counts: English said to be German is answered as German."""
    answer = single.output(call, language="de", response_format="verbose_json")
    assert answer["language"] == "de"
    assert answer["text"]
