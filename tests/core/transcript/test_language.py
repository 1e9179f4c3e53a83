"""The language of a recording whose pieces were heard each by itself."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.timeline import LanguageSpan, Transcription, Word
from core.transcript.language import joined_languages, language_of
from core.transcript.parts import join_parts


def heard(language: str | None, sure: float | None, words: int) -> Transcription:
    """A piece with so many words."""
    said = tuple(Word(float(index), index + 0.5, "word") for index in range(words))
    return Transcription(said, language=language, language_confidence=sure)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([heard("hu", 0.6, 2), heard("de", 0.99, 8)], ("de", 0.792)),
        ([heard("en", None, 3), heard("en", None, 0)], ("en", None)),
        ([heard(None, None, 0), heard("de", 0.9, 5)], ("de", 0.9)),
        ([heard("hu", 0.9, 0), heard(None, None, 4)], ("hu", 0.9)),
        ([heard(None, None, 4)], (None, None)),
        ([], (None, None)),
    ],
)
def test_most_words_decide(
    pieces: list[Transcription], expected: tuple[str | None, float | None]
) -> None:
    """Each as much as it is sure; what was given has no confidence, and pieces of silence count
    only if nothing else does.
    """
    language, sure = language_of(pieces)
    assert (language, sure and round(sure, 3)) == expected


def test_parts_tell_the_language_of_the_whole() -> None:
    """As the fan-out joins them."""
    whole = join_parts([heard("hu", 0.6, 2), heard("de", 0.99, 8)])
    assert (whole.language, round(whole.language_confidence or 0, 3)) == ("de", 0.792)


def test_stretches_of_one_language_in_a_row_are_one() -> None:
    """Utterances overlap, and each names its language."""
    spans = [(0.0, 9.5, "de"), (9.0, 14.0, "de"), (13.0, 20.0, "es"), (25.0, 30.0, "de")]
    assert joined_languages(LanguageSpan(*span) for span in spans) == (
        LanguageSpan(0.0, 14.0, "de"),
        LanguageSpan(14.0, 20.0, "es"),
        LanguageSpan(25.0, 30.0, "de"),
    )


@given(
    st.lists(
        st.builds(
            lambda start, length, code: LanguageSpan(start, start + length, code),
            st.floats(0, 100),
            st.floats(0, 30),
            st.sampled_from(["de", "es", "en"]),
        )
    )
)
def test_languages_are_in_order_and_apart(spans: list[LanguageSpan]) -> None:
    """Neighbours differ, and nothing is told of a time in which nothing was heard."""
    found = joined_languages(spans)
    for one, other in itertools.pairwise(found):
        assert one.start <= one.end <= other.start
        assert one.language != other.language
    for one in found:
        assert {one.start, one.end} <= {time for span in spans for time in (span.start, span.end)}
    assert max((one.end for one in found), default=0) == max((one.end for one in spans), default=0)


def test_parts_tell_the_languages_of_the_whole() -> None:
    """A part may begin in the language in which the one before it ends."""
    parts = [
        Transcription((), languages=(LanguageSpan(0, 5, "de"), LanguageSpan(5, 9, "en"))),
        Transcription((), languages=(LanguageSpan(9, 12, "en"),)),
    ]
    assert join_parts(parts).languages == (LanguageSpan(0, 5, "de"), LanguageSpan(5, 12, "en"))
