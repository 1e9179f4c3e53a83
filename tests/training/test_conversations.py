"""The conversations that natural dialogues are made of."""

from __future__ import annotations

import random
import re

import pytest

from training.conversations import (
    VALUES,
    Conversations,
    FormatError,
    conversation_words,
    parse,
    written,
)
from training.sentences import words_of

GOOD = """# a comment
== appointment
A: Hello, {name1}. Is [when=ten|eleven] on {day1} good?
B: [Yes|Well, yes], {day1} at [when] is good. And {day2}?
"""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A: Hello.", "f.txt:1: a turn before the first"),
        ("== talk\nHello.", "f.txt:2: neither"),
        ("== talk\nA: Hello {nobody1}.\nB: Yes.", "f.txt:2: no slot is called 'nobody'"),
        ("== talk\nA: At [when].\nB: Yes.", "f.txt:2: [when] repeats a choice"),
        ("== talk\nA: It is 5.\nB: Yes.", "f.txt:2: '5' is no letter"),
        ("== talk\nA: Is [it|that so?\nB: Yes.", "f.txt:2: '[' is no letter"),
        ("== talk\nA: it is.\nB: Yes.", "f.txt:2: a turn is sentences"),
        ("== talk\nA: Is it\nB: Yes.", "f.txt:2: a turn is sentences"),
        ("== talk\nA: Hello.\nA: Hello again.", "f.txt:1: a conversation needs two people"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str, complaint: str) -> None:
    """Each fault is told with file and line."""
    with pytest.raises(FormatError, match=re.escape(complaint)):
        parse(text, "f.txt")


def test_slots_and_kept_choices_hold_for_the_conversation() -> None:
    """A slot and a kept choice say the same again; slots of one kind differ from each other."""
    (conversation,) = parse(GOOD, "f.txt")
    for seed in range(50):
        one, other = (turn.text for turn in conversation.drawn(random.Random(seed)))
        asked = re.fullmatch(r"Hello, \w+\. Is (ten|eleven) on (\w+) good\?", one)
        answered = re.fullmatch(
            r"(?:Yes|Well, yes), (\w+) at (ten|eleven) is good\. And (\w+)\?", other
        )
        assert asked
        assert answered
        assert (asked[1], asked[2]) == (answered[2], answered[1])
        assert answered[3] != answered[1]


def test_an_article_fits_what_is_chosen() -> None:
    """Before a vowel that a choice or slot brings, "a" is written "an"."""
    (conversation,) = parse("== talk\nA: A [|orange |new ]hat.\nB: Plan A [or|and] B.\n", "f.txt")
    said = {conversation.drawn(random.Random(seed))[0].text for seed in range(30)}
    assert said == {"A hat.", "An orange hat.", "A new hat."}


def test_the_same_generator_draws_the_same_conversations() -> None:
    """What is drawn depends on the generator alone."""
    one, again = (Conversations(random.Random(5)) for _ in range(2))
    assert [one.draw(2) for _ in range(5)] == [again.draw(2) for _ in range(5)]


def test_what_is_measured_on_is_never_trained_on() -> None:
    """About a tenth is held out, among it conversations of 2, 3 and 4; the rest is for training."""
    kept = [each for each in written() if each.held_out]
    assert 0.05 < len(kept) / len(written()) < 0.15
    assert {len(each.people) for each in kept} == {2, 3, 4}
    texts = {each.turns for each in written() if not each.held_out}
    assert not texts & {each.turns for each in kept}


def test_whole_conversations_are_drawn_and_each_comes_once_before_any_again() -> None:
    """The held-out source gives exactly the held-out conversations, in turn."""
    kept = [each for each in written() if each.held_out]
    source = Conversations(random.Random(1), held_out=True)
    for _ in range(2):
        drawn = sorted(len(source.draw()) for _ in kept)
        assert drawn == sorted(len(each.turns) for each in kept)


def test_everything_can_be_said() -> None:
    """Every drawn turn is words of letters, with capitals and ends, and all its words are known."""
    values = {word for kind in VALUES.values() for value in kind for word in words_of(value)}
    known = (
        conversation_words() | values | {f"{name.lower()}'s" for name in VALUES["name"]} | {"an"}
    )
    rng = random.Random(3)
    for conversation in written():
        for turn in conversation.drawn(rng):
            assert re.fullmatch(r"[A-Z][A-Za-z' ]*(?:[,.?] ?[A-Za-z' ]+)*[.?]", turn.text), turn
            assert set(words_of(turn.text)) <= known, (conversation.place, turn.text)
            assert " ".join(turn.sentences()) == turn.text
