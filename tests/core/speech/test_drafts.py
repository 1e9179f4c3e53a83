"""The signs that a text was not said."""

from __future__ import annotations

import math

import pytest

from core.speech.drafts import Draft, better, compression_ratio, loop_start, with_terms


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("I don't know. I don't know. I don't know. I don't know. I mean it", 3),
        ("So then thank you. Thank you! Thank you. Thank you, thank you.", 4),
        ("Beep " * 8, 1),
        ("1 2 3 4 5 5 5 5 5 5 5 5", 5),
        ("no no no no", None),
        ("Row, row, row your boat, gently down the stream", None),
        ("as a matter of fact as a matter of fact", None),
        ("", None),
    ],
)
def test_loop_begins_with_its_first_repetition(text, start):
    """However it is punctuated; what people do repeat is none."""
    assert loop_start(text.split()) == start


def test_compression_finds_a_loop_that_changes_its_words():
    """The sum of many near repetitions; ordinary text stays far below, and no text is none."""
    varied = " ".join(f"and I'll see you in the next video number {n}," for n in range(12))
    assert loop_start(varied.split()) is None
    assert Draft(varied).is_loop
    ordinary = "Had he married a more amiable woman, he might have been made more respectable."
    assert not Draft(ordinary).is_loop
    assert compression_ratio("") == 0.0


def test_evidence_falls_with_doubt_about_the_text_the_language_and_speech():
    """Each counts, and together they drop a text that is likely by itself."""
    assert not Draft("Hello", probabilities=(0.6, 0.5), no_speech=0.5, clarity=0.9).is_invented
    assert Draft("Thank you.", probabilities=(0.6, 0.5), no_speech=0.8, clarity=0.5).is_invented
    assert Draft("I'm going to", probabilities=(0.2, 0.1)).is_invented
    assert Draft(". . .", probabilities=(0.9, 0.9)).is_invented
    draft = Draft("Hello", probabilities=(0.5, 0.5), no_speech=0.75, clarity=0.25)
    assert math.isclose(draft.evidence, math.log(0.5) + 0.5 * math.log(0.25 * 0.25))


def test_key_terms_count_if_there_is_speech_without_them():
    """Names are unlikely by themselves, and a mere repetition of the terms is more so."""
    told = Draft("Dr. Osei", probabilities=(0.2, 0.15))
    speech, noise = Draft("Doctor Rose", probabilities=(0.5,)), Draft("you", probabilities=(0.1,))
    assert told.is_invented
    assert with_terms(told, speech).text == "Dr. Osei"
    assert not with_terms(told, speech).is_invented
    assert with_terms(told, noise) is noise
    echo = Draft("Dr. Osei", probabilities=(0.01, 0.01))
    assert with_terms(echo, speech) is speech


def test_no_loop_is_better_than_a_likelier_one():
    """Among equals the likelier text is."""
    loop = Draft("la " * 30, probabilities=(0.99,))
    plain, likely = Draft("la", probabilities=(0.1,)), Draft("lo", probabilities=(0.5,))
    assert better(loop, plain) is better(plain, loop) is plain
    assert better(plain, likely) is better(likely, plain) is likely


def test_quick_text_is_doubtful_if_one_token_is_very_unlikely_or_more_than_one_in_fifty():
    """A loop is too, and so is a text that nobody said."""
    text = "Had he married a more amiable woman"
    assert not Draft(text, probabilities=(0.2, *[0.9] * 49)).is_doubtful
    assert Draft(text, probabilities=(0.2, 0.2, *[0.9] * 48)).is_doubtful
    assert Draft(text, probabilities=(0.1, *[0.9] * 99)).is_doubtful
    assert Draft("la " * 20, probabilities=(0.9,) * 20).is_doubtful
    assert Draft("Thank you.", probabilities=(0.6, 0.5), no_speech=0.8, clarity=0.5).is_doubtful
    assert Draft().is_doubtful
