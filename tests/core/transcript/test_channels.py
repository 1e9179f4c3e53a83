"""Words of channels that were heard each by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.domain.timeline import Character, LanguageSpan, Span, Speech, Transcription, Word
from core.media.survey import Survey
from core.transcript.channels import joined, mark_overlaps, name, segments_by_speaker
from training.voices import Voice, synthesise


@dataclass(frozen=True)
class Loudness:
    """Channels of one level each, which go together or not."""

    levels: tuple[float, ...] = (0.2, 0.2)
    alike: float = 0.0
    leak: float = 0.0
    hidden: float = 1.0

    def level(self, channel: int, span: Span) -> float:
        """The same all along."""
        return self.levels[channel]

    def likeness(self, channel: int, other: int, span: Span) -> float:
        """The same for all."""
        return self.alike

    def source(self, channel: int, other: int, span: Span) -> float:
        """Nothing is late."""
        return self.levels[other]

    def leaked(self, channel: int, other: int, span: Span) -> float:
        """A share of the other's level."""
        return self.leak * self.levels[other]

    def leaked_at_most(self, channel: int, other: int, span: Span) -> float:
        """The same."""
        return self.hidden * self.levels[other]


def heard(*words: Word) -> Transcription:
    """What the model makes of a channel; the mark of each word comes at its end."""
    characters = tuple(
        Character(start, word.end, text)
        for word in words
        for start, text in ((word.start, word.text[:-1]), (word.end, word.text[-1]))
    )
    return Transcription(words, characters, "en", ("odd",))


YES = Word(1.0, 1.4, "Yes.", 0.9)
NO = Word(1.1, 1.5, "No.", 0.8)


def speakers(transcription: Transcription) -> list[tuple[str, str | None]]:
    """Return each word with its speaker."""
    return [(word.text, word.speaker) for word in transcription.words]


def test_each_channel_keeps_its_own_speech_and_no_leak_of_the_other() -> None:
    """What a quiet channel hears while the loud one has a word is no speech of it, whether a word
    was made of it or not.
    """
    loud = Transcription((Word(1.0, 2.0, "something"),), speech=(Speech(1.0, 2.0),))
    quiet = Transcription(
        (Word(4.0, 4.4, "yes"),),
        speech=(Speech(0.9, 2.1), Speech(4.0, 4.4)),
        found_again=(Span(4.0, 4.4),),
        languages=(LanguageSpan(4.0, 4.4, "en"),),
    )
    found = joined({0: loud, 1: quiet}, Loudness((0.4, 0.02), leak=0.05))
    assert found.speech == (Speech(1.0, 2.0, "Channel 1"), Speech(4.0, 4.4, "Channel 2"))
    assert found.found_again == (Span(4.0, 4.4),)
    assert found.languages == (LanguageSpan(4.0, 4.4, "en", "Channel 2"),)


def test_channels_in_several_languages_keep_their_own() -> None:
    """Also if their language is told by the text alone; channels of one language need none."""
    english, german = heard(YES), Transcription((NO,), language="de")
    assert joined({0: english, 1: german}, Loudness()).languages == (
        LanguageSpan(1.0, 1.4, "en", "Channel 1"),
        LanguageSpan(1.1, 1.5, "de", "Channel 2"),
    )
    assert joined({0: english, 1: heard(NO)}, Loudness()).languages == ()


def test_both_keep_their_words_if_they_are_equally_loud() -> None:
    """Even the same word, said together."""
    found = joined({0: heard(YES), 1: heard(YES)}, Loudness(alike=1.0))
    assert speakers(found) == [("Yes.", "Channel 1"), ("Yes.", "Channel 2")]
    assert found.is_split
    assert found.language == "en"
    assert found.warnings == ("Channel 1: odd", "Channel 2: odd")


@pytest.mark.parametrize(
    ("loudness", "quiet", "is_kept"),
    [
        (Loudness((0.2, 0.02), alike=0.95), NO, False),  # the same sound, misheard
        (Loudness((0.2, 0.02), alike=0.7), NO, True),  # another sound
        (Loudness((0.2, 0.02), alike=0.7), YES, False),  # the same word
        (Loudness((0.2, 0.02), alike=0.3), YES, True),  # the same word, said by both
        (Loudness((0.2, 0.08), alike=0.95, hidden=0.2), YES, True),  # louder than any leak
        (Loudness((0.2, 0.02), leak=0.1), NO, False),  # no louder than what leaks
        (Loudness((0.2, 0.04), leak=0.1), NO, True),  # somebody speaks into the leak
        (Loudness((0.2, 0.15), alike=0.95), YES, True),  # hardly quieter
    ],
)
def test_the_louder_channel_keeps_a_word_that_both_heard(
    loudness: Loudness, quiet: Word, is_kept: bool
) -> None:
    """With its characters; the other loses both."""
    found = joined({0: heard(YES), 1: heard(quiet)}, loudness)
    kept = [(YES.text, "Channel 1")] + is_kept * [(quiet.text, "Channel 2")]
    assert speakers(found) == kept
    spelled = "".join(one.text for one in found.characters)
    assert sorted(spelled) == sorted("".join(text for text, _ in kept))


def test_a_quiet_word_stays_while_nobody_else_speaks() -> None:
    """Whatever the loudness says."""
    later = Word(3.0, 3.4, "Yes.")
    found = joined({0: heard(YES), 1: heard(later)}, Loudness((0.2, 0.02), alike=1.0, leak=1.0))
    assert speakers(found) == [("Yes.", "Channel 1"), ("Yes.", "Channel 2")]


def saying(person: Voice, text: str, level: float) -> NDArray[np.float32]:
    """Return a person's speech in frames of 20 ms, as `Survey` has them."""
    spoken = synthesise(text, person)
    frames = np.resize(spoken.samples, (len(spoken.samples) // 320, 320))
    loudness = np.sqrt(np.square(frames).mean(axis=1))
    return np.asarray(level * loudness / np.sqrt(np.square(loudness).mean()), np.float32)


def call(*, leak: float, answers: bool = True) -> Survey:
    """Survey a call that ends with a farewell, which the fainter person answers at once."""
    levels = np.full((2, 900), 1e-4, np.float32)
    for channel, (person, level) in enumerate(zip(PEOPLE, (0.1, 0.04), strict=True)):
        for at in (1.0, 9.0):
            told = saying(person, "We are going to meet at the station this morning.", level)
            levels[channel, round(50 * (at + 4 * channel)) :][: len(told)] += told
        if answers or not channel:
            farewell = saying(person, "Goodbye.", level)
            levels[channel, 800:][: len(farewell)] += farewell
    return Survey(np.hypot(levels, leak * levels[::-1]), 0.0)


PEOPLE = (Voice("espeak", "en-us+m3", 1.0, 1.0, 1.0), Voice("espeak", "en-us+f2", 1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("leak", "answers", "is_kept"), [(0.0, True, True), (0.05, True, True), (0.05, False, False)]
)
def test_a_farewell_said_by_both_stays_with_both(leak: float, answers: bool, is_kept: bool) -> None:
    """One is overheard if its own person says nothing; a fainter answer is none."""
    farewell = Word(16.0, 16.6, "Goodbye.", 0.9)
    look = call(leak=leak, answers=answers)
    assert look.likeness(1, 0, farewell) > 0.6
    found = joined({0: heard(farewell), 1: heard(farewell)}, look)
    assert ("Goodbye.", "Channel 2") in speakers(found) or not is_kept
    assert len(found.words) == 1 + is_kept


def test_the_pause_after_a_word_does_not_make_it_overheard() -> None:
    """A decoder may let a word last far into what the other says next."""
    last, reply = Word(6.8, 12.0, "morning.", 0.9), Word(9.0, 12.0, "We", 0.9)
    found = joined({0: heard(reply), 1: heard(last)}, call(leak=0.3))
    assert speakers(found) == [("morning.", "Channel 2"), ("We", "Channel 1")]


def test_words_said_at_once_are_marked() -> None:
    """On both sides; those that only touch are not."""
    words = (
        Word(0.0, 1.0, "so", speaker="Channel 1"),
        Word(1.0, 2.0, "yes", speaker="Channel 2"),
        Word(1.5, 1.8, "no", speaker="Channel 1"),
    )
    assert [word.overlapped for word in mark_overlaps(words)] == [False, True, True]


def test_segments_are_of_one_channel_each() -> None:
    """Words that interleave do not cut a sentence to pieces."""
    words = [
        Word(0.0, 0.4, "How", speaker="Channel 1"),
        Word(0.2, 0.5, "Fine.", speaker="Channel 2"),
        Word(0.5, 0.9, "are", speaker="Channel 1"),
        Word(1.0, 1.4, "you?", speaker="Channel 1"),
    ]
    assert [(one.speaker, one.text) for one in segments_by_speaker(words)] == [
        ("Channel 1", "How are you?"),
        ("Channel 2", "Fine."),
    ]


@st.composite
def sides(draw: st.DrawFn) -> tuple[Word, ...]:
    """Words one after the other."""
    lengths = draw(st.lists(st.tuples(st.floats(0, 2), st.floats(0.05, 1)), max_size=12))
    words, at = [], 0.0
    for pause, length in lengths:
        words.append(Word(at + pause, at + pause + length, draw(st.sampled_from(["a", "b"]))))
        at += pause + length
    return tuple(words)


@given(st.lists(sides(), min_size=1, max_size=4))
def test_no_word_is_lost_if_nothing_leaks(channels: list[tuple[Word, ...]]) -> None:
    """Each channel keeps its words in their order; all together are in order of time."""
    loudness = Loudness(tuple(0.1 * (1 + index) for index in range(len(channels))))
    found = joined({index: heard(*words) for index, words in enumerate(channels)}, loudness)
    for index, words in enumerate(channels):
        own = [word for word in found.words if word.speaker == name(index)]
        assert [(word.start, word.text) for word in own] == [(one.start, one.text) for one in words]
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    assert sum(len(one.words) for one in segments_by_speaker(found.words)) == len(found.words)
