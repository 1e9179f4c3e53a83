"""Answers: every format read back by somebody else's reader, whatever the words are."""

from __future__ import annotations

import html
import io
import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.audio import TranscriptionDiarized, TranscriptionVerbose
from pyannote.database.util import load_rttm

from core import __version__
from core.domain.request import Task
from core.domain.timeline import Character, Diarization, Transcript, Turn, Word
from core.domain.usage import Usage
from core.transcript.segments import split_segments
from core.wire.form import DiarizationFormat, Form, TranscriptFormat
from core.wire.render import render

_HOSTILE = [
    *(
        "-->",
        "<i>",
        "</v>",
        "a<b",
        "&amp;",
        "R&D",
        "{\\an8}",
        "12",
        "00:00:01,000",
        "WEBVTT",
        "NOTE",
        "\n\n",
        "two\n\n\nlines",
    ),
    *(
        "tab\there",
        "\x00",
        "nul\x00l",
        "\u2028",
        "x" * 43,
        "y" * 200,
        "-->" * 30,
        "",
        " ",
        "ünïcödé",
        "日本語",
        "𝄞",
        "\u200d",
        "«Ja.»",
    ),
]
_ORDINARY = ["so,", "then", "we", "went", "home", "again.", "Yes!", "Really?", "No."]
_texts = st.one_of(st.sampled_from(_HOSTILE), st.text(max_size=12), st.sampled_from(_ORDINARY))
_speakers = st.one_of(
    st.none(), st.sampled_from(["1", "2", "SPEAKER_00", "Mr. <b> & --> Bean", "a\n\nb", "n" * 100])
)
_confidences = st.one_of(st.none(), st.floats(0, 1), st.just(math.nan))


@st.composite
def _transcripts(draw: st.DrawFn) -> Transcript:
    diarized = draw(st.booleans())
    words, start, speaker = [], draw(st.sampled_from([0.0, 3599.9, 400_000.0])), None
    for gap, length, text in draw(
        st.lists(st.tuples(st.floats(0, 3), st.floats(0, 12), _texts), max_size=16)
    ):
        start += gap
        speaker = draw(st.one_of(st.just(speaker), _speakers)) if diarized else None
        words.append(
            Word(
                start,
                start + length,
                text,
                draw(_confidences),
                speaker,
                None if speaker is None else 0.5,
            )
        )
        start += min(length, draw(st.sampled_from([length, length / 2])))
    return Transcript(
        start,
        tuple(words),
        split_segments(words),
        diarized=diarized,
        warnings=("mind the gap",) * draw(st.integers(0, 1)),
    )


def _transcript(
    text: str, *, each: float = 0.3, speaker: str | None = None, start: float = 0.0
) -> Transcript:
    words = tuple(
        Word(
            start + i * each,
            start + (i + 1) * each,
            word,
            0.9,
            speaker,
            None if speaker is None else 1.0,
        )
        for i, word in enumerate(text.split())
    )
    speakers = int(speaker is not None)
    return Transcript(
        60.0,
        words,
        split_segments(words),
        language="en",
        diarized=bool(speakers),
        num_speakers=speakers,
    )


def _render(
    transcript: Transcript, response_format: str, *, timestamps: bool = False
) -> dict[str, Any]:
    return render(transcript, Form(TranscriptFormat(response_format), timestamps=timestamps))


def _read_srt(transcript: Transcript) -> list[srt.Subtitle]:
    return list(srt.parse(str(_render(transcript, "srt")["srt"]), ignore_errors=False))


def _read_vtt(transcript: Transcript) -> list[webvtt.Caption]:
    return list(
        webvtt.from_buffer(io.StringIO(str(_render(transcript, "vtt")["vtt"])), format="vtt")
    )


def _letters(text: str) -> str:
    """What is written, without what a subtitle may leave out (white space, control characters) or
    must replace.
    """
    shown = text.translate(str.maketrans("<>{}", "‹›()"))
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]", "", shown)


# the common part


@pytest.mark.parametrize("response_format", list(TranscriptFormat))
def test_every_answer_has_the_common_part(response_format: TranscriptFormat) -> None:
    """Text, language, duration, success and warnings stand in each format."""
    transcript = replace(_transcript("Hello there.", speaker="1"), warnings=("mind the gap",))
    answer = _render(transcript, response_format)
    assert {
        name: answer[name]
        for name in ("success", "text", "language", "duration", "warnings", "num_speakers")
    } == {
        "success": True,
        "text": "Hello there.",
        "language": "en",
        "duration": 60.0,
        "warnings": ["mind the gap"],
        "num_speakers": 1,
    }


@pytest.mark.parametrize("response_format", list(TranscriptFormat))
def test_a_recording_without_words_renders_in_every_format(
    response_format: TranscriptFormat,
) -> None:
    """Silence is an answer too."""
    answer = _render(Transcript(3.0, (), ()), response_format, timestamps=True)
    assert answer["text"] == ""
    assert answer["timestamps"] == {"word": [], "segment": [], "char": []}
    assert list(srt.parse(answer.get("srt", ""))) == []


@given(_transcripts(), st.sampled_from(list(TranscriptFormat)), st.booleans())
def test_every_answer_survives_json(
    transcript: Transcript, response_format: TranscriptFormat, timestamps: bool
) -> None:
    """Nothing but plain JSON: no NaN, no tuple, no enum."""
    answer = render(transcript, Form(response_format, timestamps=timestamps))
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


@given(_transcripts(), st.sampled_from(["json", "verbose_json", "diarized_json"]))
def test_every_word_stands_in_the_json_formats_in_order(
    transcript: Transcript, response_format: str
) -> None:
    """In the words, and in the segments' text."""
    answer = _render(transcript, response_format, timestamps=True)
    texts = [word.text for word in transcript.words]
    assert [word["text"] for word in answer["timestamps"]["word"]] == texts
    segments = answer.get("segments", [{"text": answer["text"]}])
    # Japanese words have no blank between them.
    unspaced = "".join(texts).replace(" ", "")
    assert answer["text"].replace(" ", "") == unspaced
    assert "".join(segment["text"] for segment in segments).replace(" ", "") == unspaced
    assert [word["word"] for word in answer.get("words", [])] == (
        [] if response_format == "json" else texts
    )


def test_times_have_three_decimals() -> None:
    """Thirds of a second are cut where nobody hears them."""
    words = (Word(1 / 3, 2 / 3, "third"),)
    answer = _render(Transcript(10 / 3, words, split_segments(words)), "json", timestamps=True)
    assert answer["duration"] == 3.333
    assert answer["timestamps"]["word"] == [{"start": 0.333, "end": 0.667, "text": "third"}]


def test_timestamps_hold_words_segments_and_characters() -> None:
    """Each with its own name for what was said."""
    transcript = replace(
        _transcript("Hi. Yes."), characters=(Character(0, 0.1, "H"), Character(0.1, 0.3, "i"))
    )
    assert _render(transcript, "json", timestamps=True)["timestamps"] == {
        "word": [
            {"start": 0.0, "end": 0.3, "text": "Hi."},
            {"start": 0.3, "end": 0.6, "text": "Yes."},
        ],
        "segment": [
            {"start": 0.0, "end": 0.3, "segment": "Hi."},
            {"start": 0.3, "end": 0.6, "segment": "Yes."},
        ],
        "char": [{"start": 0, "end": 0.1, "char": "H"}, {"start": 0.1, "end": 0.3, "char": "i"}],
    }
    assert "timestamps" not in _render(transcript, "json")


# json, verbose_json, diarized_json, text


def test_json_has_segments_where_speakers_were_asked_for() -> None:
    """Who said what, when; nothing of it without diarization."""
    assert _render(_transcript("Hi. Yes.", speaker="2"), "json")["segments"] == [
        {"start": 0.0, "end": 0.3, "speaker": "2", "text": "Hi."},
        {"start": 0.3, "end": 0.6, "speaker": "2", "text": "Yes."},
    ]
    assert set(_render(_transcript("Hi. Yes."), "json")) == {
        "success",
        "text",
        "language",
        "language_confidence",
        "duration",
        "coverage",
        "warnings",
        "version",
    }


def test_text_has_the_text_alone() -> None:
    """And the common part."""
    assert set(_render(_transcript("Hi."), "text")) == {
        "success",
        "text",
        "language",
        "language_confidence",
        "duration",
        "coverage",
        "warnings",
        "version",
    }


@pytest.mark.parametrize("task", list(Task))
def test_verbose_json_names_the_task(task: Task) -> None:
    """OpenAI's field says whether the text is a translation."""
    form = Form(TranscriptFormat.VERBOSE_JSON, task=task)
    assert render(_transcript("Hi."), form)["task"] == task.value


USAGE = Usage(2.5, "example/model", {"download": 0.1, "speech": 1.25})


def test_usage_is_in_every_answer() -> None:
    """With the seconds of each kind of work, in whatever format, and from both kinds of worker."""
    told = {
        "seconds_of_audio": 2.5,
        "seconds": {"download": 0.1, "speech": 1.25},
        "model": "example/model",
        "version": __version__,
    }
    transcript = replace(_transcript("Hi."), usage=USAGE)
    ours = {*TranscriptFormat} - {TranscriptFormat.VERBOSE_JSON, TranscriptFormat.DIARIZED_JSON}
    for one in ours:
        assert _render(transcript, one)["usage"] == told, one
    for kind in DiarizationFormat:
        assert render(Diarization((), (), usage=USAGE), Form(kind))["usage"] == told


@pytest.mark.parametrize("name", ["verbose_json", "diarized_json"])
def test_usage_in_openais_shapes_is_openais(name: str) -> None:
    """Their `seconds` is the number that their types want; the kinds of work are beside it."""
    answer = _render(replace(_transcript("Hi."), usage=USAGE), name)
    kind = TranscriptionVerbose if name == "verbose_json" else TranscriptionDiarized
    assert kind.model_validate(answer, strict=True).usage.seconds == 2.5
    assert answer["usage"]["stages"] == {"download": 0.1, "speech": 1.25}
    assert answer["usage"]["model"] == "example/model"


@given(_transcripts())
def test_openais_client_reads_verbose_json(transcript: Transcript) -> None:
    """The official types accept it, strictly, and see the same words."""
    read = TranscriptionVerbose.model_validate(_render(transcript, "verbose_json"), strict=True)
    assert [word.word for word in read.words or []] == [word.text for word in transcript.words]
    assert [segment.id for segment in read.segments or []] == list(range(len(transcript.segments)))


@given(_transcripts())
def test_openais_client_reads_diarized_json(transcript: Transcript) -> None:
    """The official types accept it, strictly; where nobody is known to speak the speaker is
    «unknown».
    """
    read = TranscriptionDiarized.model_validate(_render(transcript, "diarized_json"), strict=True)
    assert [segment.speaker for segment in read.segments] == [
        segment.speaker or "unknown" for segment in transcript.segments
    ]
    assert len({segment.id for segment in read.segments}) == len(transcript.segments)


def test_a_verbose_word_says_who_and_how_sure() -> None:
    """With diarization; without, none of the speaker's fields."""
    word = Word(0, 0.5, "Hi.", 0.87654, "1", 2 / 3, overlapped=True)
    transcript = Transcript(1.0, (word,), split_segments([word]), diarized=True)
    assert _render(transcript, "verbose_json")["words"] == [
        {
            "word": "Hi.",
            "start": 0,
            "end": 0.5,
            "confidence": 0.877,
            "speaker": "1",
            "speaker_confidence": 0.667,
            "overlap": True,
            "nearest": False,
        }
    ]
    assert set(_render(replace(transcript, diarized=False), "verbose_json")["words"][0]) == {
        "word",
        "start",
        "end",
        "confidence",
    }


def test_a_word_of_nobody_stays_without_speaker() -> None:
    """Null on the wire, in words and in segments."""
    word = Word(0, 0.5, "hm")
    answer = _render(
        Transcript(1.0, (word,), split_segments([word]), diarized=True), "verbose_json"
    )
    assert answer["words"][0]["speaker"] is None
    assert answer["segments"][0]["speaker"] is None


def test_a_segments_logprob_is_the_mean_of_its_words() -> None:
    """By the logarithm of their confidences; 0 where the model gives none."""
    words = (Word(0, 1, "so", 0.5), Word(1, 2, "what", 0.25), Word(2, 3, "now", math.nan))
    segment = _render(Transcript(3.0, words, split_segments(words)), "verbose_json")["segments"][0]
    assert segment["avg_logprob"] == pytest.approx((math.log(0.5) + math.log(0.25)) / 2, abs=1e-3)
    bare = tuple(replace(word, confidence=None) for word in words)
    assert (
        _render(Transcript(3.0, bare, split_segments(bare)), "verbose_json")["segments"][0][
            "avg_logprob"
        ]
        == 0.0
    )


# srt, vtt


@given(_transcripts())
@example(_transcript("x" * 200 + " --> <b> & {c} 1", speaker="n" * 100))
def test_srt_is_read_back_with_every_word_in_order(transcript: Transcript) -> None:
    """By the `srt` package, which takes no malformed cue."""
    read = "".join(_letters(_without_label(cue.content)) for cue in _read_srt(transcript))
    assert read == _letters("".join(word.text for word in transcript.words))


def _without_label(content: str) -> str:
    labels = (
        "Speaker 1:",
        "Speaker 2:",
        "SPEAKER_00:",
        "Mr. ‹b› & --› Bean:",
        "a b:",
        "n" * 23 + "…:",
    )
    return next(
        (content.removeprefix(label) for label in labels if content.startswith(label)), content
    )


@given(_transcripts())
@example(_transcript("x" * 200 + " --> <b> & {c} 1", speaker="n" * 100))
def test_vtt_is_read_back_with_every_word_in_order(transcript: Transcript) -> None:
    """By `webvtt-py`, and by a browser's rules for entities."""
    read = "".join(
        _letters(html.unescape(re.sub(r"^<v [^>]*>", "", cue.raw_text)))
        for cue in _read_vtt(transcript)
    )
    assert read == _letters("".join(word.text for word in transcript.words))


@given(_transcripts())
def test_srt_cues_can_be_read_on_a_screen(transcript: Transcript) -> None:
    """At most two lines of 42 characters for at most seven seconds, one after the other."""
    cues = _read_srt(transcript)
    for cue in cues:
        _check_lines(cue.content)
        assert 0 < (cue.end - cue.start).total_seconds() <= 7
    assert all(one.end <= other.start for one, other in pairwise(cues))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))


@given(_transcripts())
def test_vtt_cues_can_be_read_on_a_screen(transcript: Transcript) -> None:
    """The same limits, counted as a viewer sees them."""
    cues = _read_vtt(transcript)
    for cue in cues:
        _check_lines(html.unescape(re.sub(r"^<v [^>]*>", "", cue.raw_text)))
    times = [(_seconds(cue.start), _seconds(cue.end)) for cue in cues]
    assert all(0 < end - start < 7.0005 for start, end in times)
    assert all(end <= start for (_, end), (start, _) in pairwise(times))


def _check_lines(text: str) -> None:
    lines = text.split("\n")
    assert len(lines) <= 2
    assert all(0 < len(line) <= 42 for line in lines)


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_a_cue_holds_one_speaker() -> None:
    """A change of speaker is a new cue, in srt by a label and in vtt by a voice."""
    words = (
        Word(0, 1, "so", speaker="1"),
        Word(1, 2, "what", speaker="2"),
        Word(2, 3, "hm", speaker=None),
    )
    transcript = Transcript(3.0, words, split_segments(words), diarized=True)
    assert [cue.content for cue in _read_srt(transcript)] == [
        "Speaker 1: so",
        "Speaker 2: what",
        "hm",
    ]
    assert [(cue.voice, cue.text) for cue in _read_vtt(transcript)] == [
        ("Speaker 1", "so"),
        ("Speaker 2", "what"),
        (None, "hm"),
    ]


def test_a_speaker_with_a_name_is_called_by_it() -> None:
    """A caller's own turns may have names in them."""
    assert _read_srt(_transcript("Hi.", speaker="Alice"))[0].content == "Alice: Hi."


def test_cues_carry_the_times_of_their_words() -> None:
    """A sentence too long for one cue is cut between words, each part with its own times."""
    text = (
        "we went along the river until it was dark, "
        "and then we came back through the wood with the others"
    )
    one, two = _read_srt(_transcript(text, each=0.25))
    assert one.content.replace("\n", " ").endswith("dark,")
    assert (one.start.total_seconds(), one.end.total_seconds()) == (0, 2.25)
    assert (two.start.total_seconds(), two.end.total_seconds()) == (2.25, 5)


def test_a_short_word_stays_long_enough_to_be_read() -> None:
    """Into the silence after it, and if there is too little into the silence before it."""
    words = (Word(0.1, 0.2, "Yes."), Word(4, 4.1, "No."), Word(9.5, 9.6, "Why?"))
    cues = _read_srt(Transcript(10.0, words, split_segments(words)))
    assert [(cue.start.total_seconds(), cue.end.total_seconds()) for cue in cues] == [
        (0.1, 0.933),
        (4, 4.833),
        (9.167, 10),
    ]


def test_a_word_that_lasts_for_minutes_is_shown_for_seven_seconds() -> None:
    """Whatever end the model gave it."""
    words = (Word(0, 200, "so"),)
    (cue,) = _read_srt(Transcript(200.0, words, split_segments(words)))
    assert cue.end.total_seconds() == 7


def test_hours_may_have_three_digits() -> None:
    """A camera that ran for days."""
    transcript = replace(_transcript("Hi.", start=400_000.5), duration=400_002.0)
    assert "111:06:40,500 --> 111:06:41,333" in _render(transcript, "srt")["srt"]
    assert _read_vtt(transcript)[0].start == "111:06:40.500"


def test_two_lines_are_about_as_long_as_each_other() -> None:
    """No single word on a line of its own."""
    (cue,) = _read_srt(_transcript("the quick brown fox jumps over the lazy dogs", each=0.2))
    assert cue.content.split("\n") == ["the quick brown fox", "jumps over the lazy dogs"]


# diarization


def test_diarization_json_has_both_kinds_of_turns() -> None:
    """With the count of speakers and the length of the file."""
    diarization = Diarization(
        (Turn(0, 2, "1"), Turn(1, 3.3333, "2")),
        (Turn(0, 2, "1"), Turn(2, 3.3333, "2")),
        warnings=("forced",),
    )
    assert render(replace(diarization, duration=60.12345), Form(DiarizationFormat.JSON)) == {
        "success": True,
        "duration": 60.123,
        "num_speakers": 2,
        "warnings": ["forced"],
        "segments": [
            {"start": 0, "end": 2, "speaker": "1"},
            {"start": 1, "end": 3.333, "speaker": "2"},
        ],
        "exclusive_segments": [
            {"start": 0, "end": 2, "speaker": "1"},
            {"start": 2, "end": 3.333, "speaker": "2"},
        ],
        "version": __version__,
    }


_turns = st.lists(
    st.builds(
        lambda start, length, speaker: Turn(start, start + length, speaker),
        *(st.floats(0, 4e5), st.floats(0, 100), st.sampled_from(["1", "2", "Mr. Bean"])),
    ),
    max_size=10,
).map(lambda turns: tuple(sorted(turns, key=lambda turn: (turn.start, turn.end))))


@given(turns=_turns)
def test_rttm_is_read_back_by_pyannote(
    tmp_path_factory: pytest.TempPathFactory, turns: tuple[Turn, ...]
) -> None:
    """The same turns, to the millisecond; blanks in a name become underscores."""
    answer = render(replace(Diarization(turns, ()), duration=60.0), Form(DiarizationFormat.RTTM))
    path: Path = tmp_path_factory.mktemp("rttm") / "recording.rttm"
    path.write_text(str(answer["rttm"]))
    expected = sorted(
        (round(turn.start, 3), round(turn.end, 3), turn.speaker.replace(" ", "_")) for turn in turns
    )
    expected = [turn for turn in expected if turn[1] > turn[0]]
    read = load_rttm(path).get("recording") if expected else None
    found = (
        sorted(
            (segment.start, segment.end, label)
            for segment, _, label in read.itertracks(yield_label=True)
        )
        if read
        else []
    )
    assert [label for *_, label in found] == [label for *_, label in expected]
    assert [time for *times, _ in found for time in times] == pytest.approx(
        [time for *times, _ in expected for time in times], abs=1e-6
    )


def test_rttm_lines_have_the_ten_fields_of_the_format() -> None:
    """SPEAKER, file, channel, onset, length, four times nothing but the name."""
    answer = render(
        replace(Diarization((Turn(0.5, 2, "1"),), ()), duration=60.0), Form(DiarizationFormat.RTTM)
    )
    assert answer["rttm"] == "SPEAKER recording 1 0.500 1.500 <NA> <NA> 1 <NA> <NA>\n"
    assert "segments" not in answer
