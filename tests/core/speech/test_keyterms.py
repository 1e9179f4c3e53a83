"""Key terms of Parakeet: NeMo's decoder favours them, each utterance's own, and those that were not
said are left out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.request import Decoding
from core.domain.timeline import Character, Word
from core.errors import InvalidRequest
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance
from core.modelstore import find_speech_model
from core.speech.abilities import checked, known, unwritable
from core.speech.engine import Recognition
from core.speech.parakeet import ParakeetModel
from core.speech.terms_heard import with_terms
from core.speech.transcriber import BatchTranscriber
from tests import golden, models

POOL = ((), ("does Ben",), ("does begins", "Frankson"), ("Zanzibar", "Dr. Osei"))
COUNT = 3
STEP_S = 0.08
"""Of the encoder's output."""


@pytest.fixture(scope="module")
def parakeet() -> ParakeetModel:
    """The embedded model."""
    return ParakeetModel(find_speech_model("embedded").path, device="cpu")


@pytest.fixture(scope="module")
def pieces() -> list[Samples]:
    """Some seconds of the dialogue, thrice: the model is not sure of a word."""
    samples = golden.load("dialogue").waveform.samples
    cuts = ((12.5, 16.2), (12.75, 16.2), (14.0, 16.2))
    return [samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] for start, end in cuts]


def text(found: Recognition) -> str:
    """The words of an utterance."""
    return " ".join(word.text for word in found.words)


def test_a_term_is_written_where_the_model_was_unsure(
    parakeet: ParakeetModel, pieces: list[Samples]
) -> None:
    """In the time and with the confidence of what it heard; no other word changes."""
    (plain,) = parakeet.recognise(pieces[:1], Decoding())
    (found,) = parakeet.recognise(pieces[:1], Decoding(keyterms=("does Ben",)))
    assert "And what does begin?" in text(plain)
    assert text(found) == text(plain).replace("does begin?", "does Ben?")
    (at,) = (index for index, word in enumerate(found.words) if word.text == "Ben?")
    said, heard = found.words[at], plain.words[at]
    assert plain.words[at - 1].start <= said.start <= said.end <= heard.end
    assert said.confidence == min(word.confidence for word in plain.words[at - 1 : at + 1])
    assert "".join(one.text for one in found.characters[at]) == "Ben?"
    assert found.words[: at - 1] == plain.words[: at - 1]
    assert found.words[at + 1 :] == plain.words[at + 1 :]


@pytest.fixture(scope="module")
def alone(
    parakeet: ParakeetModel, pieces: list[Samples]
) -> dict[tuple[str, ...], list[Recognition]]:
    """What is found if all jobs of a batch have the same terms."""
    found = {terms: parakeet.recognise(pieces, Decoding(keyterms=terms)) for terms in POOL}
    assert len({text(one[0]) for one in found.values()}) == len(POOL) - 1, "terms change something"
    return found


@settings(max_examples=10, deadline=None)
@given(own=st.lists(st.sampled_from(POOL), min_size=COUNT, max_size=COUNT))
def test_the_terms_of_one_job_never_touch_another(
    parakeet: ParakeetModel,
    pieces: list[Samples],
    alone: dict[tuple[str, ...], list[Recognition]],
    own: list[tuple[str, ...]],
) -> None:
    """Whatever the others in a batch ask for, each finds what it finds among its like.

    NeMo's decoder may give a favoured token one step more or less, by who else has terms.
    """
    found = parakeet.recognise_mixed(pieces, [Decoding(keyterms=terms) for terms in own])
    for index, terms in enumerate(own):
        expected = alone[terms][index]
        if not terms:
            assert found[index] == expected
        heard = zip(found[index].words, expected.words, strict=True)
        for word, other in heard:
            assert replace(word, end=other.end) == other
            assert word.end == pytest.approx(other.end, abs=STEP_S + 1e-9)


def test_what_was_not_said_is_not_written(parakeet: ParakeetModel, pieces: list[Samples]) -> None:
    """A hundred terms of which none is said leave all words as they are."""
    terms = tuple(f"Zanz{first}bar Quibble{last}ix" for first in "aeiou" for last in "abcdefghij")
    plain = parakeet.recognise(pieces[:1], Decoding())
    assert parakeet.recognise(pieces[:1], Decoding(keyterms=terms * 2)) == plain


@pytest.mark.parametrize("kind", ["tdt", "rnnt", "ctc"])
def test_which_models_take_terms(kind: str, tmp_path: Path) -> None:
    """TDT and RNNT; the decoder of a CTC model knows none for each utterance, and says so before
    any work.
    """
    model = ParakeetModel(models.speech_model(kind, tmp_path), device="cpu")
    asked = Decoding(keyterms=("Osei",))
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    abilities = known("example/model", model.abilities)
    if kind == "ctc":
        with pytest.raises(InvalidRequest, match="keyterms are not known to example/model"):
            checked(asked, abilities, "example/model")
        assert model.recognise([noise], asked) == model.recognise([noise], Decoding())
    else:
        assert checked(asked, abilities, "example/model") == asked
        assert len(model.recognise([noise] * 2, asked)) == 2


def test_terms_that_cannot_be_spelled_are_told(pieces: list[Samples]) -> None:
    """They have no effect, and the transcript says which."""
    path = find_speech_model("embedded").path
    transcriber = BatchTranscriber(lambda: ParakeetModel(path, device="cpu"), name="embedded")
    found = transcriber.transcribe(
        [Utterance(pieces[2], 0.0)],
        decoding=transcriber.prepared(Decoding(keyterms=("Łódź", "Ada"))),
        progress=lambda _: None,
        cancelled=lambda: False,
    )
    assert found.warnings == ("keyterms that embedded cannot spell have no effect: 'Łódź'",)
    many = [*unwritable(["ä", "ö", "ü", "ß", "a b"], frozenset("ab"), "x")]
    assert many == ["keyterms that x cannot spell have no effect: 'ä', 'ö', 'ü' and 1 more"]
    assert [*unwritable(["ä"], None, "x")] == []


def said(texts: str, sure: float = 0.5, start: float = 0.0) -> Recognition:
    """Words of half a second, each spelled."""
    words = tuple(
        Word(start + i / 2, start + i / 2 + 0.5, one, sure) for i, one in enumerate(texts.split())
    )
    return Recognition(words, tuple(_letters(word) for word in words))


def _letters(word: Word) -> tuple[Character, ...]:
    return tuple(Character(word.start, word.end, letter) for letter in word.text)


@pytest.mark.parametrize(
    ("plain", "favoured", "terms", "expected"),
    [
        ("met dash wood today", "met Dashwood? x today", ["Dashwood"], "met Dashwood? today"),
        ("we met Mary low", "we met Marlowe x", ["marlowe"], "we met Marlowe"),
        ("the door is open", "the Osei is open", ["Osei"], "the door is open"),
        ("Dashwood is here", "Dashwood is here", ["Dashwood"], "Dashwood is here"),
        ("dr oh say is here", "Dr. Osei x is here", ["Dr. Osei"], "Dr. Osei is here"),
        ("new yolk city", "New York City", ["New York", "New York City"], "New York City"),
        ("so it is", "it was Dashwood", ["Dashwood"], "so it is"),
        ("", "Dashwood", ["Dashwood"], ""),
    ],
)
def test_a_term_counts_if_it_is_like_what_was_heard(
    plain: str, favoured: str, terms: list[str], expected: str
) -> None:
    """One that fills a pause, or the place of other words, was not said."""
    assert text(with_terms(said(plain), said(favoured), terms)) == expected


def test_a_term_does_not_replace_what_the_model_is_sure_of() -> None:
    """However like it is."""
    heard = said("met Dashwoods", sure=0.95)
    assert with_terms(heard, said("met Dashwood", sure=0.95), ["Dashwood"]) == heard


def test_a_term_stays_in_the_time_of_what_it_replaces() -> None:
    """With its characters, and as sure as the least sure of these words."""
    plain = Recognition(
        (Word(1.0, 1.4, "dash", 0.6), Word(1.4, 1.9, "would", 0.4)),
        (_letters(Word(1.0, 1.4, "dash")), _letters(Word(1.4, 1.9, "would"))),
    )
    favoured = said("Dashwood", sure=0.1, start=1.3)
    longer = Recognition(
        (Word(0.9, 2.2, "Dashwood", 0.1),), (_letters(Word(0.9, 2.2, "Dashwood")),)
    )
    for other in (favoured, longer):
        found = with_terms(plain, other, ["Dashwood"])
        (word,) = found.words
        assert 1.0 <= word.start <= word.end <= 1.9
        assert word.confidence == 0.4
        assert len(found.characters) == 1
        assert all(1.0 <= one.start <= one.end <= 1.9 for one in found.characters[0])
