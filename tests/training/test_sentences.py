"""The grammar that the embedded models are trained on."""

import random

import pytest

from training.sentences import (
    Sentences,
    adverb,
    comparative,
    gerund,
    known_words,
    past,
    spell_number,
    superlative,
    third_person,
    vocabulary,
    words_of,
)


def many_sentences(count: int = 40_000) -> list[str]:
    """Sentences from one seed."""
    sentences = Sentences(random.Random(7))
    return [sentences.sentence() for _ in range(count)]


def test_every_word_of_the_vocabulary_is_reached() -> None:
    """Each of the 1,193 words turns up in sentences, not only in word lists."""
    seen = {word for text in many_sentences() for word in words_of(text)}
    assert vocabulary() - seen == set()


def test_no_word_is_outside_the_vocabulary() -> None:
    """A sentence holds nothing but words of the vocabulary and their regular inflections."""
    seen = {word for text in many_sentences(10_000) for word in words_of(text)}
    assert seen <= known_words()


def test_a_word_list_stays_inside_the_vocabulary() -> None:
    """Word lists know the same words as sentences."""
    sentences = Sentences(random.Random(3))
    assert {word for _ in range(500) for word in words_of(sentences.word_list(6))} <= known_words()


def test_sentences_look_like_sentences() -> None:
    """Each starts with a capital, ends with a mark, and holds nothing but letters, apostrophes and
    marks.
    """
    for text in many_sentences(2_000):
        assert text[0].isupper()
        assert text[-1] in ".?!"
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ '.,?!"), text
        assert "  " not in text


def test_the_same_seed_gives_the_same_sentences() -> None:
    """A corpus can be made again."""
    assert many_sentences(50) == many_sentences(50)


def test_a_turn_has_as_many_sentences_as_asked_for() -> None:
    """A turn of three ends three sentences."""
    text = Sentences(random.Random(1)).turn(3)
    assert sum(text.count(mark) for mark in ".?!") >= 3


@pytest.mark.parametrize(
    ("rule", "word", "form"),
    [
        (third_person, "watch", "watches"),
        (third_person, "try", "tries"),
        (third_person, "play", "plays"),
        (third_person, "potato", "potatoes"),
        (past, "stop", "stopped"),
        (past, "carry", "carried"),
        (past, "need", "needed"),
        (past, "regret", "regretted"),
        (gerund, "write", "writing"),
        (gerund, "begin", "beginning"),
        (gerund, "see", "seeing"),
        (comparative, "happy", "happier"),
        (superlative, "large", "largest"),
        (adverb, "simple", "simply"),
        (adverb, "automatic", "automatically"),
    ],
)
def test_inflections_follow_the_spelling_rules(rule, word: str, form: str) -> None:
    """Doubling, silent e and y are handled."""
    assert rule(word) == form


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (21, "twenty one"),
        (305, "three hundred and five"),
        (12_040, "twelve thousand and forty"),
    ],
)
def test_numbers_are_spelled_in_words(number: int, words: str) -> None:
    """British style, without hyphens."""
    assert spell_number(number) == words
