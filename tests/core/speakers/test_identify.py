"""Names for voices: above a threshold, with a margin, and nobody twice."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.domain.timeline import Diarization, Turn, Voice
from core.speakers.identify import KnownVoice, Matching, assigned, identify

MATCHING = Matching(threshold=0.6, margin=0.1)
_COSINES = st.integers(-100, 100).map(lambda hundredths: hundredths / 100)


@st.composite
def likenesses(draw: st.DrawFn) -> NDArray[np.float64]:
    """Cosines of up to five speakers with up to five names; many are equal."""
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(1, 5))
    row = st.lists(_COSINES, min_size=columns, max_size=columns)
    return np.array(draw(st.lists(row, min_size=rows, max_size=rows))).reshape(rows, columns)


def may_have(row: NDArray[np.float64], column: int) -> bool:
    """Tell, from the words of the rule, whether a speaker may have a name."""
    others = [value for at, value in enumerate(row) if at != column]
    is_clear = all(row[column] - value >= MATCHING.margin for value in others)
    return bool(row[column] >= MATCHING.threshold and is_clear)


@given(likenesses())
def test_nobody_gets_a_name_that_is_not_clearly_theirs(likeness: NDArray[np.float64]) -> None:
    """Each name that is given is above the threshold, and ahead of all others by the margin."""
    for row, column in assigned(likeness, MATCHING).items():
        assert may_have(likeness[row], column)


@given(likenesses())
def test_a_name_is_given_once(likeness: NDArray[np.float64]) -> None:
    """No two speakers have the same one."""
    given = assigned(likeness, MATCHING)
    assert len(set(given.values())) == len(given)


@given(likenesses())
def test_no_other_assignment_is_more_alike(likeness: NDArray[np.float64]) -> None:
    """Of all ways to give names by the rule, the sum of the cosines is the largest here."""
    rows, columns = likeness.shape
    given = assigned(likeness, MATCHING)
    ours = sum(likeness[row, column] for row, column in given.items())
    everybody = [*range(columns), *[None] * rows]
    best = max(
        sum(
            likeness[row, column]
            for row, column in enumerate(way)
            if column is not None and may_have(likeness[row], column)
        )
        for way in set(permutations(everybody, rows))
    )
    assert ours == pytest.approx(best)


@given(likenesses(), st.randoms())
def test_the_order_of_names_does_not_matter(likeness: NDArray[np.float64], chance: object) -> None:
    """Columns in another order are given to the same rows, unless cosines are equal."""
    order = list(range(likeness.shape[1]))
    chance.shuffle(order)  # type: ignore[attr-defined]
    again = assigned(likeness[:, order], MATCHING)
    ours = assigned(likeness, MATCHING)
    tops = [row.max() for row in likeness]
    if len(set(tops)) == len(tops):
        assert {row: order[column] for row, column in again.items()} == ours


# --- with turns ---

A, B, C = (Voice("m", tuple(row), str(at + 1)) for at, row in enumerate(np.eye(3).tolist()))
TURNS = (Turn(0, 1, "1"), Turn(1, 2, "2"), Turn(2, 3, "1"), Turn(3, 4, "3"))
HEARD = Diarization(TURNS, TURNS[:3], ("one",), 4.0, (A, B, C))


def known(name: str, *vector: float) -> KnownVoice:
    """Somebody with this voice, of any length."""
    return KnownVoice(name, Voice("m", vector))


def test_names_stand_wherever_speakers_do_and_the_others_keep_their_numbers() -> None:
    """In both kinds of turns, and beside the voices."""
    named = identify(HEARD, [known("Ada", 0, 5, 0)], MATCHING)
    assert [turn.speaker for turn in named.turns] == ["1", "Ada", "1", "3"]
    assert [turn.speaker for turn in named.exclusive_turns] == ["1", "Ada", "1"]
    assert [voice.speaker for voice in named.voices or ()] == ["1", "Ada", "3"]
    assert (named.num_speakers, named.duration) == (HEARD.num_speakers, HEARD.duration)


def test_warnings_say_how_near_those_without_a_name_were() -> None:
    """Below the threshold, too near to a second name, or second to another speaker."""
    heard = Diarization(TURNS, (), ("one",), 4.0, (A, B, Voice("m", (0.0, 0.9, 0.1), "3")))
    names = [known("Ada", 0, 1, 0), known("Bea", 0.5, 0, 1), known("Cleo", 0.55, 0, 1)]
    assert identify(heard, names, MATCHING).warnings == (
        "one",
        "speaker 1 has no name: the voice is like Cleo's by 0.482, and 0.600 is needed",
        "speaker 3 has no name: the voice is like Ada's by 0.994, but another speaker's is more, "
        "by 1.000",
    )
    twins = [known("Ada", 0, 1, 0), known("Bea", 0, 0.99, 0.1)]
    told = identify(HEARD, twins, MATCHING).warnings[2]
    assert told == (
        "speaker 2 has no name: the voice is like Ada's by 1.000 and like Bea's by 0.995, "
        "which must be 0.100 apart"
    )


@pytest.mark.parametrize(
    ("heard", "names"), [(HEARD, []), (Diarization((), (), voices=()), [known("Ada", 1, 0, 0)])]
)
def test_without_names_or_speakers_nothing_changes(
    heard: Diarization, names: list[KnownVoice]
) -> None:
    """There is nothing to compare."""
    assert identify(heard, names, MATCHING) == heard
