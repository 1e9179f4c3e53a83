"""Models' answers put together, here or over the wire: the same transcript to the last byte."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.domain.timeline import (
    Character,
    Diarization,
    LanguageSpan,
    Span,
    Speech,
    Transcription,
    Turn,
    Word,
)
from core.errors import Cancelled
from core.transcript.assembly import assemble
from core.transcript.parts import join_parts
from core.wire.answers import read_diarization, read_transcription
from core.wire.form import DiarizationFormat, Form, TranscriptFormat, WorkerFormat
from core.wire.job_input import TranscriptionInput, parse
from core.wire.render import render

_TEXTS = st.one_of(
    st.sampled_from(
        ["so,", "then", "we", "went", "home.", "Yes!", "Really?", "Dr.", "12", "-->", "<i>", ""]
    ),
    st.text(max_size=8),
)
_WARNINGS = st.lists(
    st.sampled_from(["the recording seems to be cut short", "no words were found", "2 speakers"]),
    max_size=3,
).map(tuple)
_LENGTHS = st.one_of(st.floats(0, 3), st.sampled_from([0.0, 0.0004, 0.0005, 0.5, 0.08]))


@st.composite
def transcriptions(draw: st.DrawFn) -> Transcription:
    """Words in order, at times and with confidences of any precision."""
    words, start = [], draw(st.sampled_from([0.0, 1 / 3, 3599.9]))
    for gap, length, text, confidence in draw(
        st.lists(
            st.tuples(
                _LENGTHS,
                _LENGTHS,
                _TEXTS,
                st.one_of(st.none(), st.floats(0, 1), st.just(float("nan"))),
            ),
            max_size=12,
        )
    ):
        start += gap
        words.append(Word(start, start + length, text, confidence))
        start += length
    characters = tuple(
        Character(word.start, word.end, char) for word in words for char in word.text
    )
    return Transcription(
        tuple(words),
        characters,
        draw(st.sampled_from([None, "en", "de"])),
        draw(_WARNINGS),
        speech=tuple(Speech(one.start, one.end) for one in draw(_stretches())),
        found_again=draw(_stretches()),
        languages=tuple(
            LanguageSpan(one.start, one.end, draw(st.sampled_from(["en", "de"])))
            for one in draw(_stretches())
        ),
    )


@st.composite
def _stretches(draw: st.DrawFn) -> tuple[Span, ...]:
    """Some of the time of the words, or beside it; in order, disjoint."""
    start, found = draw(st.sampled_from([0.0, 1 / 3, 3599.9])), []
    for gap, length in draw(st.lists(st.tuples(_LENGTHS, _LENGTHS), max_size=4)):
        start += gap + 0.001
        found.append(Span(start, start + length))
        start += length
    return tuple(found)


@st.composite
def diarizations(draw: st.DrawFn) -> Diarization:
    """Turns that overlap or do not, and exclusive ones, which do not."""

    def turns(*, apart: bool) -> tuple[Turn, ...]:
        start, found = draw(st.sampled_from([0.0, 1 / 3, 3599.9])), []
        for step, length, speaker in draw(
            st.lists(st.tuples(_LENGTHS, _LENGTHS, st.sampled_from("123")), max_size=8)
        ):
            start += step
            found.append(Turn(start, start + length, speaker))
            start += length if apart else 0
        return tuple(found)

    return Diarization(turns(apart=False), turns(apart=True), draw(_WARNINGS))


@given(
    said=transcriptions(),
    spoken=st.one_of(st.none(), diarizations()),
    response_format=st.sampled_from(TranscriptFormat),
    over=st.sampled_from([WorkerFormat.COMPACT, TranscriptFormat.VERBOSE_JSON]),
    timestamps=st.booleans(),
    duration=st.floats(0, 4000),
    warnings=_WARNINGS,
)
def test_what_came_over_the_wire_makes_the_same_answer(
    said: Transcription,
    spoken: Diarization | None,
    response_format: TranscriptFormat,
    over: WorkerFormat | TranscriptFormat,
    timestamps: bool,
    duration: float,
    warnings: tuple[str, ...],
) -> None:
    """In every format, to the last byte: times, speakers, confidences, language and warnings.

    Over the compact form of our workers, and over the one that version 0.1 spoke, which knows of no
    speech without words, and of one language.
    """
    if over is TranscriptFormat.VERBOSE_JSON:
        said = replace(said, speech=(), found_again=(), languages=())
    here = assemble(said, spoken, duration_s=duration, warnings=warnings)
    words = json.dumps(
        render(
            assemble(said, None, duration_s=duration, warnings=warnings),
            Form(over, timestamps=timestamps),
        )
    )
    heard = read_transcription(json.loads(words), language=None)
    turns = None
    if spoken is not None:
        answer = render(
            replace(replace(spoken, warnings=(*warnings, *spoken.warnings)), duration=duration),
            Form(DiarizationFormat.JSON),
        )
        turns = read_diarization(json.loads(json.dumps(answer)))
    there = assemble(heard.transcription, turns, duration_s=heard.duration)
    assert _bytes(render(there, Form(response_format, timestamps=timestamps))) == _bytes(
        render(here, Form(response_format, timestamps=timestamps))
    )


@given(said=transcriptions(), spoken=diarizations(), duration=st.floats(0, 4000))
def test_a_client_that_passes_the_exclusive_turns_on_gets_the_same_speakers(
    said: Transcription, spoken: Diarization, duration: float
) -> None:
    """Of every word and segment, as if one worker had made both: the diarization endpoint's
    `exclusive_segments`, sent to the transcription endpoint.
    """
    answer = render(replace(spoken, duration=duration), Form(DiarizationFormat.JSON))
    turns = json.loads(json.dumps(answer))["exclusive_segments"]
    asked = {"audio_url": "https://example.com/a.mp3", "diarization_segments": turns}
    mine = parse(TranscriptionInput, asked).turns or ()
    assume(mine)
    whole = assemble(said, spoken, duration_s=duration)
    merged = assemble(said, Diarization(mine, mine), duration_s=duration)
    form = Form(TranscriptFormat.JSON)
    assert render(merged, form)["segments"] == render(whole, form)["segments"]
    assert [one.speaker for one in merged.words] == [one.speaker for one in whole.words]


def _bytes(answer: object) -> str:
    return json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize("shift_s", [0.0, 1 / 3])
def test_what_answers_do_not_show_decides_nothing(shift_s: float) -> None:
    """Whether turns that meet within a millisecond overlap is the same before and behind the
    wire.
    """
    words = (Word(shift_s + 1.9, shift_s + 2.1, "yes"),)
    turns = (Turn(shift_s + 1, shift_s + 2.0004, "1"), Turn(shift_s + 2.0001, shift_s + 3, "2"))
    for diarization in (Diarization(turns, turns), Diarization(turns, ()), Diarization((), turns)):
        (word,) = assemble(Transcription(words), diarization, duration_s=4).words
        answer = render(replace(diarization, duration=4), Form(DiarizationFormat.JSON))
        assert assemble(Transcription(words), read_diarization(answer), duration_s=4).words == (
            word,
        )
        assert word.overlapped == (shift_s > 0 and bool(diarization.turns))


def test_a_language_that_was_asked_for_is_told_even_if_it_is_the_unknown_one() -> None:
    """`und` of a caller is a label; `und` of OpenAI's shape is none."""
    said = {"language": "und", "duration": 1.0, "words": []}
    assert read_transcription(said, language=None).transcription.language is None
    assert read_transcription(said, language="und").transcription.language == "und"


def test_a_warning_that_both_models_give_is_told_once() -> None:
    """Both decoded the same file."""
    transcript = assemble(
        Transcription((), warnings=("cut short", "no words")),
        Diarization((), (), ("cut short", "2 speakers")),
        duration_s=1,
    )
    assert transcript.warnings == ("cut short", "no words", "2 speakers")


# parts


@given(said=transcriptions(), cuts=st.lists(st.integers(0, 12), max_size=4).map(sorted))
def test_parts_joined_are_the_whole(said: Transcription, cuts: list[int]) -> None:
    """Wherever it was cut, also where a part has no words."""
    bounds = [0, *cuts, len(said.words)]
    parts = [replace(said, words=said.words[a:b], characters=()) for a, b in pairwise(bounds)]
    if not _has_doubles(said):
        joined = join_parts(parts)
        assert joined.words == said.words
        assert joined.language == said.language
        assert joined.warnings == tuple(dict.fromkeys(said.warnings)) or len(parts) == 1


def _has_doubles(said: Transcription) -> bool:
    return any(a.text == b.text and a.overlap(b) > 0 for a, b in pairwise(said.words))


def _part(*words: Word, language: str | None = "en") -> Transcription:
    return Transcription(
        words,
        tuple(Character(word.start, word.end, char) for word in words for char in word.text),
        language,
    )


def test_a_word_that_both_sides_of_a_seam_kept_is_said_once() -> None:
    """They differ by a frame about its times and by a stop; its characters go with it."""
    joined = join_parts(
        [
            _part(Word(9.0, 9.4, "we"), Word(9.52, 9.92, "went")),
            _part(Word(9.6, 10.0, "Went,"), Word(10.2, 10.6, "home.")),
        ]
    )
    assert [word.text for word in joined.words] == ["we", "went", "home."]
    assert "".join(one.text for one in joined.characters) == "wewenthome."


@pytest.mark.parametrize("second", [Word(9.92, 10.2, "no"), Word(9.52, 9.92, "not")])
def test_a_word_said_twice_is_kept_twice(second: Word) -> None:
    """One after the other, or another word."""
    joined = join_parts([_part(Word(9.52, 9.92, "no")), _part(second)])
    assert joined.words == (Word(9.52, 9.92, "no"), second)


def test_the_language_is_that_of_the_first_part_that_tells() -> None:
    """A silent part knows none."""
    assert (
        join_parts([_part(language=None), _part(language="de"), _part(language="en")]).language
        == "de"
    )


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_a_cancelled_job_gets_no_transcript(asked: int) -> None:
    """Whether it is cancelled before words and turns are put together or meanwhile."""
    words = tuple(Word(index, index + 0.5, "yes") for index in range(9))
    turns = (Turn(0, 9, "1"),)
    answers = iter([False] * (asked - 1) + [True])
    with pytest.raises(Cancelled):
        assemble(
            Transcription(words),
            Diarization(turns, turns),
            duration_s=9,
            cancelled=lambda: next(answers),
        )
