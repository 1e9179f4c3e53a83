"""The arithmetic of speech and words, against what a grid of single frames says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Part
from core.domain.timeline import (
    MOST_GAPS_NAMED,
    Diarization,
    Span,
    Speech,
    Transcript,
    Transcription,
    Turn,
    Word,
    gap_warnings,
)
from core.transcript.assembly import assemble
from core.transcript.coverage import GAP_S, Coverage, coverage, gaps, united, without
from core.transcript.filling import Gap
from core.transcript.parts import Assignment, join_parts
from core.transcript.word_spans import spoken_span

FRAME_S = 0.25


def _spans(most: int = 12) -> st.SearchStrategy[list[Span]]:
    """Spans of whole frames within a minute, in any order; binary fractions add up exactly."""
    one = st.tuples(st.integers(0, 200), st.integers(0, 40))
    return st.lists(one.map(lambda at: Span(at[0] * FRAME_S, sum(at) * FRAME_S)), max_size=most)


def _frames(spans: list[Span]) -> set[int]:
    return {
        frame
        for span in spans
        for frame in range(int(span.start / FRAME_S), int(span.end / FRAME_S))
    }


def _words(spans: list[Span]) -> tuple[Word, ...]:
    """A word of many letters for each span, so that all of it can have been spoken."""
    ordered = sorted(spans, key=lambda span: span.start)
    return tuple(
        Word(span.start, span.end, f"{'a' * 100}{index}")
        for index, span in enumerate(ordered)
        if span.duration
    )


def _speech(spans: list[Span]) -> tuple[Speech, ...]:
    return tuple(Speech(span.start, span.end) for span in united(spans))


@given(_spans())
def test_union_covers_the_same_frames_once(spans):
    """It is sorted, and its spans neither meet nor are empty."""
    found = united(spans)
    assert _frames(found) == _frames(spans)
    assert sum(span.duration for span in found) == len(_frames(spans)) * FRAME_S
    assert all(left.end < right.start for left, right in itertools.pairwise(found))


@given(_spans(), _spans())
def test_difference_leaves_the_frames_of_one_alone(spans, others):
    """In order, none of them empty."""
    found = list(without(united(spans), united(others)))
    assert _frames(found) == _frames(spans) - _frames(others)
    assert all(span.duration > 0 for span in found)
    assert [span.start for span in found] == sorted(span.start for span in found)


@given(_spans(), _spans())
def test_gaps_hold_all_long_stretches_of_speech_without_a_word(speech, said):
    """None has a word in it or less than a second of speech, and each begins and ends with
    speech; speech outside of them adds up to less than a second between any two words.
    """
    words = _words(said)
    found = gaps(united(speech), words)
    missing = _frames(speech) - _frames(list(map(spoken_span, words)))
    for gap in found:
        own = _frames([gap])
        assert not own & _frames(list(map(spoken_span, words)))
        assert len(own & missing) * FRAME_S >= GAP_S
        assert {min(own), max(own)} <= missing
    for one, other in itertools.pairwise(found):
        assert one.end < other.start
    for run in without(
        united(speech), sorted([*found, *map(spoken_span, words)], key=lambda s: s.start)
    ):
        assert run.duration < GAP_S


@given(_spans(), _spans())
def test_coverage_is_the_share_of_frames_and_all_without_gaps_of_any_length(speech, said):
    """It is null without speech, 1 if each frame of speech is near a word, and else less."""
    found = coverage(Transcription(_words(said), speech=_speech(speech)))
    assert (found.share is None) is (not _frames(speech))
    if found.share is not None:
        assert 0 <= found.share <= 1
        assert found.share < 1 or not found.gaps


@given(_spans(), _spans(), _spans())
def test_turns_are_speech_too(speech, said, turns):
    """As if the level of the sound had shown them."""
    words = _words(said)
    by_turns = coverage(Transcription(words, speech=_speech(speech)), turns)
    assert by_turns == coverage(Transcription(words, speech=_speech([*speech, *turns])))


@given(_spans(), _spans(), st.integers(0, 60))
def test_parts_that_are_joined_have_the_coverage_of_the_whole(speech, said, cut):
    """Wherever the recording was parted: speech is cut there, and grows together again."""
    whole = Transcription(_words(said), speech=_speech(speech), found_again=tuple(united(said)))
    at = float(cut)
    parts = (
        Assignment(range(0), Span(-float("inf"), at), 0.0),
        Assignment(range(0), Span(at, float("inf")), 0.0),
    )
    joined = join_parts([part.trim(whole) for part in parts])
    one, other = (assemble(it, None, duration_s=60.0) for it in (whole, joined))
    assert (one.coverage, one.gaps, one.repaired) == (other.coverage, other.gaps, other.repaired)


def test_part_with_turns_of_all_lacks_nothing_of_the_others():
    """Only the turns in its own stretch are held against its words."""
    heard = Transcription((Word(1.0, 1.5, "yes"),), speech=(Speech(1.0, 1.5),))
    turns = (Turn(1.0, 1.5, "1"), Turn(10.0, 20.0, "1"))
    told = Diarization(turns, turns)
    whole = assemble(heard, told, duration_s=30.0)
    part = assemble(heard, told, duration_s=30.0, own=Span(0.0, 9.0))
    assert [(gap.start, gap.end) for gap in whole.gaps] == [(10.0, 20.0)]
    assert (part.coverage, part.gaps) == (1.0, ())


def test_channels_are_covered_each_by_its_own_words():
    """A word on one channel says nothing of the other, and a gap names the channel it is on."""
    words = (
        Word(0.0, 2.0, "something", speaker="Channel 1"),
        Word(4.0, 6.0, "something", speaker="Channel 2"),
    )
    speech = tuple(
        Speech(start, start + 2.0, f"Channel {channel}") for channel in (1, 2) for start in (0, 4)
    )
    found = coverage(Transcription(words, is_split=True, speech=speech))
    assert found.gaps == (Speech(0.0, 2.0, "Channel 2"), Speech(4.0, 6.0, "Channel 1"))
    assert 0.4 < found.share < 0.6


def test_nothing_covers_nothing():
    """Silence has no coverage, and no gap."""
    assert coverage(Transcription(())) == Coverage(None, ())


def test_end_of_a_word_that_lasts_into_a_gap_is_capped():
    """A decoder that lets a short word last over dropped speech hides nothing."""
    words = (Word(0.0, 5.0, "so"), Word(5.0, 5.4, "then"))
    (gap,) = gaps([Span(0.0, 6.0)], words)
    assert gap.start < 1.0
    assert gap.end == 5.0


def test_place_without_the_words_of_its_second_look_is_not_counted():
    """Another part or channel has them; two looks at one place count once."""
    words = (Word(1.0, 2.0, "one"), Word(5.0, 6.0, "two"))
    again = (Span(1.0, 2.0), Span(1.5, 2.0), Span(3.0, 4.0), Span(5.0, 6.0))
    assert assemble(Transcription(words, found_again=again), None, duration_s=9.0).repaired == 2


# --- warnings ---


def test_each_gap_is_told_with_its_times_and_channel():
    """In the sentence that wordless sound always had."""
    heard = Transcript(9.0, (), (), warnings=("cut short",), gaps=(Speech(1.0, 2.04, "Channel 2"),))
    assert heard.told == (
        "cut short",
        "Channel 2: no words were found between 1.0 s and 2.0 s, where there is sound; it may be "
        "music or noise",
    )


@pytest.mark.parametrize("more", [0, 1, 300])
def test_of_many_gaps_the_first_are_named_and_the_others_counted(more):
    """Hours of music do not fill an answer with warnings."""
    told = gap_warnings([Speech(float(at), at + 0.5) for at in range(MOST_GAPS_NAMED + more)])
    assert len(told) == MOST_GAPS_NAMED + (more > 0)
    if more:
        assert told[-1] == f"words are missing in {more} more stretches of sound"


# --- what belongs into a gap ---


HERE = (Word(0.0, 1.0, "before"), Word(5.0, 6.0, "after"))


def _own(*words: tuple[float, float, str]) -> list[str]:
    heard = [Word(*word) for word in words]
    return [word.text for word in heard[Gap.between(HERE, Span(1.2, 4.9)).own(heard)]]


def test_words_inside_a_gap_are_taken_and_those_around_it_are_not():
    """What is heard again begins before the gap and ends after it."""
    again = (0.5, 1.0, "fore"), (1.4, 2.0, "was"), (3.0, 4.5, "lost"), (5.0, 6.0, "after")
    assert _own(*again) == ["was", "lost"]


def test_words_that_repeat_those_beside_the_gap_are_left_out():
    """However often, and whatever their marks: they would be there twice."""
    again = (1.1, 1.4, "Before."), (1.5, 2.0, "lost"), (3.0, 3.4, "after,"), (4.0, 4.9, "After")
    assert _own(*again) == ["lost"]
    assert _own((1.1, 1.4, "before")) == []


def test_same_word_in_the_middle_of_a_gap_stays():
    """Somebody may say it once more."""
    again = (1.4, 1.6, "and"), (2.0, 2.4, "before"), (3.0, 3.4, "that")
    assert _own(*again) == ["and", "before", "that"]


@given(_spans(), st.lists(st.floats(0, 60), min_size=2, max_size=2, unique=True))
def test_gap_lies_between_the_words_beside_it(said, bounds):
    """Nothing free overlaps a word, unless the gap itself does."""
    words = _words(united(said))
    speech = Span(*sorted(bounds))
    if any(speech.overlap(word) > 0 for word in words):
        return
    gap = Gap.between(words, speech)
    assert gap.free.start <= speech.start
    assert speech.end <= gap.free.end
    assert all(gap.free.overlap(word) == 0 for word in words)
    assert gap.at == sum(word.start < speech.midpoint for word in words)


def test_part_of_a_request_is_what_assignment_says():
    """The first of two equal parts ends at the seam, and so does its speech."""
    spans = [Span(0.0, 10.0), Span(10.0, 20.0)]
    heard = Transcription((), speech=(Speech(8.0, 12.0),))
    left, right = (Assignment.of(Part(index, 2), spans).trim(heard).speech for index in range(2))
    assert (left, right) == ((Speech(8.0, 10.0),), (Speech(10.0, 12.0),))
    assert replace(left[0], end=12.0) == heard.speech[0]
