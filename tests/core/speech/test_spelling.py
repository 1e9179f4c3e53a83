"""Words put together from their tokens."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.speech.engine import Recognition
from core.speech.spelling import Token, recognition

FRAME_S = 0.08


def check(found: Recognition, duration_s: float) -> None:
    """Assert what holds of every recognition."""
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= duration_s for word in found.words)
    assert all(word.text and not word.text.isspace() for word in found.words)
    assert all(word.confidence is None or 0 <= word.confidence <= 1 for word in found.words)
    for word, characters in zip(found.words, found.characters, strict=True):
        assert "".join(character.text for character in characters) in ("", word.text)
        assert all(word.start <= one.start <= one.end <= word.end for one in characters)


def token(text: str, start: float, end: float, confidence: float | None = 0.5) -> Token:
    """A token with a usual confidence."""
    return Token(text, start, end, confidence)


def test_words_are_put_together_from_their_tokens():
    """Words follow the text's blanks, times the tokens, and confidences the least certain ones."""
    tokens = [
        token("He", 0.08, 0.24, 0.9),
        token("llo,", 0.24, 0.4, 0.7),
        token("you", 0.8, 0.96, 0.8),
    ]
    hello, you = recognition("Hello, you", tokens, frame_s=FRAME_S, duration_s=2).words
    assert (hello.text, hello.start, hello.confidence) == ("Hello,", 0.08, 0.7)
    assert (you.text, you.start, you.end, you.confidence) == ("you", 0.8, 0.96, 0.8)


def test_punctuation_that_comes_late_does_not_stretch_its_word():
    """A full stop emitted after a pause belongs to the word, but its time does not."""
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
    """A mark in silence is dropped, one next to a word belongs to it, and other signs are words."""
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
    """After an unknown token or a byte, words have times in proportion and nothing else."""
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
    """Whatever the model emits, every word of the text comes once, in order, in the recording; its
    characters lie within its span.
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
