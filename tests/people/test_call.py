"""The single worker on a telephone call of two women: Whisper base and real speaker models, asked
over HTTP.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jiwer
import pytest
import srt
import webvtt
from openai.types.audio import TranscriptionDiarized, TranscriptionVerbose

from bench.people import Truth, score_speakers, score_words
from tests.media import CODECS, ffmpeg
from tests.people.asking import Worker
from training.dialogues import SpokenWord

pytestmark = pytest.mark.people

FORMATS = ("wav", "mp3", "opus")


def plain(text: str) -> str:
    """Return the words in lower case, without punctuation."""
    return " ".join(re.findall(r"[\w']+", text.lower()))


def labelled(answer: dict[str, Any]) -> list[SpokenWord]:
    """Return the words of an answer with their speakers."""
    return [
        SpokenWord(one["word"], one["start"], one["end"], one["speaker"] or "")
        for one in answer["words"]
    ]


@pytest.fixture(scope="module")
def truth(call: Path) -> Truth:
    """What is said in the call, by whom."""
    return Truth.of(call)


@pytest.fixture(scope="module")
def heard(single: Worker, call: Path) -> dict[str, Any]:
    """The whole answer about the call."""
    return single.output(call, response_format="verbose_json", timestamps=True)


def test_the_words_are_those_of_the_call(heard: dict[str, Any], truth: Truth) -> None:
    """At most a fifth of them is wrong."""
    wer = score_words(truth, labelled(heard))["WER"]
    assert wer.errors / wer.of <= 0.20
    assert heard["language"] == "en"


def test_each_word_has_the_woman_who_said_it(heard: dict[str, Any], truth: Truth) -> None:
    """Under the best names, at most a quarter of the words is wrong or somebody else's."""
    cp = score_speakers(truth, labelled(heard))["cpWER"]
    assert heard["num_speakers"] == 2
    assert cp.errors / cp.of <= 0.25


def test_words_are_where_they_are_said(heard: dict[str, Any], truth: Truth) -> None:
    """Each right word lies within a second of its line, and none outside of the recording."""
    found = labelled(heard)
    lines = jiwer.process_words(
        " ".join(plain(word.text) for word in truth.words),
        " ".join(plain(word.text) for word in found),
    )
    pairs = [
        (truth.words[chunk.ref_start_idx + i], found[chunk.hyp_start_idx + i])
        for chunk in lines.alignments[0]
        if chunk.type == "equal"
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    assert len(pairs) >= 50
    assert max(abs(one.start - other.start) for one, other in pairs) <= 1.0
    assert all(0 <= word.start <= word.end <= heard["duration"] for word in found)


@pytest.mark.parametrize("ending", FORMATS)
def test_the_call_in_each_encoding_reads_the_same(
    ending: str, single: Worker, call: Path, heard: dict[str, Any], tmp_path: Path
) -> None:
    """As wav, mp3 and opus: hardly a word differs, and the two women are found."""
    encoded = tmp_path / f"call.{ending}"
    ffmpeg("-i", call, *CODECS[ending], encoded)
    answer = single.output(encoded)
    assert jiwer.wer(plain(heard["text"]), plain(answer["text"])) <= 0.10
    assert answer["num_speakers"] == 2


def test_srt_is_read_back(single: Worker, call: Path, heard: dict[str, Any]) -> None:
    """A reader that is not ours finds all words, in order of time, with both speakers."""
    cues = list(srt.parse(single.output(call, response_format="srt")["srt"]))
    said = " ".join(re.sub(r"^[^:]{1,20}: ", "", cue.content) for cue in cues)
    assert plain(said) == plain(heard["text"])
    assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)
    assert cues[-1].end.total_seconds() <= heard["duration"] + 0.01
    assert len({cue.content.split(":")[0] for cue in cues}) == 2


def test_vtt_is_read_back(single: Worker, call: Path, heard: dict[str, Any]) -> None:
    """Another reader that is not ours finds the same."""
    cues = webvtt.from_string(single.output(call, response_format="vtt")["vtt"])
    assert plain(" ".join(cue.text for cue in cues)) == plain(heard["text"])
    assert len({cue.voice for cue in cues}) == 2


def test_openai_s_types_read_the_answers(single: Worker, call: Path, heard: dict[str, Any]) -> None:
    """`diarized_json` and `verbose_json` are what the official client takes them for."""
    diarized = single.output(call, response_format="diarized_json")
    assert TranscriptionVerbose.model_validate(heard).words
    speakers = {one.speaker for one in TranscriptionDiarized.model_validate(diarized).segments}
    assert speakers == {"1", "2"}


def test_text_and_json_agree(single: Worker, call: Path, heard: dict[str, Any]) -> None:
    """The plain forms have the text of the whole one."""
    assert plain(single.output(call, response_format="json")["text"]) == plain(heard["text"])
    said = single.output(call, response_format="text")["text"]
    assert all(line in plain(said) for line in map(plain, heard["text"].split(". ")))


def test_a_part_of_the_call_has_the_recording_s_times(
    single: Worker, call: Path, heard: dict[str, Any]
) -> None:
    """From 10 to 20 s: words of those seconds, and of no others."""
    answer = single.output(call, response_format="verbose_json", start=10, end=20)
    assert all(10 <= word["start"] <= word["end"] <= 20 for word in answer["words"])
    said = plain(" ".join(w["word"] for w in heard["words"] if w["start"] >= 10 and w["end"] <= 20))
    assert jiwer.wer(said, plain(answer["text"])) <= 0.25


def test_a_reading_is_word_for_word(single: Worker, reading: Path) -> None:
    """A clear voice, one sentence of 22 words: at most one is wrong."""
    answer = single.output(reading, response_format="verbose_json")
    wer = score_words(Truth.of(reading), labelled(answer))["WER"]
    assert wer.errors <= 1
    assert answer["num_speakers"] == 1
