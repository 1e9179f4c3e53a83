"""Edits: other words for some and no fillers, in the time and by the speakers that were heard."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Edits, Task
from core.domain.timeline import (
    Character,
    Diarization,
    LanguageSpan,
    Transcript,
    Transcription,
    Turn,
    Word,
)
from core.speech.spelling import Token, recognition
from core.transcript.assembly import assemble
from core.transcript.channels import joined
from core.transcript.edits import edited
from core.transcript.fillers import is_filler
from core.transcript.language import Languages
from core.wire.answers import read_transcription
from core.wire.form import Form, WorkerFormat
from core.wire.render import render
from tests.core.transcript.test_channels import Loudness

ENGLISH = Languages("en")


def said(text: str, speaker: str | None = None, start: float = 0.0) -> tuple[Word, ...]:
    """Words of 0.4 s, half a second apart."""
    return tuple(
        Word(
            start + index / 2, start + index / 2 + 0.4, one, 0.9, speaker, 1.0 if speaker else None
        )
        for index, one in enumerate(text.split())
    )


def replaced(text: str, **texts: str) -> str:
    """What becomes of a text; underscores are blanks."""
    plain = {old.replace("_", " "): new for old, new in texts.items()}
    return written(edited(said(text), Edits(plain), ENGLISH))


def unfilled(text: str, language: str = "en") -> str:
    """What is left of a text."""
    return written(edited(said(text), Edits(remove_fillers=True), Languages(language)))


def written(words: tuple[Word, ...]) -> str:
    """The words as text."""
    return " ".join(word.text for word in words)


@pytest.mark.parametrize(
    ("text", "texts", "expected"),
    [
        ("Ask gonna now.", {"gonna": "going to"}, "Ask going to now."),
        ("(Parakeet, PARAKEET!)", {"parakeet": "Sittich"}, "(Sittich, Sittich!)"),
        ("in new york, New York.", {"new york": "NYC"}, "in NYC, NYC."),
        ("the new yorker", {"new york": "NYC"}, "the new yorker"),
        ("I like new. York is old.", {"new york": "NYC"}, "I like new. York is old."),
        ("a b c d", {"a": "x", "a b c": "y", "a b": "z"}, "y d"),
        ("C is not C++, or c++.", {"c++": "Rust"}, "C is not Rust, or Rust."),
        ("St. Ives and street st", {"st.": "Saint"}, "Saint Ives and street st"),
        ("damn, no!", {"damn": ""}, "no!"),
        ("so etc.", {"etc": "and so on."}, "so and so on."),
        ("Stra\u00dfe STRASSE", {"strasse": "Weg"}, "Weg Weg"),
        ("cafe\u0301 caf\u00e9", {"caf\u00e9": "bar"}, "bar bar"),
        ("yes yes yes", {"yes yes": "yes"}, "yes yes"),
    ],
)
def test_phrases_are_replaced(text: str, texts: dict[str, str], expected: str) -> None:
    """Whole words, whatever their case, the longest phrase first; the marks around them stay."""
    assert written(edited(said(text), Edits(texts), ENGLISH)) == expected


def test_as_many_words_keep_their_times() -> None:
    """Each word is where the one that it replaces was said."""
    words = edited(said("in new yolk today"), Edits({"new yolk": "New York"}), ENGLISH)
    assert [(word.start, word.end, word.text) for word in words[1:3]] == [
        (0.5, 0.9, "New"),
        (1.0, 1.4, "York"),
    ]


def test_words_of_another_number_divide_the_time() -> None:
    """By their letters, from the first start to the last end, with the least of the confidences."""
    first, second = said("gon na")
    words = edited((first, Word(0.5, 0.9, "na", 0.4)), Edits({"gon na": "going to be"}), ENGLISH)
    assert [(word.start, word.end, word.text) for word in words] == [
        (0.0, 0.5, "going"),
        (0.5, 0.7, "to"),
        (0.7, 0.9, "be"),
    ]
    assert {word.confidence for word in words} == {0.4}
    assert second.text == "na"


@pytest.mark.parametrize(
    ("text", "texts", "expected"),
    [
        ("東 京 都 に 行 きます。", {"東京": "Tokyo"}, "Tokyo 都 に 行 きます。"),
        ("「東京都 に」 行 きます。", {"東 京": "Tokyo"}, "「Tokyo 都 に」 行 きます。"),
        ("東京 都に", {"東京": "Tokyo", "東京都に": "to Tokyo"}, "to Tokyo"),
        ("東京 東京東京", {"東京": "京"}, "京 京 京"),
        (
            "iPhoneを 買う。",
            {"iphone": "Telefon", "phone": "Fon", "う": "わない"},
            "Telefon を 買 わない。",
        ),
        ("ไป กรุง เทพฯ", {"กรุงเทพฯ": "Bangkok"}, "ไป Bangkok"),
        ("한국어로 말해요", {"한국": "Korea"}, "한국어로 말해요"),
    ],
)
def test_without_blanks_a_phrase_is_replaced_wherever_it_stands(
    text: str, texts: dict[str, str], expected: str
) -> None:
    """In whatever pieces the model wrote it; what is left of a piece is a word."""
    assert written(edited(said(text), Edits(texts), Languages("ja"))) == expected


def test_what_is_left_of_a_piece_keeps_its_share_of_the_time() -> None:
    """By its letters; pieces without the phrase are the same objects."""
    words = said("東京都に 行きます。")
    found = edited(words, Edits({"東京": "Tokyo"}), Languages("ja"))
    assert [(word.start, word.end, word.text) for word in found[:2]] == [
        (0.0, 0.2, "Tokyo"),
        (0.2, 0.4, "都に"),
    ]
    assert found[2] is words[1]


def test_a_phrase_is_said_by_one_speaker() -> None:
    """Two who share its words did not say it."""
    words = (*said("new", "1"), *said("york", "2", start=0.5))
    assert edited(words, Edits({"new york": "NYC"}), ENGLISH) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Um, so we went.", "So we went."),
        ("It was, uh.", "It was."),
        ("So, erm? Yes.", "So? Yes."),
        ("I uhh think ummm hmm yes", "I think yes"),
        ("She went to the ER. Uh-huh. Mhm.", "She went to the ER. Uh-huh. Mhm."),
        ("Um. Uh.", ""),
    ],
)
def test_fillers_are_removed(text: str, expected: str) -> None:
    """With their marks; the end of a sentence and its capital letter stay with the words."""
    assert unfilled(text) == expected


def test_a_filler_of_one_language_is_a_word_of_another() -> None:
    """German um and Portuguese um are words, and so is German er."""
    assert unfilled("Er kommt, äh, um acht.", "de") == "Er kommt, um acht."
    assert unfilled("um dia, hum, bom", "pt") == "um dia, bom"
    assert not is_filler("um", "de")


@pytest.mark.parametrize(
    ("language", "words", "fillers"),
    [
        ("bg", "10 мм", "ммм"),
        ("el", "5 μμ 10 μμ 3 χμ", "μμμ χμμ"),
        ("en", "20 mm", "er"),
        ("es", "20 mm", "mmm"),
        ("et", "hea öö minu õe auto", "ööö ööm öhm ää"),
        ("it", "8 mm", "mmm"),
        ("pl", "yhm", "yyy"),
        ("ru", "10 мм", "ммм"),
        ("uk", "10 мм", "ммм"),
    ],
)
def test_words_and_units_that_look_like_fillers_stay(
    language: str, words: str, fillers: str
) -> None:
    """The same sound is a filler if it is longer."""
    assert unfilled(f"{words} {fillers}", language) == words


def test_a_language_that_is_not_known_keeps_all_words_and_says_so() -> None:
    """Nothing is guessed."""
    words = Transcription(said("um so"), language="ja")
    transcript = assemble(words, None, duration_s=2.0, edits=Edits(remove_fillers=True))
    assert transcript.text == "um so"
    assert transcript.warnings == ("remove_fillers has no effect: none of ja is known",)
    unknown = assemble(
        Transcription(said("um so")), None, duration_s=2.0, edits=Edits(remove_fillers=True)
    )
    assert unknown.warnings == ("remove_fillers has no effect: the language is not known",)


def test_a_translation_has_fillers_of_english_alone() -> None:
    """Whatever was spoken, and where."""
    words = said("They hum a song. Uh, yes.")
    spans = (LanguageSpan(0.0, 3.0, "pt"),)
    heard = Transcription(words, language="pt", languages=spans)
    edits = Edits(remove_fillers=True)
    transcript = assemble(heard, None, duration_s=3.0, edits=edits, task=Task.TRANSLATE)
    assert transcript.text == "They hum a song. Yes."
    assert transcript.language == "pt"


def _over_the_wire(said: Transcription) -> Transcription:
    """What an orchestrator makes of the words of its transcription worker."""
    answer = render(assemble(said, None, duration_s=9.0), Form(WorkerFormat.COMPACT))
    return read_transcription(answer, language=None).transcription


_ASKS, _ANSWERS = said("So, um, er?"), said("Äh, er kommt um acht.", start=4.0)


@pytest.mark.parametrize(
    "heard",
    [
        Transcription(
            (*_ASKS, *_ANSWERS),
            language="en",
            languages=(LanguageSpan(0.0, 1.4, "en"), LanguageSpan(4.0, 6.4, "de")),
        ),
        joined(
            {0: Transcription(_ASKS, language="en"), 1: Transcription(_ANSWERS, language="de")},
            Loudness(),
        ),
    ],
    ids=["mix", "split"],
)
def test_a_word_is_a_filler_in_the_language_of_its_stretch_or_channel(
    heard: Transcription,
) -> None:
    """In one worker, and in the orchestrator, which has the words from another."""
    edits = Edits(remove_fillers=True)
    here = assemble(heard, None, duration_s=9.0, edits=edits)
    assert here.text == "So? Er kommt um acht."
    assert here.warnings == ()
    assert assemble(_over_the_wire(heard), None, duration_s=9.0, edits=edits) == here


def test_a_language_without_known_fillers_beside_another_is_warned_of() -> None:
    """Words in no stretch are in the language of the whole."""
    words = (*said("um so"), *said("えーと そう", start=2.0), *said("um yes", start=6.0))
    heard = Transcription(words, language="en", languages=(LanguageSpan(2.0, 2.9, "ja"),))
    transcript = assemble(heard, None, duration_s=9.0, edits=Edits(remove_fillers=True))
    assert transcript.text == "so えーとそう yes"
    assert transcript.warnings == (
        "remove_fillers has no effect on words in ja: none of ja is known",
    )


def _assembled(edits: Edits) -> Transcript:
    words = said("Um, hello new york. Um, yes.")
    letters = tuple(
        Character(word.start + 0.01 * index, word.start + 0.01 * index + 0.01, letter)
        for word in words
        for index, letter in enumerate(word.text)
    )
    turns = (Turn(0.0, 1.95, "1"), Turn(1.95, 4.0, "2"))
    heard = Transcription(words, letters, "en")
    return assemble(heard, Diarization(turns, turns), duration_s=4.0, edits=edits)


def test_speakers_are_found_before_and_segments_after() -> None:
    """The words that are left are whose they were; segments and paragraphs hold no others."""
    transcript = _assembled(Edits({"new york": "NYC"}, remove_fillers=True))
    assert [(word.text, word.speaker) for word in transcript.words] == [
        ("Hello", "1"),
        ("NYC.", "1"),
        ("Yes.", "2"),
    ]
    assert transcript.text == "Hello NYC. Yes."
    assert [one.text for one in transcript.paragraphs] == ["Hello NYC.", "Yes."]
    assert (transcript.words[1].start, transcript.words[1].end) == (1.0, 1.9)


def test_characters_spell_the_words_that_are_left() -> None:
    """In order, each in the time of its word; those of words that stay are untouched."""
    plain, transcript = _assembled(Edits()), _assembled(Edits({"new york": "NYC"}, True))
    assert "".join(one.text for one in transcript.characters) == "HelloNYC.Yes."
    assert all(one.start <= other.start for one, other in pairwise(transcript.characters))
    kept = _assembled(Edits({"nothing": "else"}))
    assert kept.characters == plain.characters


def test_a_mark_that_the_model_writes_late_goes_with_its_word() -> None:
    """However long after the word it comes."""
    tokens = (
        *(Token("well", 0.0, 0.4, 0.9), Token(".", 0.8, 0.9, 0.9)),
        *(Token("Um", 1.6, 1.8, 0.9), Token(",", 2.0, 2.1, 0.9)),
        Token("yes", 2.4, 2.7, 0.9),
    )
    found = recognition("well. Um, yes", tokens, frame_s=0.08, duration_s=4.0)
    heard = Transcription(found.words, tuple(chain.from_iterable(found.characters)), "en")
    edits = Edits({"well": "so"}, remove_fillers=True)
    transcript = assemble(heard, None, duration_s=4.0, edits=edits)
    assert "".join(one.text for one in transcript.characters) == "so.Yes"


_TEXTS = st.lists(
    st.sampled_from(
        ["um", "Uh,", "new", "York.", "new", "york", "(so)", "well.", "“Er”", "「東", "京都"]
    ),
    max_size=30,
)


@given(_TEXTS, st.lists(st.sampled_from("12"), min_size=30, max_size=30), st.booleans())
def test_nothing_is_told_that_was_not_in_the_time_of_words(
    texts: list[str], speakers: list[str], apart: bool
) -> None:
    """Order, times and speakers stay; with nothing to edit the words are the same objects."""
    words = tuple(
        Word(float(index), index + 0.5, text, speaker=speaker)
        for index, (text, speaker) in enumerate(zip(texts, speakers, strict=False))
    )
    same = edited(words, Edits(), ENGLISH, apart=apart)
    assert all(one is other for one, other in zip(same, words, strict=True))
    found = edited(
        words, Edits({"new york": "a b c", "so": "", "東京": "x y z"}, True), ENGLISH, apart=apart
    )
    assert all(one.start <= other.start for one, other in pairwise(found))
    for word in found:
        assert words[0].start <= word.start <= word.end <= words[-1].end
        assert word.speaker in {one.speaker for one in words}
        assert word.text.strip()
    again = edited(found, Edits(remove_fillers=True), ENGLISH, apart=apart)
    assert written(again) == written(found)


def test_each_channel_is_edited_by_itself() -> None:
    """Words of the other one in between do not part a phrase."""
    words = (
        Word(0.0, 0.4, "new", speaker="Channel 1"),
        Word(0.3, 0.8, "yes", speaker="Channel 2"),
        Word(0.5, 0.9, "york", speaker="Channel 1"),
    )
    found = edited(words, Edits({"new york": "NYC"}), ENGLISH, apart=True)
    assert [(one.text, one.speaker) for one in found] == [
        ("NYC", "Channel 1"),
        ("yes", "Channel 2"),
    ]
