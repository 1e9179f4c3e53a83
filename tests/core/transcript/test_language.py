"""The language of a recording whose pieces were heard each by itself."""

from __future__ import annotations

import pytest

from core.domain.timeline import Transcription, Word
from core.transcript.language import language_of
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
