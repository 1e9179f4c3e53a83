"""Paragraphs: every segment in exactly one, cut where a reader expects it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.domain.timeline import Word
from core.transcript.paragraphs import PARAGRAPH_PAUSE_S, split_paragraphs
from core.transcript.segments import split_segments

_STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 1.5, 2.0, 5.0]),
        st.sampled_from(["so", "well,", "yes.", "Mr.", "what?"]),
        st.sampled_from(["1", "2", None]),
    ),
    max_size=60,
)


def _words(steps: list[tuple[float, str, str | None]]) -> list[Word]:
    words, at = [], 0.0
    for pause_s, text, speaker in steps:
        words.append(Word(at + pause_s, at + pause_s + 0.25, text, speaker=speaker))
        at = words[-1].end
    return words


def _said(text: str, *, speaker: str | None = None, gap_s: float = 0.0) -> list[Word]:
    return _words([(gap_s, word, speaker) for word in text.split()])


@given(_STEPS)
def test_every_segment_is_in_one_paragraph(steps: list[tuple[float, str, str | None]]) -> None:
    """In order, of one speaker, without a long pause inside, and with all of the text."""
    segments = split_segments(_words(steps))
    paragraphs = split_paragraphs(segments)
    assert [one for paragraph in paragraphs for one in paragraph.segments] == list(segments)
    for paragraph in paragraphs:
        assert segments[paragraph.first] is paragraph.segments[0]
        assert {one.speaker for one in paragraph.segments} == {paragraph.speaker}
        assert paragraph.text == " ".join(one.text for one in paragraph.segments)
        assert (paragraph.start, paragraph.end) == (
            paragraph.segments[0].start,
            paragraph.segments[-1].end,
        )
        assert len(paragraph.segments) <= 6
        for one, other in pairwise(paragraph.segments):
            assert other.start - one.end < PARAGRAPH_PAUSE_S


def test_what_is_said_in_one_go_is_divided_evenly() -> None:
    """Ten sentences are two paragraphs of five, not two of four and one of two."""
    paragraphs = split_paragraphs(split_segments(_said("So it is. " * 10)))
    assert [len(one.segments) for one in paragraphs] == [5, 5]


def test_a_paragraph_does_not_end_within_a_sentence_if_one_ends_beside_it() -> None:
    """A pause of a second cuts a segment there, but the sentence goes on."""
    words = _said("One. Two. Three. Four. Five six. Seven. Eight.")
    late = [word if word.start < 1.2 else _later(word) for word in words]
    segments = split_segments(late)
    assert [one.text for one in segments][4:6] == ["Five", "six."]
    assert [one.text for one in split_paragraphs(segments)] == [
        "One. Two. Three. Four.",
        "Five six. Seven. Eight.",
    ]


def _later(word: Word) -> Word:
    return Word(word.start + 1.2, word.end + 1.2, word.text)


def test_a_new_speaker_and_a_pause_begin_a_new_one() -> None:
    """However few sentences there are."""
    first = _said("Good morning. Who is it?", speaker="1")
    answer = [Word(2.0, 2.3, "Me.", speaker="2"), Word(4.4, 4.6, "Ada.", speaker="2")]
    paragraphs = split_paragraphs(split_segments([*first, *answer]))
    assert [(one.speaker, one.text) for one in paragraphs] == [
        ("1", "Good morning. Who is it?"),
        ("2", "Me."),
        ("2", "Ada."),
    ]


def test_text_without_marks_is_divided_at_its_pauses() -> None:
    """Of a model that writes no punctuation, each segment counts as a sentence."""
    segments = split_segments(_words([(1.5, "so", None)] * 9))
    assert [len(one.segments) for one in split_paragraphs(segments)] == [4, 5]
    assert split_paragraphs(()) == ()
