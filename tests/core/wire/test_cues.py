"""Cues: long enough to be read where their neighbours allow it, and none after the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.timeline import Transcript, Transcription, Word
from core.transcript.assembly import assemble
from core.transcript.segments import split_segments
from core.wire.cues import SHORTEST_CUE_MS, Cue, timed
from core.wire.subtitles import _cues, _labelled


def _shown(*words: Word, duration: float) -> list[tuple[str, int, int]]:
    cues = _cues(Transcript(duration, words, split_segments(words)), _labelled)
    return [(" ".join(word.text for word in cue.words), cue.start_ms, cue.end_ms) for cue in cues]


def test_a_short_cue_joins_the_same_speakers_next_one() -> None:
    """As a sentence of one word that another follows at once."""
    assert _shown(
        Word(3.44, 3.76, "Listen.", speaker="1"),
        Word(3.76, 4.2, "Nobody", speaker="1"),
        Word(4.2, 5, "came.", speaker="1"),
        duration=9,
    ) == [("Listen. Nobody came.", 3440, 5000)]


def test_a_short_cue_joins_the_same_speakers_last_one() -> None:
    """At the end of what a speaker says, if somebody else goes on at once."""
    assert _shown(
        Word(0, 1.2, "Really?", speaker="1"),
        Word(1.2, 1.5, "Yes.", speaker="1"),
        Word(1.5, 3, "No.", speaker="2"),
        duration=9,
    ) == [("Really? Yes.", 0, 1500), ("No.", 1500, 3000)]


def test_a_cue_with_silence_around_it_is_lengthened_instead() -> None:
    """Sentences stay apart if there is time to read each."""
    assert _shown(
        Word(0, 1, "Really?", speaker="1"),
        Word(1.5, 1.6, "Yes.", speaker="1"),
        Word(2.4, 3.4, "No.", speaker="1"),
        duration=9,
    ) == [("Really?", 0, 1000), ("Yes.", 1500, 2333), ("No.", 2400, 3400)]


def test_the_same_speakers_words_behind_a_pause_stay_apart() -> None:
    """A cue with a long pause in it would show words before they are said."""
    assert _shown(
        Word(1, 3, "Really?", speaker="1"),
        Word(4.5, 4.6, "Yes.", speaker="1"),
        Word(4.6, 6, "No.", speaker="2"),
        duration=9,
    ) == [("Really?", 1000, 3000), ("Yes.", 3767, 4600), ("No.", 4600, 6000)]


def test_a_word_of_somebody_else_takes_time_of_both_neighbours() -> None:
    """Half from each, so that neither is far from what is heard."""
    assert _shown(
        Word(0, 3, "So,", speaker="1"),
        Word(3, 3.08, "yes", speaker="2"),
        Word(3.08, 6, "then", speaker="1"),
        duration=9,
    ) == [("So,", 0, 2624), ("yes", 2624, 3457), ("then", 3457, 6000)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0.9, 3, [("a", 0, 833), ("b", 833, 1666), ("c", 1666, 3980)]),
        (3, 0.9, [("a", 0, 2314), ("b", 2314, 3147), ("c", 3147, 3980)]),
        (0.5, 0.5, [("a", 0, 500), ("b", 500, 580), ("c", 580, 1080)]),
    ],
)
def test_a_neighbour_keeps_what_it_needs(
    first: float, last: float, expected: list[tuple[str, int, int]]
) -> None:
    """The other one gives more then; and if neither has time to spare, the cue stays short."""
    words = (
        Word(0, first, "a", speaker="1"),
        Word(first, first + 0.08, "b", speaker="2"),
        Word(first + 0.08, first + 0.08 + last, "c", speaker="1"),
    )
    assert _shown(*words, duration=first + 0.08 + last) == expected


def test_the_last_cue_ends_with_the_recording() -> None:
    """Though its word may end later; it begins earlier instead, if nobody speaks then."""
    assert _shown(Word(1.9, 2.3, "bye", speaker="1"), duration=2) == [("bye", 1167, 2000)]


def test_the_first_cue_of_a_range_begins_in_it() -> None:
    """A short one is lengthened at its other end: before the range nobody was listened to."""
    words = (Word(30.2, 30.4, "Yes.", speaker="1"), Word(30.4, 33, "No.", speaker="2"))
    transcript = Transcript(40.0, words, split_segments(words), start=30.0)
    cues = [(cue.start_ms, cue.end_ms) for cue in _cues(transcript, _labelled)]
    assert cues == [(30000, 30833), (30833, 33000)]


def _split(*channels: Sequence[Word], duration: float) -> Transcript:
    words = sorted((word for one in channels for word in one), key=lambda word: word.start)
    return assemble(Transcription(tuple(words), is_split=True), None, duration_s=duration)


def test_words_in_the_midst_of_another_channels_are_shown_while_they_are_said() -> None:
    """Beside the other's cue, which keeps its time."""
    told = tuple(Word(at, at + 0.8, "so", speaker="Channel 1") for at in range(12))
    answered = (Word(4.1, 4.3, "Mhm.", speaker="Channel 2"),)
    cues = _cues(_split(told, answered, duration=12.5), _labelled)
    assert [(one.words[0].speaker, one.start_ms, one.end_ms) for one in cues] == [
        ("Channel 1", 0, 5800),
        ("Channel 2", 4100, 4933),
        ("Channel 1", 6000, 11800),
    ]


@st.composite
def _sides(draw: st.DrawFn) -> list[tuple[Word, ...]]:
    sides = []
    for speaker in ("Channel 1", "Channel 2"):
        words, at = [], 0
        for gap, length, text in draw(
            st.lists(
                st.tuples(
                    st.integers(0, 900), st.integers(50, 900), st.sampled_from(["so", "No."])
                ),
                max_size=9,
            )
        ):
            words.append(Word((at + gap) / 1000, (at + gap + length) / 1000, text, 0.9, speaker))
            at += gap + length
        sides.append(tuple(words))
    return sides


@given(_sides())
@settings(max_examples=50)
def test_each_channel_has_the_cues_that_it_has_alone(sides: list[tuple[Word, ...]]) -> None:
    """Those of all are in order of start."""

    def cues(*channels: Sequence[Word]) -> list[Cue]:
        return [
            replace(cue, words=tuple(replace(one, overlapped=False) for one in cue.words))
            for cue in _cues(_split(*channels, duration=20.0), _labelled)
        ]

    together = cues(*sides)
    assert together == sorted(together, key=lambda cue: cue.start_ms)
    for side, speaker in zip(sides, ("Channel 1", "Channel 2"), strict=True):
        assert [one for one in together if one.words[0].speaker == speaker] == cues(side)


@st.composite
def _groups(draw: st.DrawFn) -> tuple[list[tuple[Word, ...]], int]:
    groups, at = [], 0
    for gap, length in draw(
        st.lists(st.tuples(st.integers(0, 900), st.integers(1, 3000)), min_size=1, max_size=9)
    ):
        groups.append((Word((at + gap) / 1000, (at + gap + length) / 1000, "so"),))
        at += gap + length
    return groups, at + draw(st.integers(-100, 900))


@given(_groups(), st.integers(0, 2000))
def test_a_cue_is_short_only_if_nothing_is_left_to_take(
    drawn: tuple[list[tuple[Word, ...]], int], start_ms: int
) -> None:
    """Neither silence beside it nor time that a neighbour can spare; and cues stay in order, from
    the start of what was asked for, even if a word begins a little earlier.
    """
    groups, end_ms = drawn
    cues = timed(groups, end_ms, start_ms=start_ms)
    assert cues[0].start_ms >= start_ms
    assert [cue.words for cue in cues] == groups
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(cues))
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    if len(cues) == 1:
        assert cues[0].end_ms <= max(start_ms + 1, end_ms)
    for before, cue, after in zip([None, *cues], cues, [*cues[1:], None], strict=False):
        if cue.missing_ms:
            assert cue.start_ms == (before.end_ms if before else start_ms)
            assert cue.end_ms >= (after.start_ms if after else end_ms)
            assert not any(other.spare_ms for other in (before, after) if other)
        assert isinstance(cue, Cue)


@given(_groups())
def test_no_cue_loses_time_that_it_needs(drawn: tuple[list[tuple[Word, ...]], int]) -> None:
    """What is spoken long enough is shown long enough."""
    groups, end_ms = drawn
    for cue, (word,) in zip(timed(groups, end_ms), groups, strict=True):
        spoken_ms = round(1000 * min(word.end, end_ms / 1000)) - round(1000 * word.start)
        assert cue.end_ms - cue.start_ms >= min(spoken_ms, SHORTEST_CUE_MS)
