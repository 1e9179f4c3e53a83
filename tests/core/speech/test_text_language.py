"""The language of a text: found by its spelling, for models of several that do not say which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.domain.request import Decoding
from core.domain.timeline import Word
from core.media.audio import Samples
from core.media.cutting import Utterance
from core.speech.engine import Abilities, Guess, Recognition
from core.speech.languages import EUROPEAN
from core.speech.text_language import TextLanguage
from core.speech.transcriber import BatchTranscriber

SAID = {
    "bg": "Добър ден, как сте днес? Трябва да говорим за срока на проекта.",
    "cs": "Dobrý den, jak se dnes máte? Musíme mluvit o termínu projektu.",
    "da": "Goddag, hvordan har du det i dag? Vi skal tale om projektets frist.",
    "de": "Guten Tag, wie geht es Ihnen heute? Wir müssen über den Termin sprechen.",
    "el": "Καλημέρα, τι κάνετε σήμερα; Πρέπει να μιλήσουμε για την προθεσμία.",
    "en": "Good morning, how are you today? We should talk about the deadline.",
    "es": "Buenos días, ¿cómo está hoy? Tenemos que hablar del plazo del proyecto.",
    "et": "Tere päevast, kuidas teil täna läheb? Peame rääkima projekti tähtajast.",
    "fi": "Hyvää päivää, mitä kuuluu tänään? Meidän pitää puhua määräajasta.",
    "fr": "Bonjour, comment allez-vous ? Nous devons parler du délai du projet.",
    "hr": "Dobar dan, kako ste danas? Moramo razgovarati o roku projekta.",
    "hu": "Jó napot, hogy van ma? Beszélnünk kell a projekt határidejéről.",
    "it": "Buongiorno, come sta oggi? Dobbiamo parlare della scadenza del progetto.",
    "lt": "Laba diena, kaip šiandien sekasi? Turime pakalbėti apie projekto terminą.",
    "lv": "Labdien, kā jums šodien klājas? Mums jārunā par projekta termiņu.",
    "mt": "Il-ġurnata t-tajba, kif int illum? Irridu nitkellmu dwar id-data tal-proġett.",
    "nl": "Goedendag, hoe gaat het vandaag met u? We moeten over de deadline praten.",
    "pl": "Dzień dobry, jak się pan dziś ma? Musimy porozmawiać o terminie projektu.",
    "pt": "Bom dia, como está hoje? Temos de falar sobre o prazo do projeto.",
    "ro": "Bună ziua, ce mai faceți astăzi? Trebuie să vorbim despre termenul proiectului.",
    "ru": "Добрый день, как у вас дела? Нам надо поговорить о сроке проекта.",
    "sk": "Dobrý deň, ako sa dnes máte? Musíme hovoriť o termíne projektu.",
    "sl": "Dober dan, kako ste danes? Govoriti moramo o roku projekta, ki se bliža.",
    "sv": "God dag, hur mår ni i dag? Vi måste tala om projektets tidsfrist.",
    "uk": "Добрий день, як у вас справи? Нам треба поговорити про термін проєкту.",
}


@pytest.fixture(scope="module")
def languages() -> TextLanguage:
    """Those of Parakeet v3."""
    return TextLanguage(EUROPEAN)


def test_every_language_of_parakeet_is_told_from_the_others(languages: TextLanguage) -> None:
    """By two sentences, with its confidence."""
    assert set(SAID) == EUROPEAN
    found = {code: languages.guess(text.split()) for code, text in SAID.items()}
    assert {code: one and one.language for code, one in found.items()} == {
        code: code for code in SAID
    }
    assert all(0.5 <= one.probability <= 1 for one in found.values() if one)


@pytest.mark.parametrize("text", ["", "Oui.", "123 45", "?"])
def test_too_little_text_tells_no_language(languages: TextLanguage, text: str) -> None:
    """A wrong label would be worse than none."""
    assert languages.guess(text.split()) is None


class Engine:
    """An engine that hears one sentence."""

    device, window_s = "cpu", 0.0

    def __init__(self, text: str, abilities: Abilities, guess: Guess | None = None) -> None:
        self.abilities = abilities
        self._found = Recognition(
            tuple(Word(i / 10, i / 10 + 0.1, word) for i, word in enumerate(text.split())),
            guess=guess,
        )

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """The sentence, whatever the sound."""
        return [self._found] * len(arrays)


def heard(
    engine: Engine, model: str, language: str | None = None
) -> tuple[str | None, float | None]:
    """The language that a transcription names, and how sure it is."""
    transcriber = BatchTranscriber(lambda: engine, name=model)
    found = transcriber.transcribe(
        [Utterance(np.zeros(32_000, np.float32), 0.0)],
        decoding=transcriber.prepared(Decoding(language)),
        progress=lambda _: None,
        cancelled=lambda: False,
    )
    sure = found.language_confidence
    return found.language, None if sure is None else round(sure, 2)


V2, V3 = "nvidia/parakeet-tdt-0.6b-v2", "nvidia/parakeet-tdt-0.6b-v3"


def test_the_text_decides_where_the_model_does_not_say() -> None:
    """Parakeet v3 writes German; without words it says nothing, and what is given stays."""
    language, sure = heard(Engine(SAID["de"], Abilities()), V3)
    assert language == "de"
    assert sure is not None
    assert sure > 0.9
    assert heard(Engine("", Abilities()), V3) == (None, None)
    assert heard(Engine(SAID["de"], Abilities()), V3, "nl") == ("nl", None)


def test_a_model_of_one_language_says_that() -> None:
    """Parakeet v2 is English, and nobody has to detect it."""
    assert heard(Engine(SAID["de"], Abilities()), V2) == ("en", None)


def test_a_model_that_hears_the_language_is_believed() -> None:
    """Whisper names it by the sound, with its own confidence."""
    whisper = Abilities(frozenset({"de", "nl"}), detects_language=True)
    engine = Engine(SAID["de"], whisper, Guess("nl", 0.75))
    assert heard(engine, "openai/whisper-base") == ("nl", 0.75)


def test_a_model_of_unknown_languages_is_asked_for_none() -> None:
    """Any text could be in any language."""
    assert heard(Engine(SAID["de"], Abilities()), "example/other") == (None, None)
