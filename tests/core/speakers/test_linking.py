"""Who of one part of a recording is who in another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.request import SpeakerCount
from core.speakers.linking import Common, Local, linked

_ANYBODY = SpeakerCount()
_COUNTS = st.one_of(
    st.just(_ANYBODY),
    st.integers(1, 9).map(lambda count: SpeakerCount(exact=count)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)).map(
        lambda two: SpeakerCount(None, min(two), max(two))
    ),
)


def unit(*numbers: float) -> tuple[float, ...]:
    """A vector of length 1."""
    length = math.hypot(*numbers)
    return tuple(number / length for number in numbers)


_VECTORS = (
    st.lists(st.integers(-9, 9), min_size=3, max_size=3)
    .filter(any)
    .map(lambda numbers: unit(*numbers))
)


@st.composite
def speakers(draw: st.DrawFn) -> list[Local]:
    """Up to four in each of up to four parts; of some little is heard, or never alone."""
    heard = st.tuples(st.none() | _VECTORS, st.floats(0.5, 90))
    parts = draw(st.lists(st.lists(heard, max_size=4), max_size=4))
    return [
        Local(part, str(number), vector, seconds if vector else 0.0)
        for part, locals_ in enumerate(parts)
        for number, (vector, seconds) in enumerate(locals_, start=1)
    ]


def people(
    given: Sequence[Local], count: SpeakerCount = _ANYBODY, alike: float = 0.7
) -> set[frozenset[tuple[int, str]]]:
    """Who are one person, as sets of keys."""
    found = linked(given, {}, least_alike=alike, count=count)
    return {frozenset(one.key for one in person) for person in found.people}


@settings(max_examples=50)
@given(speakers(), _COUNTS)
def test_two_speakers_of_one_part_stay_two_and_nobody_is_lost(
    given: list[Local], count: SpeakerCount
) -> None:
    """However many people are asked for."""
    found = people(given, count)
    assert sorted(key for person in found for key in person) == sorted(one.key for one in given)
    for person in found:
        assert len({part for part, _ in person}) == len(person)


@settings(max_examples=50)
@given(speakers(), _COUNTS, st.randoms())
def test_the_order_in_which_parts_are_answered_does_not_matter(
    given: list[Local], count: SpeakerCount, chance: object
) -> None:
    """They come in any."""
    mixed = list(given)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert people(mixed, count) == people(given, count)


@settings(max_examples=50)
@given(st.lists(_VECTORS, min_size=1, max_size=4, unique=True), st.integers(2, 4))
def test_equal_voices_are_one_person(vectors: list[tuple[float, ...]], parts: int) -> None:
    """Each of the same people in every part, though the parts number them differently."""
    given = [
        Local(part, str((number + part) % len(vectors)), vector, 30.0)
        for part in range(parts)
        for number, vector in enumerate(vectors)
    ]
    voices = {one.key: one.vector for one in given}
    for person in people(given, alike=0.999999):
        assert len({voices[key] for key in person}) == 1
        assert len(person) == parts


@settings(max_examples=50)
@given(speakers(), st.integers(1, 9))
def test_as_many_people_as_asked_for_are_found_if_that_can_be(
    given: list[Local], asked: int
) -> None:
    """There cannot be more than speakers of all parts. There may have to be more than are asked
    for: two who were heard in one part stay two.
    """
    given = [replace(one, vector=one.vector or unit(1, 2, 3), seconds=9.0) for one in given]
    found = people(given, SpeakerCount(exact=asked))
    assert len(found) >= min(asked, len(given))
    if len(found) > max(asked, 1):
        for one, other in combinations(found, 2):
            assert {part for part, _ in one} & {part for part, _ in other}
    bounds = people(given, SpeakerCount(None, asked, asked))
    assert bounds == found


def test_the_caller_learns_how_many_there_would_have_been() -> None:
    """If the bounds say otherwise."""
    given = [Local(part, "1", unit(1, part), 30.0) for part in range(3)]
    asked = SpeakerCount(exact=1)
    assert linked(given, {}, least_alike=0.99, count=asked).overruled == 3
    assert linked(given, {}, least_alike=0.99, count=_ANYBODY).overruled is None


def test_long_speech_says_more_than_short_speech() -> None:
    """The third voice is nearer to the short one, and is not joined, for most is of the other."""
    long, short = Local(0, "1", unit(1, 0), 100.0), Local(1, "1", unit(1, 0.4), 3.0)
    third = Local(2, "1", unit(1, 1), 50.0)
    assert people([long, short, third], alike=0.8) == {
        frozenset({(0, "1"), (1, "1")}),
        frozenset({(2, "1")}),
    }


def test_somebody_who_says_little_is_the_nearest_who_can_be_it() -> None:
    """However unlike: a second of speech is no voice. Nobody of the same part can be it."""
    ada, grace = Local(0, "1", unit(1, 0), 60.0), Local(0, "2", unit(0, 1), 60.0)
    brief = Local(1, "1", unit(0.6, -0.8), 1.0)
    assert frozenset({(0, "1"), (1, "1")}) in people([ada, grace, brief])
    own = Local(1, "2", unit(0.6, -0.7), 60.0)
    assert people([own, brief]) == {frozenset({(1, "1")}), frozenset({(1, "2")})}


def test_what_two_parts_hear_at_once_tells_people_apart_and_together() -> None:
    """Two people with nearly one voice are told apart by who speaks when at the seam."""
    voices = [unit(1, 0), unit(1, 0.1)]
    given = [
        Local(part, str(number), voices[(number + part) % 2], 60.0)
        for part in range(2)
        for number in range(2)
    ]
    heard = {
        ((0, str(a)), (1, str(b))): Common(5.0, 5.0 if a == b else 0.0)
        for a in range(2)
        for b in range(2)
    }
    by_voice = {frozenset({(0, "0"), (1, "1")}), frozenset({(0, "1"), (1, "0")})}
    assert people(given) == by_voice
    found = linked(given, heard, least_alike=0.7, count=_ANYBODY)
    assert {frozenset(one.key for one in person) for person in found.people} == {
        frozenset({(0, str(number)), (1, str(number))}) for number in range(2)
    }


def test_somebody_without_a_voice_is_who_speaks_at_the_same_time() -> None:
    """And is alone where nothing is heard of them beside the other part."""
    given = [Local(0, "1", unit(1, 0), 60.0), Local(1, "1")]
    assert len(people(given)) == 2
    heard = {((0, "1"), (1, "1")): Common(3.0, 2.5)}
    assert len(linked(given, heard, least_alike=0.7, count=_ANYBODY).people) == 1
