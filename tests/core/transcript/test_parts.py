"""Parts of a recording: together they hold every word once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Part
from core.domain.timeline import Character, Span, Transcription, Word
from core.transcript.parts import Assignment, join_parts


@st.composite
def cuts(draw: st.DrawFn) -> list[Span]:
    """The spans of consecutive utterances; neighbours touch or overlap by 2.5 s."""
    spans, start = [], 0.0
    for length, is_forced in draw(
        st.lists(st.tuples(st.floats(12, 30), st.booleans()), min_size=1, max_size=20)
    ):
        spans.append(Span(start, start + length))
        start += length - 2.5 * is_forced
    return spans


@given(spans=cuts(), of=st.integers(1, 8), steps=st.lists(st.floats(0.1, 3), max_size=100))
def test_every_word_belongs_to_exactly_one_part(
    spans: list[Span], of: int, steps: list[float]
) -> None:
    """Wherever a word lies, one part keeps it and all others drop it; so with its characters."""
    words, characters, at = [], [], 0.0
    for step in steps:
        at += step
        if at < spans[-1].end:
            words.append(Word(at - 0.05, at + 0.05, "word."))
            characters += (Character(at - 0.05, at, "word"), Character(at + 0.05, at + 0.05, "."))
    said = Transcription(tuple(words), tuple(characters))
    parts = [Assignment.of(Part(i, of), spans).trim(said) for i in range(of)]
    assert [word for part in parts for word in part.words] == words
    for part in parts:
        spelled = "".join(one.text for one in part.characters)
        assert spelled == "".join(word.text for word in part.words)


def test_a_word_that_two_parts_kept_is_spelled_once() -> None:
    """Its marks too, which may come at its very end."""
    spelled = (Character(1.0, 1.2, "word"), Character(1.4, 1.4, "."))
    kept = Transcription((Word(1.0, 1.4, "word."),), spelled)
    assert join_parts([kept, kept]).characters == spelled


@given(spans=cuts(), of=st.integers(1, 8))
def test_every_utterance_is_heard_and_parts_only_share_what_overlaps(
    spans: list[Span], of: int
) -> None:
    """All utterances are heard by somebody; one that two parts hear overlaps its neighbour across
    the seam.
    """
    heard = [Assignment.of(Part(i, of), spans).heard for i in range(of)]
    assert sorted({index for indices in heard for index in indices}) == list(range(len(spans)))
    for left, right in pairwise([indices for indices in heard if indices]):
        twice = sorted(set(left) & set(right))
        assert all(spans[a].overlap(spans[b]) > 0 for a, b in pairwise(twice))
        assert len(twice) <= 2 or of > len(spans)


@given(spans=cuts(), of=st.integers(1, 8))
def test_a_part_hears_all_of_its_own_time(spans: list[Span], of: int) -> None:
    """What lies between a part's seams is covered by the utterances that it hears."""
    for index in range(of):
        part = Assignment.of(Part(index, of), spans)
        if part.heard:
            assert spans[part.heard.start].start <= max(0.0, part.own.start)
            assert spans[part.heard.stop - 1].end >= min(spans[-1].end, part.own.end)
            heard_s = sum(spans[index].duration for index in part.heard)
            assert part.duration_s == heard_s


def test_times_that_meet_but_for_their_last_bits_do_not_overlap() -> None:
    """Nobody hears an utterance of another part for the sake of a rounding error."""
    middle = 0.1 + 0.2
    assert middle > 0.3
    spans = [Span(0.0, middle), Span(0.3, 0.6)]
    heard = [Assignment.of(Part(index, 2), spans).heard for index in range(2)]
    assert heard == [range(1), range(1, 2)]
