"""Chunking: utterances cover every sample however it comes, are cut in pauses, and their words join
with none lost or doubled.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.timeline import Character, Span, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance, utterances
from core.transcript.seams import join_words

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


# Cutting


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


# Joining


@dataclass(frozen=True)
class Hearing:
    """What a recogniser made of one utterance."""

    span: Span
    words: tuple[Word, ...]
    characters: tuple[tuple[Character, ...], ...] = ()


VOCABULARY = (
    "a",
    "no",
    "No.",
    "the",
    "yes,",
    "it",
    "was",
    "very",
    "good",
    "morning",
    "weather",
    "understanding",
)


@dataclass(frozen=True)
class Speaker:
    """Somebody who speaks without pause, and how the seams lie in it: everything drawn from one
    seed.
    """

    seed: int
    vocabulary: tuple[str, ...]
    longest_s: float
    jitter_s: float

    def hearings(self) -> tuple[list[Word], list[Hearing]]:
        """The true words, and what a recogniser hears of them in overlapping utterances.

        It hears each word that lies wholly inside, at times that are off by at most the jitter, in
        order. Of a word that the edge cuts it hears nothing, a part, or another word.
        """
        rng = np.random.default_rng(self.seed)
        words = self._words(rng)
        return words, [
            Hearing(span, *self._hear(words, span, rng)) for span in self._spans(words[-1].end, rng)
        ]

    def _words(self, rng: np.random.Generator) -> list[Word]:
        words: list[Word] = []
        time_s = 0.0
        while time_s < 75:
            start = time_s + rng.choice([0.0, rng.uniform(0, 0.3)])
            time_s = start + rng.choice([rng.uniform(0.08, 0.4), rng.uniform(0.08, self.longest_s)])
            words.append(Word(start, time_s, str(rng.choice(self.vocabulary))))
        return words

    def _spans(self, end_s: float, rng: np.random.Generator) -> list[Span]:
        spans = [Span(0.0, rng.uniform(20, 28))]
        while spans[-1].end < end_s:
            start = spans[-1].end - rng.uniform(2, 3)
            spans.append(Span(start, start + rng.uniform(20, 28)))
        return spans

    def _hear(
        self, words: list[Word], span: Span, rng: np.random.Generator
    ) -> tuple[tuple[Word, ...], tuple[tuple[Character, ...], ...]]:
        heard: list[Word] = []
        earliest = -np.inf
        for word in words:
            if word.overlap(span) == 0:
                continue
            start, end, text = word.start, word.end, word.text
            if span.start <= start and end <= span.end:
                shift = rng.uniform(-self.jitter_s, self.jitter_s)
                start, end = start + shift, end + shift
            elif rng.random() < 0.4:
                continue
            else:
                start, end = max(start, span.start), min(end, span.end)
                text = str(rng.choice([text[:2], *self.vocabulary]))
            late = max(0.0, earliest - (start + end) / 2)
            heard.append(Word(start + late, end + late, text))
            earliest = heard[-1].midpoint
        return tuple(heard), tuple(spell(word) for word in heard)


def spell(word: Word) -> tuple[Character, ...]:
    """The characters of a word, spread over its time."""
    edges = np.linspace(word.start, word.end, len(word.text) + 1)
    return tuple(
        Character(float(a), float(b), letter)
        for letter, (a, b) in zip(word.text, pairwise(edges), strict=True)
    )


speakers = st.builds(
    Speaker,
    seed=st.integers(0, 2**32),
    vocabulary=st.sampled_from([VOCABULARY, VOCABULARY[:5], VOCABULARY[:2], VOCABULARY[1:2]]),
    longest_s=st.sampled_from([0.4, 1.2]),
    jitter_s=st.sampled_from([0.0, 0.08, 0.16]),
)


@given(speaker=speakers)
def test_no_word_is_lost_or_doubled_at_a_seam(speaker: Speaker) -> None:
    """Whatever is said: also «no no no no», also where the two sides differ about the times, or
    hear half a word at their edges.
    """
    said, heard = speaker.hearings()
    words, _ = join_words(heard)
    assert [word.text for word in words] == [word.text for word in said]
    assert all(
        abs(word.midpoint - true.midpoint) <= speaker.jitter_s + 0.33
        for word, true in zip(words, said, strict=True)
    )


@given(speaker=speakers)
def test_the_characters_are_those_of_the_words(speaker: Speaker) -> None:
    """With the times that the chosen side gave them."""
    words, characters = join_words(speaker.hearings()[1])
    assert characters == tuple(character for word in words for character in spell(word))


def test_words_of_utterances_that_do_not_overlap_are_strung_together() -> None:
    """Nothing is compared: the same word on both sides of a pause was said twice."""
    left = Hearing(Span(0, 22), (Word(21.6, 21.9, "no"),))
    right = Hearing(Span(22, 44), (Word(22.1, 22.4, "no"),))
    assert join_words([left, right])[0] == (*left.words, *right.words)


def test_a_word_in_the_middle_that_each_side_puts_on_the_other_is_kept() -> None:
    """The left hears it right of the middle, and the right left of it."""
    left = Hearing(Span(0, 24), (Word(22.9, 23.3, "yes"),))
    right = Hearing(Span(22, 44), (Word(22.7, 23.1, "yes"),))
    assert [word.text for word in join_words([left, right])[0]] == ["yes"]


def test_a_word_in_the_middle_that_each_side_claims_is_there_once() -> None:
    """The left hears it left of the middle, and the right right of it; one of them writes it
    differently.
    """
    left = Hearing(Span(0, 24), (Word(22.6, 23.1, "two"),))
    right = Hearing(Span(22, 44), (Word(22.8, 23.3, "To"),))
    assert len(join_words([left, right])[0]) == 1


def test_what_only_one_side_heard_counts_on_its_own_side() -> None:
    """Each is believed in its half of the overlap."""
    left = Hearing(Span(0, 24), (Word(22.1, 22.3, "left"), Word(23.7, 23.9, "cl")))
    right = Hearing(Span(22, 44), (Word(22.0, 22.2, "ft"), Word(23.6, 24.2, "clipped")))
    assert [word.text for word in join_words([left, right])[0]] == ["left", "clipped"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_utterances_without_words_join_to_none(count: int) -> None:
    """Silence says nothing."""
    assert join_words([Hearing(Span(i * 22, i * 22 + 24.5), ()) for i in range(count)]) == ((), ())


def test_a_model_without_characters_is_joined_too() -> None:
    """Their absence is no error."""
    left = Hearing(Span(0, 24), (Word(22.9, 23.3, "yes"),))
    assert join_words([left, Hearing(Span(22, 44), ())]) == ((), ())
    assert join_words([left]) == (left.words, ())
