"""Several languages in one window: where they change, and when that is believed."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain.timeline import Character, LanguageSpan, Span, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance
from core.speech.engine import Guess, Recognition
from core.speech.stretches import Stretch, divided, pieces, stretches
from core.speech.vote import LanguageVote

SPANS = [Span(0.0, 6.0), Span(6.0, 12.0), Span(12.0, 18.0)]


def sound(*parts: float) -> Samples:
    """Noise and near silence in turn, of these lengths in seconds."""
    chosen = np.random.default_rng(0)
    pieces = [
        (1e-4 if index % 2 else 0.1) * chosen.standard_normal(round(seconds * SAMPLE_RATE))
        for index, seconds in enumerate(parts)
    ]
    return np.concatenate(pieces).astype(np.float32)


def languages(*heard: dict[str, float]) -> list[tuple[float, float, str]]:
    """Return the stretches of three pieces."""
    found = stretches(SPANS, heard)
    return [(one.span.start, one.span.end, one.guess.language) for one in found]


def said(text: str, confidence: float, start: float = 1.0, language: str = "en") -> Recognition:
    """Words of half a second each."""
    words = [
        Word(start + index, start + index + 0.5, word, confidence)
        for index, word in enumerate(text.split())
    ]
    letters = tuple((Character(one.start, one.end, one.text),) for one in words)
    return Recognition(tuple(words), letters, Guess(language, 0.7))


def test_pieces_are_long_and_end_in_pauses():
    """Of at least five seconds, with nothing between them; short pauses and short pieces do not
    count.
    """
    found = pieces(sound(3, 1, 3, 1, 4, 0.1, 6, 1, 2))
    assert [one.start for one in found] == pytest.approx([0, 7.5], abs=0.02)
    assert [one.end for one in found] == pytest.approx([7.5, 21.1], abs=0.02)
    assert pieces(sound(4)) == [Span(0.0, 4.0)]


def test_sure_pieces_of_two_languages_are_two_stretches():
    """The doubtful one between them goes where it is likelier."""
    german, english = {"de": 0.95, "en": 0.03}, {"de": 0.02, "en": 0.96}
    doubtful = {"la": 0.5, "de": 0.1, "en": 0.3}
    assert languages(german, doubtful, english) == [(0, 6, "de"), (6, 18, "en")]


def test_one_doubtful_piece_is_no_other_language():
    """Nor does it make the rest doubtful: that is what "Tagalog" in an English call was."""
    english, tagalog = {"en": 0.98, "tl": 0.01}, {"tl": 0.83, "en": 0.1}
    assert languages(english, tagalog, english) == [(0, 18, "en")]


def test_two_languages_win_over_a_third_that_is_like_both():
    """The model takes German and Spanish together for Latin."""
    german, spanish = {"de": 0.6, "la": 0.1}, {"es": 0.7, "la": 0.1}
    assert languages(german, german, spanish) == [(0, 12, "de"), (12, 18, "es")]


def test_words_of_stretches_take_the_place_of_the_whole():
    """With their times and letters in the window, in the language of the longest stretch."""
    parts = [Stretch(Span(0, 10), Guess("en", 0.9)), Stretch(Span(10, 30), Guess("de", 0.8))]
    whole = said("good morning good morning", 0.5)
    found = divided(whole, parts, [said("good morning", 0.8), said("guten Tag", 0.9)])
    assert [(word.text, word.start) for word in found.words] == [
        ("good", 1.0), ("morning", 2.0), ("guten", 11.0), ("Tag", 12.0)
    ]  # fmt: skip
    assert [letters[0].start for letters in found.characters] == [1.0, 2.0, 11.0, 12.0]
    assert found.guess == Guess("de", 0.8)
    assert found.languages == (LanguageSpan(1.0, 2.5, "en"), LanguageSpan(11.0, 12.5, "de"))


@pytest.mark.parametrize("other", [said("hamba kahle", 0.4), Recognition()])
def test_stretch_that_the_model_reads_worse_is_not_believed(other):
    """Less sure words than those of the whole there, or none: then the whole stays."""
    parts = [Stretch(Span(0, 10), Guess("en", 0.9)), Stretch(Span(10, 30), Guess("zu", 0.8))]
    whole = said("good morning", 0.6, start=11.0)
    assert divided(whole, parts, [said("well", 0.9), other]) is whole


def test_mixed_utterance_is_never_outvoted():
    """It holds the language of the others too."""
    mixed = Recognition(said("guten Tag", 0.9).words, guess=Guess("de", 0.6), is_mixed=True)
    vote = LanguageVote()
    vote.count([said("one two three four", 0.9), mixed])
    assert vote.leader == "en"
    assert vote.outvoted([(Utterance(sound(3), 0.0), mixed)]) == []
