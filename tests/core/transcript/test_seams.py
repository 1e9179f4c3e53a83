"""Joining: the words of overlapping utterances become one sequence, none lost or doubled."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.timeline import Character, Span, Word
from core.transcript.seams import JoinedSoFar, UtteranceWords, join_words

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
    """Somebody who speaks without pause, and the seams in that, all drawn from one seed."""

    seed: int
    vocabulary: tuple[str, ...]
    longest_s: float
    jitter_s: float

    def hearings(self) -> tuple[list[Word], list[UtteranceWords]]:
        """Return the true words, and those that a recogniser hears in overlapping utterances.

        It hears each word that lies wholly inside, at times that are off by at most the jitter, in
        order. Of a word that the edge cuts it hears nothing, a part, or another word.
        """
        rng = np.random.default_rng(self.seed)
        words = self._words(rng)
        return words, [
            UtteranceWords(span, *self._hear(words, span, rng))
            for span in self._spans(words[-1].end, rng)
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
    """Even of "no no no no", and if the sides differ about times or hear half words at the edge."""
    said, heard = speaker.hearings()
    words, _ = join_words(heard)
    assert [word.text for word in words] == [word.text for word in said]
    assert all(
        abs(word.midpoint - true.midpoint) <= speaker.jitter_s + 0.33
        for word, true in zip(words, said, strict=True)
    )


@st.composite
def misheard(draw: st.DrawFn) -> tuple[list[str], list[UtteranceWords]]:
    """The words that must be there, and two sides of which each misses some, also inner ones.

    The sides differ by up to one step of an encoder, 80 ms. No edge cuts a word.
    """
    spans = (Span(0.0, 24.5), Span(22.0, 46.0))
    heard: list[tuple[Word | None, ...]] = []
    at = 2140
    for number in range(draw(st.integers(8, 12))):
        start = at + draw(st.integers(0, 30))
        at = start + draw(st.integers(8, 50))
        shifts = [draw(st.sampled_from([0, 8, None, None])) for _ in spans]
        words = (
            None if shift is None else Word((start + shift) / 100, (at + shift) / 100, f"w{number}")
            for shift in shifts
        )
        heard.append(tuple(map(inside, words, spans)))
    middle = spans[0].overlap(spans[1]) / 2 + spans[1].start
    wanted = [
        (left or right).text
        for left, right in heard
        if (left and (right or left.midpoint < middle)) or (right and right.midpoint >= middle)
    ]
    sides = (tuple(filter(None, words)) for words in zip(*heard, strict=True))
    return wanted, list(map(UtteranceWords, spans, sides))


def inside(word: Word | None, span: Span) -> Word | None:
    """Return the word if the span holds all of it."""
    return word if word and span.start <= word.start and word.end <= span.end else None


@given(heard=misheard())
def test_a_word_that_only_the_side_that_is_right_heard_is_kept(
    heard: tuple[list[str], list[UtteranceWords]],
) -> None:
    """Whatever other words either side misses; and none is there twice."""
    wanted, sides = heard
    words = [word.text for word in join_words(sides)[0]]
    assert set(wanted) <= set(words)
    assert words == sorted(set(words), key=lambda text: int(text[1:]))


@given(speaker=speakers)
def test_words_joined_as_they_come_are_those_joined_at_once(speaker: Speaker) -> None:
    """Each call adds to them and takes nothing back."""
    heard = speaker.hearings()[1]
    joined = JoinedSoFar(overlap_s=3.0)
    told = [joined.add(piece) for piece in heard]
    assert tuple(word for words in (*told, joined.rest()) for word in words) == join_words(heard)[0]
    assert told[0]


@given(speaker=speakers)
def test_the_characters_are_those_of_the_words(speaker: Speaker) -> None:
    """With the times that the chosen side gave them."""
    words, characters = join_words(speaker.hearings()[1])
    assert characters == tuple(character for word in words for character in spell(word))


def test_words_of_utterances_that_do_not_overlap_are_strung_together() -> None:
    """Nothing is compared: the same word on both sides of a pause was said twice."""
    left = UtteranceWords(Span(0, 22), (Word(21.6, 21.9, "no"),))
    right = UtteranceWords(Span(22, 44), (Word(22.1, 22.4, "no"),))
    assert join_words([left, right])[0] == (*left.words, *right.words)


def test_a_word_in_the_middle_that_each_side_puts_on_the_other_is_kept() -> None:
    """The left hears it right of the middle, and the right left of it."""
    left = UtteranceWords(Span(0, 24), (Word(22.9, 23.3, "yes"),))
    right = UtteranceWords(Span(22, 44), (Word(22.7, 23.1, "yes"),))
    assert [word.text for word in join_words([left, right])[0]] == ["yes"]


def test_a_word_in_the_middle_that_each_side_claims_is_there_once() -> None:
    """The left hears it left of the middle, the right on its right; their spellings differ."""
    left = UtteranceWords(Span(0, 24), (Word(22.6, 23.1, "two"),))
    right = UtteranceWords(Span(22, 44), (Word(22.8, 23.3, "To"),))
    assert len(join_words([left, right])[0]) == 1


def test_words_that_only_one_side_heard_are_in_order_of_time() -> None:
    """Also if all orders cost the same, to the last bit of a sum of fractions."""
    left = UtteranceWords(
        Span(0, 26.25), (Word(23.07, 23.48, "Please"), Word(23.96, 24.21, "call"))
    )
    later = (Word(24.89, 25.21, "me"), Word(25.73, 26.18, "back"), Word(26.56, 26.71, "on"))
    right = UtteranceWords(Span(23.75, 50), (*later, Word(26.79, 27.24, "Monday")))
    assert join_words([left, right])[0] == left.words + right.words


def test_what_only_one_side_heard_counts_on_its_own_side() -> None:
    """Each is believed in its half of the overlap."""
    left = UtteranceWords(Span(0, 24), (Word(22.1, 22.3, "left"), Word(23.7, 23.9, "cl")))
    right = UtteranceWords(Span(22, 44), (Word(22.0, 22.2, "ft"), Word(23.6, 24.2, "clipped")))
    assert [word.text for word in join_words([left, right])[0]] == ["left", "clipped"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_utterances_without_words_join_to_none(count: int) -> None:
    """Silence says nothing."""
    assert join_words([UtteranceWords(Span(i * 22, i * 22 + 24.5), ()) for i in range(count)]) == (
        (),
        (),
    )


def test_a_model_without_characters_is_joined_too() -> None:
    """Their absence is no error."""
    left = UtteranceWords(Span(0, 24), (Word(22.9, 23.3, "yes"),))
    assert join_words([left, UtteranceWords(Span(22, 44), ())]) == ((), ())
    assert join_words([left]) == (left.words, ())
