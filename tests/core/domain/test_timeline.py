"""The words of the domain: what spans say about each other, and what is made of words."""

from __future__ import annotations

import doctest
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import timeline
from core.domain.timeline import Diarization, Segment, Span, Transcript, Turn, Word

_spans = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(
    lambda ends: Span(float(min(ends)), float(max(ends)))
)


def test_the_examples_in_the_docstrings_hold() -> None:
    """They are the shortest description of overlap and gap."""
    found = doctest.testmod(timeline)
    assert found.attempted > 0
    assert found.failed == 0


@given(_spans, _spans)
def test_overlap_counts_the_seconds_in_both(one: Span, other: Span) -> None:
    """The same either way round, and as many as a count of seconds finds."""
    seconds = {*range(int(one.start), int(one.end))} & {*range(int(other.start), int(other.end))}
    assert one.overlap(other) == other.overlap(one) == len(seconds)


@given(_spans, _spans)
def test_gap_is_the_way_between_the_nearest_edges(one: Span, other: Span) -> None:
    """The same either way round, and never where spans overlap."""
    first, second = sorted([one, other], key=lambda span: (span.start, span.end))
    assert one.gap(other) == other.gap(one) == max(0, second.start - first.end)
    assert not (one.gap(other) and one.overlap(other))


def test_a_span_knows_its_length_and_middle() -> None:
    """In seconds."""
    assert (Span(1, 4).duration, Span(1, 4).midpoint) == (3, 2.5)


def test_values_do_not_change() -> None:
    """What one step saw, the next sees."""
    with pytest.raises(FrozenInstanceError):
        Word(0, 1, "so").text = "no"  # type: ignore[misc]


def test_text_is_the_words_with_blanks_between() -> None:
    """Of a segment and of a transcript."""
    words = (Word(0, 1, "Hello"), Word(1, 2, "there."))
    segment = Segment(0, 2, words)
    assert segment.text == Transcript(2, words, (segment,)).text == "Hello there."


def test_speakers_are_those_of_the_exclusive_turns() -> None:
    """Or of the others, if there are no exclusive ones."""
    two = (Turn(0, 2, "1"), Turn(1, 2, "2"))
    assert Diarization(two, two[:1]).num_speakers == 1
    assert Diarization(two, ()).num_speakers == 2
    assert Diarization((), ()).num_speakers == 0
