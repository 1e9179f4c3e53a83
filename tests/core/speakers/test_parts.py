"""Parts of a recording for the speaker model, and the whole that is joined from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.parts import DiarizedPart, Likeness
from core.domain.request import Part, SpeakerCount
from core.domain.timeline import Diarization, Span, Turn, Voice
from core.domain.usage import Usage
from core.errors import EndpointRefused
from core.speakers.joining import join_parts
from core.speakers.shares import LEAST_S, Share

ANYBODY = SpeakerCount()
LIKENESS = Likeness(0.7, 0.9, 0.05)
ADA, GRACE, EVE = ("m", (1.0, 0.0, 0.0)), ("m", (0.0, 1.0, 0.0)), ("m", (0.0, 0.0, 1.0))


def shares(of: int, duration_s: float, least_s: float = LEAST_S) -> list[Share]:
    """All parts of a recording."""
    return [Share.of(Part(index, of), duration_s, least_s=least_s) for index in range(of)]


@settings(max_examples=60)
@given(st.integers(1, 64), st.floats(0.1, 40_000))
def test_parts_follow_each_other_and_none_is_too_short(of: int, duration_s: float) -> None:
    """Together they are the recording; those that it is too short for are empty."""
    found = shares(of, duration_s)
    own = [share.own for share in found if share.own.duration]
    assert own[0].start == 0.0
    assert own[-1].end == duration_s
    assert all(one.end == other.start for one, other in pairwise(own))
    assert all(span.duration > LEAST_S - 20 for span in own) or len(own) == 1
    assert {share.count for share in found} == {len(own)}


@settings(max_examples=60)
@given(st.integers(2, 18), st.floats(1_300, 10_800))
def test_each_window_of_a_part_is_one_of_the_wholes(of: int, duration_s: float) -> None:
    """Parts begin where windows do, 0.8, 1 or 2 s apart, and hear more than one on either side."""
    for share in shares(of, duration_s):
        if share.own.duration:
            assert share.heard.start % 20 == 0
            assert share.heard.start == max(0.0, share.own.start - 40)
            assert share.heard.end == min(duration_s, share.own.end + 40)


def test_a_part_may_have_fewer_people_than_the_whole() -> None:
    """Only the most holds for it; a part that is the whole has as many as were asked for."""
    part, whole = shares(2, 3_600)[0], shares(2, 900)[0]
    assert part.speakers(SpeakerCount(exact=4)) == SpeakerCount(at_most=4)
    assert part.speakers(SpeakerCount(at_least=2)) == ANYBODY
    assert whole.speakers(SpeakerCount(exact=4)) == SpeakerCount(exact=4)


def test_turns_are_cut_at_the_ends_of_a_part_and_speakers_numbered_in_it() -> None:
    """The margins keep who speaks in the part too; the others, and their voices, are left out."""
    share = shares(3, 75.0, least_s=20.0)[1]
    assert (share.own, share.heard) == (Span(20.0, 40.0), Span(0.0, 75.0))
    turns = (Turn(1, 9, "1"), Turn(15, 22, "2"), Turn(30, 35, "3"), Turn(38, 60, "2"))
    voices = tuple(Voice(*voice, str(at)) for at, voice in enumerate((EVE, GRACE, ADA), start=1))
    part = share.trimmed(Diarization(turns, turns, ("speaker 2 coughs",), voices=voices))
    inside = (Turn(20, 22, "1"), Turn(30, 35, "2"), Turn(38, 40, "1"))
    assert (part.turns, part.exclusive_turns) == (inside, inside)
    assert part.margins == (Turn(15, 20, "1"), Turn(40, 60, "1"))
    assert part.voices == (Voice(*GRACE, "1"), Voice(*ADA, "2"))
    assert part.warnings == ("part 2 of 3: speaker 2 coughs",)


# joining


def heard(
    share: Share, said: Iterable[Turn], people: Mapping[str, tuple[str, tuple[float, ...]]]
) -> DiarizedPart:
    """What a faultless model says of a part, in which people have numbers of its own."""
    turns = tuple(
        replace(turn, start=max(turn.start, share.heard.start), end=min(turn.end, share.heard.end))
        for turn in said
        if turn.overlap(share.heard)
    )
    voices = tuple(Voice(*people[name], name, 10.0) for name in {turn.speaker for turn in turns})
    part = share.trimmed(Diarization(turns, turns, voices=voices))
    return replace(part, likeness=LIKENESS, duration=share.heard.end)


@st.composite
def dialogues(draw: st.DrawFn) -> list[Turn]:
    """Three who speak one after the other, now and then across a seam; times are answers' own."""
    turns: list[Turn] = []
    at = 0.0
    steps = st.tuples(st.integers(200, 9_000), st.integers(0, 3_000), st.sampled_from("AGE"))
    for length_ms, pause_ms, name in draw(st.lists(steps, min_size=1, max_size=40)):
        end = at + length_ms / 1000
        if turns and turns[-1].speaker == name and at == turns[-1].end:
            turns[-1] = replace(turns[-1], end=round(end, 3))
        else:
            turns.append(Turn(round(at, 3), round(end, 3), name))
        at = round(end + pause_ms / 1000, 3)
    return turns


@settings(max_examples=40)
@given(dialogues(), st.integers(1, 6), st.randoms())
def test_the_parts_of_a_recording_are_the_whole(
    said: Sequence[Turn], of: int, chance: object
) -> None:
    """A turn that goes on across a seam is one turn, and people have one number everywhere: that of
    their first turn. The order of the answers does not matter.
    """
    people = {"A": ADA, "G": GRACE, "E": EVE}
    parts = [heard(share, said, people) for share in shares(of, said[-1].end, least_s=20.0)]
    chance.shuffle(parts)  # type: ignore[attr-defined]
    names = {name: str(at) for at, name in enumerate(dict.fromkeys(t.speaker for t in said), 1)}
    whole = join_parts(parts, ANYBODY)
    assert whole.turns == tuple(replace(turn, speaker=names[turn.speaker]) for turn in said)
    assert whole.exclusive_turns == whole.turns
    assert whole.duration == said[-1].end
    assert {one.speaker: (one.model, one.vector) for one in whole.voices or ()} == {
        number: people[name] for name, number in names.items()
    }


def two(*, second: Sequence[Turn] = (Turn(45, 55, "1"),), **more: object) -> list[DiarizedPart]:
    """Ada, then somebody with nearly her voice, of whom one part alone hears."""
    near = ("m", (0.8, 0.6, 0.0))
    halves = shares(2, 60.0, least_s=20.0)
    first = heard(halves[0], [Turn(1, 20, "1")], {"1": ADA})
    other = heard(halves[1], second, {"1": near})
    parts = [first, other]
    return [replace(part, heard=part.own, **more) for part in parts]  # type: ignore[arg-type]


def test_the_voice_of_the_whole_is_the_mean_of_the_parts_by_their_speech() -> None:
    """Of length 1, with five decimals."""
    first, second = two()
    first = replace(first, voices=tuple(replace(one, seconds=30.0) for one in first.voices or ()))
    (voice,) = join_parts([first, second], ANYBODY).voices or ()
    assert voice.vector == (0.98776, 0.15596, 0.0)
    assert (voice.model, voice.speaker, voice.seconds) == ("m", "1", 40.0)


def test_known_speakers_get_their_names_over_the_whole() -> None:
    """By the mean of the parts' voices, which is as near as is needed, though one is not."""
    parts = two()
    known = (Voice(*ADA, "Ada"), Voice(*EVE, "Eve"))
    whole = join_parts([replace(parts[0], known=known), parts[1]], ANYBODY)
    assert {turn.speaker for turn in whole.turns} == {"Ada"}
    alone = join_parts([replace(parts[0], known=known), parts[1]], SpeakerCount(exact=2))
    assert [turn.speaker for turn in alone.turns] == ["Ada", "2"]
    assert alone.warnings == (
        "the model finds 1 speaker by itself and was made to find 2, as asked; the labels are less "
        "certain",
        "speaker 2 has no name: the voice is like Ada's by 0.800, and 0.900 is needed",
    )


def test_what_several_parts_say_is_told_once_and_who_has_no_voice_is_named_by_the_whole() -> None:
    """Warnings about the recording are every part's."""
    first, second = two(warnings=("the recording is cut short",))
    whole = join_parts([first, replace(second, voices=())], ANYBODY)
    assert whole.warnings == (
        "the recording is cut short",
        "speaker 2 is never heard alone for long enough to know the voice",
    )
    unasked = join_parts([first, replace(second, voices=())], ANYBODY, voices=False)
    assert (unasked.warnings, unasked.voices) == (("the recording is cut short",), None)


def test_an_exclusive_turn_does_not_go_on_over_somebody_elses_at_a_seam() -> None:
    """Parts may differ by a few hundredths of a second about when somebody speaks."""
    halves = shares(2, 60.0, least_s=20.0)
    people = {"A": ADA, "G": GRACE}
    said = [Turn(1, 39.96, "A"), Turn(39.97, 40.0, "G"), Turn(40.02, 55, "A"), Turn(56, 60, "G")]
    whole = join_parts([heard(half, said, people) for half in halves], ANYBODY)
    exclusive = [(turn.start, turn.end) for turn in whole.exclusive_turns]
    assert exclusive == [(turn.start, turn.end) for turn in said]


def test_who_never_speaks_alone_is_left_out_as_the_whole_would() -> None:
    """Unless nobody does, or they do in another part."""
    first, second = two()
    over = replace(second, turns=(*second.turns, Turn(46, 47, "2")))
    assert {turn.speaker for turn in join_parts([first, over], ANYBODY).turns} == {"1"}
    beside = [replace(first, exclusive_turns=()), replace(second, exclusive_turns=())]
    assert {turn.speaker for turn in join_parts(beside, ANYBODY).turns} == {"1"}


def test_what_the_parts_took_is_added_up() -> None:
    """Of those that tell."""
    usage = Usage(40.0, "speakers", {"speakers": 2.0, "decode": 0.5})
    whole = join_parts(two(usage=usage), ANYBODY)
    assert whole.usage == Usage(80.0, "speakers", {"speakers": 4.0, "decode": 1.0})


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (two()[1:], "do not follow each other"),
        ([two()[0], replace(two()[1], own=Span(60.0, 60.0))], "do not follow each other"),
        ([two()[0], replace(two()[1], own=Span(41.0, 60.0))], "do not follow each other"),
        (
            [two()[0], replace(two()[1], voices=(Voice("n", (1.0, 0.0), "1", 9.0),))],
            "have several models",
        ),
        (
            [two()[0], replace(two()[1], voices=(Voice("m", (1.0, 0.0), "1", 9.0),))],
            "have several models",
        ),
    ],
)
def test_parts_that_are_not_of_one_whole_are_refused(
    parts: list[DiarizedPart], sentence: str
) -> None:
    """One is missing at either end, workers divide the recording differently, or their models
    differ.
    """
    with pytest.raises(EndpointRefused, match=sentence):
        join_parts(parts, ANYBODY)


def test_a_recording_in_which_nobody_speaks_has_no_speakers() -> None:
    """Whatever number is asked for."""
    parts = [replace(part, turns=(), exclusive_turns=(), voices=()) for part in two()]
    whole = join_parts(parts, SpeakerCount(exact=2))
    assert (whole.turns, whole.voices, whole.warnings) == ((), (), ())
