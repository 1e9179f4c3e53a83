"""Cutting: utterances cover every sample, however the samples come, and are cut in pauses."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance, utterances

LEVELS = (0.0, 1e-4, 0.003, 0.03, 0.3)


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> Samples:
    """White noise, float32, shape (samples,): speech that never pauses."""
    return (
        level * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    ).astype(np.float32)


def speech(*parts: float) -> Samples:
    """Noise and digital silence in turn, of these lengths in seconds."""
    return np.concatenate(
        [noise(seconds, 0.0 if index % 2 else 0.1) for index, seconds in enumerate(parts)]
    )


@st.composite
def recordings(draw: st.DrawFn) -> Samples:
    """Up to some two minutes of stretches of any level."""
    stretch = st.tuples(st.floats(0.01, 20), st.sampled_from(LEVELS))
    parts = draw(st.lists(stretch, max_size=12))
    return np.concatenate(
        [np.zeros(0, np.float32), *(noise(seconds, level) for seconds, level in parts)]
    )


def seconds(samples: int) -> float:
    """How long so many samples last."""
    return samples / SAMPLE_RATE


def overlaps(cut: Sequence[Utterance]) -> list[float]:
    """Seconds that each utterance shares with the next, rounded to a millionth."""
    return [round(left.end - right.start, 6) for left, right in pairwise(cut)]


@settings(max_examples=40)
@given(samples=recordings(), start_s=st.floats(0, 10_000))
def test_every_sample_is_in_an_utterance(samples: Samples, start_s: float) -> None:
    """In order, with the right times, of at most 30 s, and overlapping by nothing or by two seconds
    and more.
    """
    cut = list(utterances([samples], start_s=start_s))
    for utterance in cut:
        first = round((utterance.start - start_s) * SAMPLE_RATE)
        assert np.array_equal(utterance.samples, samples[first : first + len(utterance.samples)])
        assert 0 < len(utterance.samples) <= 30 * SAMPLE_RATE
    assert all(overlap == 0 or 2 <= overlap <= 5 for overlap in overlaps(cut))
    assert all(left.start < right.start for left, right in pairwise(cut))
    if cut:
        assert cut[0].start == start_s
        assert cut[-1].end == pytest.approx(start_s + seconds(len(samples)), abs=1e-6)
    else:
        assert len(samples) == 0


@settings(max_examples=40)
@given(samples=recordings(), data=st.data())
def test_it_does_not_matter_how_the_samples_come(samples: Samples, data: st.DataObject) -> None:
    """In one block or in many, held in large pieces or in small ones: the same utterances to the
    bit.
    """
    edges = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=8)))
    blocks = np.split(samples, edges)
    pieced = list(
        utterances(blocks, start_s=5, piece_s=data.draw(st.sampled_from([1, 31, 60, 500])))
    )
    whole = list(utterances([samples], start_s=5))
    assert [utterance.span for utterance in pieced] == [utterance.span for utterance in whole]
    assert all(
        np.array_equal(one.samples, other.samples) for one, other in zip(pieced, whole, strict=True)
    )


@settings(max_examples=40)
@given(samples=recordings())
def test_a_cut_without_overlap_lies_in_a_pause(samples: Samples) -> None:
    """A tenth of a second on either side of it is far below the loud parts, or silent."""
    cut = list(utterances([samples]))
    for (left, _), overlap in zip(pairwise(cut), overlaps(cut), strict=True):
        if overlap == 0:
            at = round(left.end * SAMPLE_RATE)
            around = np.sqrt(np.square(samples[at - 1600 : at + 1600]).mean())
            loud = np.sqrt(
                np.square(
                    samples[
                        at - 30 * SAMPLE_RATE if at > 30 * SAMPLE_RATE else 0 : at
                        + 18 * SAMPLE_RATE
                    ]
                ).max()
            )
            assert around <= max(0.0011, loud / 6)


@pytest.mark.parametrize("length_s", [0.01, 1, 29.99, 30])
def test_a_short_recording_is_one_utterance(length_s: float) -> None:
    """Up to 30 s."""
    (only,) = utterances([noise(length_s)], start_s=7)
    assert (only.start, only.duration) == (7, length_s)


def test_no_samples_are_no_utterance() -> None:
    """Nor are empty blocks."""
    assert list(utterances([])) == []
    assert list(utterances([noise(0), noise(0)])) == []


def test_the_utterances_of_one_block_are_views() -> None:
    """Nothing is copied."""
    samples = speech(20, 0.5, 30, 0.5, 30)
    cut = list(utterances([samples]))
    assert len(cut) > 2
    assert all(np.shares_memory(utterance.samples, samples) for utterance in cut)


def test_a_pause_near_the_aim_is_where_the_cut_is() -> None:
    """In the pause, well away from the speech on either side."""
    first, _ = utterances([speech(21.0, 0.6, 20)])
    assert 21.1 <= first.end <= 21.5


def test_of_many_pauses_those_near_the_aim_are_taken() -> None:
    """Utterances of 20 to 25 s where a pause comes every five seconds."""
    cut = list(utterances([speech(*[4.5, 0.5] * 40)]))
    assert all(20 <= utterance.duration <= 25 for utterance in cut[:-1])
    assert set(overlaps(cut)) == {0}


@pytest.mark.parametrize("at_s", [13, 17, 27])
def test_a_pause_far_from_the_aim_is_better_than_none(at_s: float) -> None:
    """An utterance may be as short as 12 s or as long as 28 s for its sake."""
    first, *_ = utterances([speech(at_s, 0.5, 28)])
    assert first.end == pytest.approx(at_s + 0.25, abs=0.2)


def test_a_deep_pause_is_better_than_a_shallow_one() -> None:
    """Between two of the same distance."""
    quiet, quieter = noise(0.5, 0.005), noise(0.5, 0.0005)
    first, *_ = utterances([np.concatenate((noise(20), quiet, noise(3.5), quieter, noise(20)))])
    assert first.end == pytest.approx(24.25, abs=0.2)


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.02])
def test_a_pause_is_a_matter_of_contrast(scale: float) -> None:
    """A recording at low level, with room noise, is cut in the same pauses."""
    room = noise(90, 0.002 * scale, seed=1)
    cut = list(utterances([speech(22, 0.5, 22, 0.5, 45) * scale + room]))
    assert [overlap == 0 for overlap in overlaps(cut)][:2] == [True, True]


def test_a_short_dip_is_no_pause() -> None:
    """The stop of a consonant, a twentieth of a second, in speech that goes on."""
    cut = list(utterances([speech(*[0.45, 0.05] * 100)]))
    assert all(overlap >= 2 for overlap in overlaps(cut))


def test_a_weak_syllable_is_no_pause() -> None:
    """A third of a second at a third of the level."""
    cut = list(
        utterances([np.concatenate([noise(0.33, level) for level in (0.1, 0.1, 0.03) * 80])])
    )
    assert all(overlap >= 2 for overlap in overlaps(cut))


def test_unbroken_speech_is_heard_by_both_sides() -> None:
    """Two seconds and more on either side of each seam, and no utterance too long for it."""
    cut = list(utterances([noise(100)]))
    assert all(overlap >= 2 for overlap in overlaps(cut))
    assert all(20 <= utterance.duration <= 30 for utterance in cut[:-1])


def test_a_click_does_not_make_speech_a_pause() -> None:
    """However loud it is."""
    samples = noise(60, 0.01)
    samples[10 * SAMPLE_RATE] = 1.0
    assert all(overlap >= 2 for overlap in overlaps(list(utterances([samples]))))


def test_silence_is_kept() -> None:
    """All of it: it is cut, not thrown away."""
    cut = list(utterances([noise(100, 0.0)]))
    assert set(overlaps(cut)) == {0}
    assert sum(len(utterance.samples) for utterance in cut) == 100 * SAMPLE_RATE


@settings(max_examples=20)
@given(
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 3e38]),
    at=st.lists(st.integers(0, 21 * SAMPLE_RATE), min_size=1, max_size=20),
)
def test_what_is_not_a_number_does_no_harm(bad: float, at: list[int]) -> None:
    """The pauses are found all the same, and everything is covered."""
    samples = speech(22, 0.5, 22, 0.5, 15)
    samples[at] = bad
    cut = list(utterances([samples]))
    assert cut[0].end == pytest.approx(22.25, abs=0.2)
    assert (cut[0].start, cut[-1].end, set(overlaps(cut))) == (0, 60, {0})


def test_a_stream_is_held_in_pieces() -> None:
    """Twenty minutes pass, a minute and little more is held; the copies that slicing needs
    included.
    """
    blocks = (noise(10, seed=number) for number in range(120))
    tracemalloc.start()
    try:
        count = sum(len(utterance.samples) for utterance in utterances(blocks, piece_s=60))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count >= 1200 * SAMPLE_RATE
    assert peak < 5 * 60 * SAMPLE_RATE * 4
