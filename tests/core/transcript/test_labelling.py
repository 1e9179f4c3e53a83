"""Words × turns: the labels against an oracle that counts ticks, the guards of the smoothing, and
where segments are cut.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.timeline import Diarization, Turn, Word
from core.errors import Cancelled
from core.transcript.labelling import label_words
from core.transcript.segments import MAX_SEGMENT_S, finished_segments, split_segments
from core.transcript.sentences import LONG_PAUSE_S

TICKS_A_SECOND = 64
"""Times on this grid are exact in binary, so sums and shifts are too."""

NOBODY = Diarization((), ())

_Timed = TypeVar("_Timed", Word, Turn)


def _seconds(ticks: int) -> float:
    return ticks / TICKS_A_SECOND


@st.composite
def _words(draw: st.DrawFn) -> tuple[Word, ...]:
    texts = st.sampled_from(
        ["I", "Yes.", "no", "so", "well,", "Mr.", "thanks!", "to", "really?", "50%", "everybody"]
    )
    steps = st.tuples(st.integers(0, 90), st.integers(0, 200), texts)
    words, start = [], 0
    for step, length, text in draw(st.lists(steps, max_size=8)):
        start += step
        words.append(Word(_seconds(start), _seconds(start + length), text))
    return tuple(words)


_turn = st.builds(
    lambda start, length, speaker: Turn(_seconds(start), _seconds(start + length), speaker),
    st.integers(0, 700),
    st.integers(0, 200),
    st.sampled_from("ABC"),
)
_turns = st.lists(_turn, max_size=6).map(
    lambda turns: tuple(sorted(turns, key=lambda turn: turn.start))
)


@st.composite
def _exclusive(draw: st.DrawFn) -> tuple[Turn, ...]:
    turns, start = [], 0
    for gap, length, speaker in draw(
        st.lists(
            st.tuples(st.integers(0, 80), st.integers(1, 150), st.sampled_from("ABC")), max_size=6
        )
    ):
        turns.append(Turn(_seconds(start + gap), _seconds(start + gap + length), speaker))
        start += gap + length
    return tuple(turns)


_diarizations = st.one_of(
    st.builds(Diarization, _turns, _exclusive()),
    st.builds(lambda turns: Diarization(turns, ()), _turns),
    st.builds(lambda turns: Diarization((), turns), _exclusive()),
)


def _ticks_heard(word: Word) -> range:
    """The ticks in which a word can have been spoken, by the published constants: an eighth of a
    second a letter, and so on.
    """
    longest = (
        24
        + 8 * sum(char.isalpha() for char in word.text)
        + 24 * sum(char.isdigit() or char == "%" for char in word.text)
    )
    start, end = round(word.start * TICKS_A_SECOND), round(word.end * TICKS_A_SECOND)
    return range(start, start + min(end - start, longest))


def _ticks(turn: Turn) -> range:
    return range(round(turn.start * TICKS_A_SECOND), round(turn.end * TICKS_A_SECOND))


def _oracle(word: Word, turns: tuple[Turn, ...]) -> str | None:
    """Count, tick by tick, how much each speaker covers; the nearest edge within half a second
    where nobody covers a tick.
    """
    heard = set(_ticks_heard(word))
    covered = {speaker: set[int]() for speaker in "ABC"}
    for turn in turns:
        covered[turn.speaker] |= set(_ticks(turn))
    shares = {speaker: len(heard & ticks) for speaker, ticks in covered.items() if heard & ticks}
    if shares:
        best = max(shares.values())
        ahead = [speaker for speaker, share in shares.items() if share == best]
        return (
            ahead[0]
            if len(ahead) == 1
            else _first_to_speak(heard, {speaker: covered[speaker] for speaker in ahead}, turns)
        )
    gaps = [(_gap(_ticks_heard(word), _ticks(turn)), turn) for turn in turns if turn.duration]
    nearest = min((gap for gap, _ in gaps), default=TICKS_A_SECOND)
    if nearest > TICKS_A_SECOND // 2:
        return None
    near = [turn for gap, turn in gaps if gap == nearest]
    before = [turn for turn in near if turn.end <= word.start]
    return _earliest(before or near, turns)


def _first_to_speak(heard: set[int], covered: dict[str, set[int]], turns: tuple[Turn, ...]) -> str:
    def began(speaker: str) -> int:
        tick = min(heard & covered[speaker])
        while tick - 1 in covered[speaker]:
            tick -= 1
        return tick

    return min(covered, key=lambda speaker: (began(speaker), _rank(speaker, turns)))


def _gap(heard: range, turn: range) -> int:
    return max(0, turn.start - heard.stop, heard.start - turn.stop)


def _rank(speaker: str, turns: tuple[Turn, ...]) -> int:
    return [turn.speaker for turn in turns].index(speaker)


def _earliest(near: list[Turn], turns: tuple[Turn, ...]) -> str:
    return min(near, key=lambda turn: (turn.start, _rank(turn.speaker, turns))).speaker


def _say(
    text: str, *, start: float = 0.0, each: float = 0.25, pause: float = 0.0
) -> tuple[Word, ...]:
    step = each + pause
    return tuple(
        Word(start + i * step, start + i * step + each, word) for i, word in enumerate(text.split())
    )


def _speakers(words: tuple[Word, ...]) -> list[str | None]:
    return [word.speaker for word in words]


def _texts(words: tuple[Word, ...]) -> list[str]:
    return [segment.text for segment in split_segments(words)]


# who


@given(_words(), _diarizations)
def test_each_word_gets_the_speaker_that_counting_ticks_finds(
    words: tuple[Word, ...], diarization: Diarization
) -> None:
    """One word at a time (so nothing is smoothed) the sweep and a count over all turns agree,
    whichever turns there are.
    """
    turns = diarization.exclusive_turns or diarization.turns
    for word in (word for word in words if word.duration > 0.1):
        (labelled,) = label_words([word], diarization)
        assert labelled.speaker == _oracle(word, turns)


@given(_words(), _diarizations)
def test_words_are_labelled_as_if_they_were_alone_unless_smoothed(
    words: tuple[Word, ...], diarization: Diarization
) -> None:
    """What other words there are changes a label only by giving it to a neighbour's speaker."""
    together = label_words(words, diarization)
    alone = [label_words([word], diarization)[0] for word in words]
    for i, (one, other) in enumerate(zip(together, alone, strict=True)):
        if one.speaker != other.speaker:
            assert 0 < i < len(words) - 1
            assert other.speaker is not None
            assert one.speaker in {together[i - 1].speaker, together[i + 1].speaker}
        else:
            assert one == other


@given(_words(), _diarizations)
def test_no_word_is_lost_moved_or_rewritten(
    words: tuple[Word, ...], diarization: Diarization
) -> None:
    """Labelling sets the four fields about speakers and nothing else."""
    labelled = label_words(words, diarization)
    bare = tuple(
        replace(word, speaker=None, speaker_confidence=None, overlapped=False, nearest=False)
        for word in labelled
    )
    assert bare == words


@given(_words(), _diarizations)
def test_labels_are_speakers_of_the_turns_or_nobody(
    words: tuple[Word, ...], diarization: Diarization
) -> None:
    """Nobody is invented, and a confidence stands exactly where a speaker does."""
    known = {turn.speaker for turn in (*diarization.turns, *diarization.exclusive_turns)}
    for word in label_words(words, diarization):
        assert word.speaker is None or word.speaker in known
        assert (word.speaker_confidence is None) == (word.speaker is None)
        assert word.speaker_confidence is None or 0 <= word.speaker_confidence <= 1
        assert not word.nearest or (word.speaker is not None and word.speaker_confidence == 0)


@given(_words(), _diarizations, st.integers(0, 5000))
def test_shifting_all_times_shifts_nothing_else(
    words: tuple[Word, ...], diarization: Diarization, ticks: int
) -> None:
    """A recording that starts later has the same labels."""
    moved = Diarization(
        _moved(diarization.turns, ticks), _moved(diarization.exclusive_turns, ticks)
    )
    for one, other in zip(
        label_words(words, diarization), label_words(_moved(words, ticks), moved), strict=True
    ):
        assert (one.speaker, one.overlapped, one.nearest) == (
            other.speaker,
            other.overlapped,
            other.nearest,
        )
        assert one.speaker_confidence == pytest.approx(other.speaker_confidence)


def _moved(timed: tuple[_Timed, ...], ticks: int) -> tuple[_Timed, ...]:
    return tuple(
        replace(one, start=one.start + _seconds(ticks), end=one.end + _seconds(ticks))
        for one in timed
    )


@given(_words(), _diarizations, st.permutations("ABC"))
def test_renaming_speakers_renames_the_labels(
    words: tuple[Word, ...], diarization: Diarization, names: list[str]
) -> None:
    """No rule looks at what a speaker is called."""
    name = dict(zip("ABC", names, strict=True))
    renamed = Diarization(
        _renamed(diarization.turns, name), _renamed(diarization.exclusive_turns, name)
    )
    expected = [name.get(word.speaker or "") for word in label_words(words, diarization)]
    assert _speakers(label_words(words, renamed)) == expected


def _renamed(turns: tuple[Turn, ...], name: dict[str, str]) -> tuple[Turn, ...]:
    return tuple(replace(turn, speaker=name[turn.speaker]) for turn in turns)


@given(_words(), _diarizations)
def test_labelling_twice_changes_nothing(words: tuple[Word, ...], diarization: Diarization) -> None:
    """Labels that are already there do not weigh in."""
    once = label_words(words, diarization)
    assert label_words(once, diarization) == once


@given(_words(), _diarizations)
def test_overlap_is_flagged_where_two_ordinary_turns_share_a_tick_of_the_word(
    words: tuple[Word, ...], diarization: Diarization
) -> None:
    """The flag comes from the ordinary turns, of different speakers, within the word."""
    for word, labelled in zip(words, label_words(words, diarization), strict=True):
        if word.duration > 0.1:
            heard = set(_ticks_heard(word))
            said = [
                (turn.speaker, tick)
                for turn in diarization.turns
                for tick in heard & set(_ticks(turn))
            ]
            expected = any(
                len({speaker for speaker, tick in said if tick == one}) > 1 for one in heard
            )
            assert labelled.overlapped == expected


def test_a_word_just_after_a_long_turn_goes_to_it() -> None:
    """Nearness is measured to the edge: 0.1 s after a minute of speech is 0.1 s away, not half a
    minute.
    """
    turns = (Turn(0, 60, "1"), Turn(60.9, 61.1, "2"))
    (word,) = label_words([Word(60.1, 60.4, "right")], Diarization(turns, turns))
    assert (word.speaker, word.nearest, word.speaker_confidence) == ("1", True, 0)


def test_a_word_in_nobodys_land_is_given_to_nobody() -> None:
    """More than half a second from every turn there is no speaker, and no confidence."""
    turns = (Turn(0, 1, "1"), Turn(4, 5, "2"))
    (word,) = label_words([Word(2, 2.3, "hm")], Diarization(turns, turns))
    assert (word.speaker, word.speaker_confidence, word.nearest) == (None, None, False)


def test_without_turns_nobody_speaks() -> None:
    """A diarization that found nobody leaves every word as it was."""
    words = _say("is anybody here")
    assert label_words(words, NOBODY) == words


def test_a_word_across_a_change_of_speaker_goes_to_the_larger_share() -> None:
    """Its confidence is that share."""
    turns = (Turn(0, 1, "1"), Turn(1, 2, "2"))
    (word,) = label_words([Word(0.5, 1.25, "everybody")], Diarization(turns, turns))
    assert (word.speaker, word.speaker_confidence) == ("1", pytest.approx(2 / 3))


def test_shares_of_several_turns_of_one_speaker_add_up() -> None:
    """Two short turns of one speaker outweigh a longer one of another."""
    turns = (Turn(0, 0.3, "1"), Turn(0.3, 0.7, "2"), Turn(0.7, 1.0, "1"))
    (word,) = label_words([Word(0, 1, "everybody")], Diarization(turns, turns))
    assert (word.speaker, word.speaker_confidence) == ("1", pytest.approx(0.6))


def test_a_word_that_lasts_into_a_pause_belongs_to_who_began_it() -> None:
    """An end stretched over silence into the next speaker's turn does not outweigh the word's own
    speaker.
    """
    turns = (Turn(0, 1, "1"), Turn(2, 8, "2"))
    stretched = Word(0.75, 6, "done.")
    (word,) = label_words([stretched], Diarization(turns, turns))
    assert (word.speaker, word.end) == ("1", 6)


def test_figures_and_signs_take_as_long_as_the_words_they_stand_for() -> None:
    """«$250» is four spoken words long, so its second half counts too."""
    turns = (Turn(0, 0.5, "1"), Turn(0.5, 2, "2"))
    (word,) = label_words([Word(0, 1.5, "$250")], Diarization(turns, turns))
    assert word.speaker == "2"


def test_a_word_without_length_still_has_a_place() -> None:
    """Some decoders give a start and the same end."""
    turns = (Turn(0, 1, "1"), Turn(1, 2, "2"))
    (word,) = label_words([Word(1.5, 1.5, "hm")], Diarization(turns, turns))
    assert (word.speaker, word.nearest) == ("2", False)


def test_exclusive_turns_decide_and_ordinary_ones_flag() -> None:
    """In overlapped speech the exclusive turn names the speaker; the other one is why the word is
    flagged.
    """
    diarization = Diarization(
        (Turn(0, 4, "1"), Turn(1, 2, "2")), (Turn(0, 1, "1"), Turn(1, 2, "2"), Turn(2, 4, "1"))
    )
    words = label_words(_say("one two. three.", start=0.5, each=0.5, pause=0.25), diarization)
    assert [(word.speaker, word.overlapped) for word in words] == [
        ("1", False),
        ("2", True),
        ("1", False),
    ]


def test_overlapping_turns_alone_are_enough() -> None:
    """A caller may have only one list of turns, with overlap in it: who covers more of the word
    wins, then who began first.
    """
    diarization = Diarization((Turn(0, 10, "1"), Turn(4, 5, "2")), ())
    words = label_words(
        [Word(1, 1.5, "so,"), Word(4.25, 4.75, "you"), Word(4.75, 5.25, "see?")], diarization
    )
    assert [(word.speaker, word.overlapped) for word in words] == [
        ("1", False),
        ("1", True),
        ("1", True),
    ]


def test_turns_of_one_speaker_on_top_of_each_other_count_once() -> None:
    """Doubled turns neither outvote another speaker nor look like overlapped speech."""
    turns = (Turn(0, 0.4, "1"), Turn(0, 0.4, "1"), Turn(0.4, 1, "2"))
    (word,) = label_words([Word(0, 1, "everybody")], Diarization(turns, ()))
    assert (word.speaker, word.overlapped) == ("2", False)


def test_words_need_not_come_in_order() -> None:
    """The answer is in the order asked, each word with its own label."""
    turns = (Turn(0, 1, "1"), Turn(1, 2, "2"), Turn(2, 3, "3"))
    words = [Word(2.2, 2.6, "c."), Word(0.2, 0.6, "a."), Word(1.2, 1.6, "b.")]
    assert _speakers(label_words(words, Diarization(turns, turns))) == ["3", "1", "2"]


# smoothing


def _with_stray(text: str, stray: slice, *, pause: float = 0.0) -> list[str | None]:
    """Words of speaker 1 in which the diarizer gave a slice to speaker 2."""
    words = _say(text, pause=pause)
    first, last = words[stray][0].start, words[stray][-1].end
    turns = (Turn(0, first, "1"), Turn(first, last, "2"), Turn(last, words[-1].end + 1, "1"))
    return _speakers(label_words(words, Diarization(turns, turns)))


def test_one_or_two_words_inside_a_sentence_go_to_the_speaker_around_them() -> None:
    """A flicker of the diarizer does not tear a sentence."""
    assert _with_stray("I think that we should go now.", slice(2, 3)) == ["1"] * 7
    assert _with_stray("I think that we should go now.", slice(2, 4)) == ["1"] * 7


def test_a_smoothed_word_says_how_little_its_speaker_covers_it() -> None:
    """The confidence is that of the speaker it was given to."""
    words = _say("I think that we should go now.")
    turns = (Turn(0, 0.5, "1"), Turn(0.5, 0.75, "2"), Turn(0.75, 3, "1"))
    word = label_words(words, Diarization(turns, turns))[2]
    assert (word.speaker, word.speaker_confidence, word.nearest) == ("1", 0.0, False)


def test_three_words_are_somebody_speaking() -> None:
    """A longer run stays."""
    assert _with_stray("I think that we should go now.", slice(2, 5)) == [
        "1",
        "1",
        "2",
        "2",
        "2",
        "1",
        "1",
    ]


@pytest.mark.parametrize("answer", ["Yes.", "No!", "Really?", "“Yes.”", "Oh no."])
def test_a_short_answer_keeps_its_speaker(answer: str) -> None:
    """A sentence of one or two words between two of another speaker is an answer, even without a
    pause around it.
    """
    length = len(answer.split())
    speakers = _with_stray(f"Are you there? {answer} Good then.", slice(3, 3 + length))
    assert speakers == ["1"] * 3 + ["2"] * length + ["1"] * 2


def test_an_answer_into_an_unfinished_sentence_keeps_its_speaker() -> None:
    """The mark at its own end is enough, also where the words before it have none."""
    assert _with_stray("and then he said yes. so we went on", slice(4, 5))[4] == "2"


def test_a_pause_on_either_side_keeps_the_speaker() -> None:
    """A pause is where another person may come in."""
    assert _with_stray("I think that we should go now.", slice(2, 3), pause=0.25)[2] == "2"


def test_a_pause_hidden_in_a_stretched_end_is_still_a_pause() -> None:
    """The word before lasts, by the decoder, until the stray one; no such word is spoken that
    long.
    """
    words = (
        Word(0, 0.25, "so"),
        Word(0.25, 3, "he"),
        Word(3, 3.25, "yeah"),
        Word(3.25, 3.5, "went"),
        Word(3.5, 4, "home."),
    )
    turns = (Turn(0, 1, "1"), Turn(3, 3.25, "2"), Turn(3.25, 4, "1"))
    assert _speakers(label_words(words, Diarization(turns, turns)))[2] == "2"


def test_between_two_different_speakers_nothing_flips() -> None:
    """There is no one speaker around the run."""
    words = _say("so we went home again")
    turns = (Turn(0, 0.5, "1"), Turn(0.5, 0.75, "2"), Turn(0.75, 2, "3"))
    assert _speakers(label_words(words, Diarization(turns, turns))) == ["1", "1", "2", "3", "3"]


def test_nobodys_word_is_not_given_away_by_smoothing() -> None:
    """A word with no turn near it stays without a speaker, whoever speaks around it."""
    words = (Word(0, 1, "everybody"), Word(1, 2.5, "somewhere"), Word(2.5, 3.5, "else"))
    turns = (Turn(0, 0.25, "1"), Turn(3.25, 3.5, "1"))
    assert _speakers(label_words(words, Diarization(turns, turns))) == ["1", None, "1"]


def test_flicker_between_two_speakers_settles_on_the_one_who_began() -> None:
    """Each stray word is judged by what its left neighbour became."""
    words = _say("a b c d e")
    turns = tuple(Turn(word.start, word.end, "12121"[i]) for i, word in enumerate(words))
    assert _speakers(label_words(words, Diarization(turns, turns))) == ["1"] * 5


def _change(text: str, *, after: int, pause: float = 0.0) -> str:
    """Return who speaks each word if the diarizer has the speaker change after so many."""
    words = _say(text, pause=pause)
    turns = Turn(0, words[after].start, "1"), Turn(words[after].start, words[-1].end, "2")
    return "".join(
        speaker or "-" for speaker in _speakers(label_words(words, Diarization(turns, turns)))
    )


@pytest.mark.parametrize(
    ("text", "after", "speakers"),
    [
        ("Neither did I. Okay then.", 2, "11122"),
        ("We saw it all over there. Oh, really?", 4, "11111122"),
        ("How are you? I am fine.", 4, "111222"),
        ("How are you? I am fine, many thanks.", 5, "11122222"),
    ],
)
def test_a_change_beside_the_edge_of_a_sentence_is_at_the_edge(
    text: str, after: int, speakers: str
) -> None:
    """A turn cut a word or two early or late does not tear a sentence."""
    assert _change(text, after=after) == speakers


@pytest.mark.parametrize(
    ("text", "after", "speakers"),
    [
        ("so we went home again and", 2, "112222"),
        ("I know. No. Well then.", 1, "12222"),
        ("We saw it all over there again. Oh, really?", 4, "111122222"),
        ("Then we did I.", 3, "1112"),
    ],
)
def test_a_change_elsewhere_stays(text: str, after: int, speakers: str) -> None:
    """No edge is near, it would move half of a sentence, or nobody goes on beyond it."""
    assert _change(text, after=after) == speakers


def test_a_change_at_a_pause_stays() -> None:
    """A pause is where another person may come in."""
    assert _change("Neither did I. Okay then.", after=2, pause=0.25) == "11222"


def test_an_abbreviation_does_not_shield_a_stray_word() -> None:
    """«Dr.» ends no sentence, so a run with it is inside one."""
    assert _with_stray("I saw that Dr. Smith came home.", slice(3, 4)) == ["1"] * 7


# segments


@given(_words(), _diarizations)
def test_segments_hold_all_words_in_order(
    words: tuple[Word, ...], diarization: Diarization
) -> None:
    """Cutting loses and moves nothing; each segment is of one speaker and spans its words."""
    labelled = label_words(words, diarization)
    segments = split_segments(labelled)
    assert tuple(word for segment in segments for word in segment.words) == labelled
    for segment in segments:
        assert {word.speaker for word in segment.words} == {segment.speaker}
        assert segment.start == segment.words[0].start
        assert segment.end == max(word.end for word in segment.words)


@given(st.lists(st.tuples(st.floats(0, 0.9), st.floats(0.1, 0.9)), min_size=1, max_size=150))
def test_no_segment_is_too_long(gaps_and_lengths: list[tuple[float, float]]) -> None:
    """Speech without marks and pauses is cut all the same."""
    words, start = [], 0.0
    for gap, length in gaps_and_lengths:
        words.append(Word(start + gap, start + gap + length, "everybody"))
        start += gap + length
    for segment in split_segments(words):
        assert segment.duration <= MAX_SEGMENT_S + 1e-9


def test_a_piece_too_long_is_cut_at_its_longest_pause() -> None:
    """Not at the last word that fits."""
    words = (*_say(" ".join(["so"] * 70)), *_say(" ".join(["and"] * 70), start=70 * 0.25 + 0.5))
    first, second = split_segments(words)
    assert {word.text for word in first.words} == {"so"}
    assert {word.text for word in second.words} == {"and"}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("He said “go.” Then he left.", ["He said “go.”", "Then he left."]),
        ('She asked (why?) "Because." Good.', ["She asked (why?)", '"Because."', "Good."]),
        ("Mr. Smith saw Dr. Jones. They left.", ["Mr. Smith saw Dr. Jones.", "They left."]),
        ("J. R. Brown came. So did I. We left.", ["J. R. Brown came.", "So did I.", "We left."]),
        ("It costs 3.5 dollars. Or 3. 7 today.", ["It costs 3.5 dollars.", "Or 3. 7 today."]),
        ("It was 2024. Then came rain.", ["It was 2024.", "Then came rain."]),
        ("No. 5 is here. No. He is not.", ["No. 5 is here.", "No.", "He is not."]),
        (
            "Come at 9 a.m. We start. At 9 a.m. sharp.",
            ["Come at 9 a.m.", "We start.", "At 9 a.m. sharp."],
        ),
        ("The U.S. Army and e.g. tea.", ["The U.S. Army and e.g. tea."]),
        ("Well… maybe. Wait... what?", ["Well…", "maybe.", "Wait...", "what?"]),
        ("no marks at all", ["no marks at all"]),
        ("", []),
    ],
)
def test_sentences_end_at_their_marks_and_not_at_abbreviations(
    text: str, sentences: list[str]
) -> None:
    """A full stop of a title, an initial or a number ends nothing."""
    assert _texts(_say(text)) == sentences


def test_a_long_pause_cuts_and_a_shorter_one_does_not() -> None:
    """At a second of silence the text falls apart."""
    assert _texts(_say("one two", pause=LONG_PAUSE_S)) == ["one", "two"]
    assert _texts(_say("one two", pause=LONG_PAUSE_S - 0.1)) == ["one two"]


def test_a_pause_hidden_in_a_stretched_end_cuts_too() -> None:
    """A short word that lasts three seconds by the decoder ends in silence."""
    assert _texts((Word(0, 3, "so"), Word(3, 3.5, "anyway"))) == ["so", "anyway"]


def test_a_change_of_speaker_cuts_inside_a_sentence() -> None:
    """Also from somebody to nobody."""
    words = tuple(
        replace(word, speaker=speaker)
        for word, speaker in zip(_say("a b c d"), ["1", "2", "2", None], strict=True)
    )
    assert [(segment.speaker, segment.text) for segment in split_segments(words)] == [
        ("1", "a"),
        ("2", "b c"),
        (None, "d"),
    ]


def test_segments_that_are_finished_stay_as_they_are_when_more_words_come() -> None:
    """However many words have come: those told so far and those of the rest are all of them."""
    words = tuple(_say("Hello there. How are you? Fine! So am I. Mr. Smith is not."))
    for count in range(len(words) + 1):
        finished, rest = finished_segments(words[:count])
        assert (*finished, *split_segments((*rest, *words[count:]))) == split_segments(words)
    assert len(finished_segments(words)[0]) == len(split_segments(words)) - 1


def test_segments_of_an_ordered_transcript_are_ordered() -> None:
    """Each starts no earlier than the one before."""
    segments = split_segments(_say("Hello there. How are you? Fine! So am I. Mr. Smith is not."))
    assert all(one.start <= other.start for one, other in pairwise(segments))


# --- bounds ---


def _crowd(words: int, turns: int) -> tuple[list[Word], Diarization]:
    """Words in which everybody of a crowd speaks at once."""
    said = [Word(index, index + 0.5, "yes") for index in range(words)]
    spoken = tuple(Turn(index * 1e-4, words + 1, f"s{index}") for index in range(turns))
    return said, Diarization(spoken, ())


def test_memory_is_bounded_by_words_and_turns_together() -> None:
    """Not by their product: 200 words in which 2,000 people speak take a few megabytes."""
    words, crowd = _crowd(200, 2000)
    tracemalloc.start()
    try:
        labelled = label_words(words, crowd)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {word.speaker for word in labelled[1:]} == {"s0"}
    assert all(word.overlapped for word in labelled)
    assert peak < 4_000_000


@pytest.mark.parametrize("asked", [1, 2, 50])
def test_labelling_ends_soon_after_it_is_cancelled(asked: int) -> None:
    """It asks before each word."""
    words, crowd = _crowd(400, 50)
    answers = iter([False] * (asked - 1) + [True])
    with pytest.raises(Cancelled):
        label_words(words, crowd, cancelled=lambda: next(answers))
