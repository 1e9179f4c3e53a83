"""Which range of a recording is asked for once more, and what is taken of the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.timeline import Character, Diarization, Span, Speech, Transcription, Turn, Word
from core.transcript.quiet import MOST_OF_SHORT_S, MOST_SHARE, Quiet


def told(*turns: tuple[float, float]) -> Diarization:
    """One speaker's turns."""
    ordered = tuple(Turn(start, end, "1") for start, end in turns)
    return Diarization(ordered, ordered)


def spelled(start: float, text: str) -> tuple[Word, tuple[Character, ...]]:
    """A word of half a second, and its letters."""
    step = 0.5 / len(text)
    letters = (Character(start + i * step, start + (i + 1) * step, c) for i, c in enumerate(text))
    return Word(start, start + 0.5, text), tuple(letters)


def said(*words: tuple[float, str], speech: tuple[Speech, ...] = ()) -> Transcription:
    """Words with their letters."""
    found = [spelled(*word) for word in words]
    letters = tuple(letter for _, own in found for letter in own)
    return Transcription(tuple(word for word, _ in found), letters, speech=speech)


MINUTE = Span(0.0, 60.0)
HEARD = said((1.0, "here"), (9.0, "there"))
SYLLABLES = tuple(Speech(*one) for one in ((3.0, 4.5), (4.9, 6.4), (6.8, 8.2), (8.6, 9.0)))


@pytest.mark.parametrize(
    ("heard", "turns"),
    [
        (HEARD, None),
        (HEARD, told()),
        (HEARD, told((1.0, 1.5), (9.0, 9.5))),
        (HEARD, told((1.0, 2.4), (9.0, 9.5))),
        (said((1.0, "here"), speech=(Speech(3.0, 5.0),)), told((3.0, 5.0))),
        (said((1.0, "here"), speech=SYLLABLES), told((3.0, 9.0))),
    ],
    ids=["no turns", "nobody", "all has words", "a second", "seen", "mostly seen"],
)
def test_nothing_is_asked_where_nothing_is_missing(heard, turns):
    """Or where the level of the sound shows that somebody speaks: that was heard twice."""
    assert Quiet.of(heard, turns, MINUTE) is None


def test_range_has_a_second_on_either_side_and_starts_in_the_file():
    """The model needs to hear how words begin and end."""
    quiet = Quiet.of(HEARD, told((1.0, 9.5)), MINUTE)
    assert quiet is not None
    assert quiet.gaps == (Span(1.5, 9.0),)
    assert (quiet.range.start, quiet.range.end) == (0.5, 10.0)
    first = Quiet.of(HEARD, told((0.0, 1.0), (0.0, 9.5)), MINUTE)
    assert first is not None
    assert first.range.start == 0.0


def test_only_what_was_heard_is_asked_for():
    """Turns of the caller's may be of more than the range, or of more than there is."""
    turns = told((0.0, 2.0), (2.0, 9.5), (12.0, 15.0), (1e306, 1.1e306))
    quiet = Quiet.of(HEARD, turns, Span(3.0, 7.5))
    assert quiet is not None
    assert quiet.gaps == (Span(3.0, 7.5),)
    assert (quiet.range.start, quiet.range.end) == (3.0, 7.5)
    assert Quiet.of(said((1.0, "here")), told((1.0, 1.5), (8.0, 12.0)), Span(0.0, 8.5)) is None


@given(st.lists(st.tuples(st.floats(0.1, 60), st.floats(1.1, 20)), min_size=1, max_size=8))
def test_range_is_short_and_holds_most_of_what_is_missing(turns):
    """A fifth of the recording or half a minute, unless one gap is longer; no other range of gaps
    that is as short holds more.
    """
    at, placed = 0.0, []
    for pause, length in turns:
        at = round(at + pause, 3)
        placed.append((at, round(at + length, 3)))
        at += length
    words = [(start - 0.05, "x") for start, _ in placed[1:]]
    quiet = Quiet.of(said(*words), told(*placed), Span(0.0, placed[-1][1]))
    if quiet is None:
        return
    assert list(quiet.gaps) == sorted(quiet.gaps, key=lambda gap: gap.start)
    most_s = max(MOST_OF_SHORT_S, MOST_SHARE * placed[-1][1])
    length_s = quiet.gaps[-1].end - quiet.gaps[0].start + 2
    assert length_s <= most_s + 1e-6 or len(quiet.gaps) == 1


def test_words_of_the_answer_are_taken_in_gaps_alone():
    """With their letters, in order; what was found stays, and the place is counted."""
    quiet = Quiet.of(HEARD, told((1.0, 9.5)), MINUTE)
    assert quiet is not None
    found = quiet.filled(said((0.6, "hither"), (4.0, "lost"), (7.0, "words"), (9.01, "there")))
    assert [word.text for word in found.words] == ["here", "lost", "words", "there"]
    assert "".join(one.text for one in found.characters) == "herelostwordsthere"
    assert found.found_again == (Span(4.0, 7.5),)


def test_a_stretched_word_keeps_its_last_letters():
    """Whether it was found or is taken: they may lie where nobody can have said them."""
    here = (Character(1.0, 1.5, "here"), Character(8.9, 8.9, "."))
    heard = Transcription((Word(1.0, 8.9, "here."),), here)
    quiet = Quiet.of(heard, told((1.0, 9.5)), MINUTE)
    assert quiet is not None
    lost = (Character(4.0, 4.5, "lost"), Character(9.2, 9.2, "."))
    found = quiet.filled(Transcription((Word(4.0, 9.2, "lost."),), lost))
    assert [word.text for word in found.words] == ["here.", "lost."]
    assert {one.text for one in found.characters} == {"here", "lost", "."}
    assert len(found.characters) == 4


def test_each_gap_takes_its_own_words():
    """With their letters; a gap of which the answer has no word stays."""
    heard = said((1.0, "here"), (9.0, "there"), (17.0, "where"), (25.0, "end"))
    quiet = Quiet.of(heard, told((1.0, 25.5)), MINUTE)
    assert quiet is not None
    assert len(quiet.gaps) == 3
    found = quiet.filled(said((4.0, "lost"), (9.0, "their"), (20.0, "words"), (25.0, "and")))
    assert [word.text for word in found.words] == ["here", "lost", "there", "where", "words", "end"]
    assert "".join(one.text for one in found.characters) == "herelosttherewherewordsend"
    assert found.found_again == (Span(4.0, 4.5), Span(20.0, 20.5))


def test_answer_without_words_for_a_gap_changes_nothing():
    """The gap stays, to be told."""
    quiet = Quiet.of(HEARD, told((1.0, 9.5)), MINUTE)
    assert quiet is not None
    assert quiet.filled(said((9.01, "there"))) == HEARD
