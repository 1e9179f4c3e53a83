"""Synthetic voices: every written word has its time."""

from __future__ import annotations

import itertools
import shutil

import pytest

from training.voices import Voice, synthesise

pytestmark = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("espeak-ng") and shutil.which("sox")),
    reason="flite, espeak-ng and sox are needed only where models are made",
)


@pytest.mark.parametrize(
    "voice", [Voice("espeak", "en-us+m3", 1.0, 1.0, 1.0), Voice("flite", "kal16", 1.0, 1.0, 1.0)]
)
def test_words_that_an_engine_says_as_one_have_a_time_each(voice: Voice) -> None:
    """Both words of "have to" and "for the" have times, one after the other."""
    text = "You have to pay for the repair, of course."
    spoken = synthesise(text, voice)
    assert " ".join(word.text for word in spoken.words) == text
    assert all(word.start < word.end for word in spoken.words)
    for one, next_one in itertools.pairwise(spoken.words):
        assert one.end <= next_one.start + 0.001
