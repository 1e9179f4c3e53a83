"""Voices of the embedded pipeline: of speakers in recordings, and of people who are made known."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from core.domain.parts import Likeness
from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Span, Voice
from core.errors import Cancelled, InvalidRequest, VoiceTooShort
from core.flows.load import load_diarization
from core.media.audio import SAMPLE_RATE, Samples, Waveform
from core.modelstore import ModelLocation, find_diarization_model
from core.settings import Settings
from core.speakers.identify import KnownVoice, Matching, identify
from core.speakers.joining import join_parts
from core.speakers.matching import linking_of, matching_of
from core.speakers.pyannote import MOST_SAMPLE_S, PyannoteDiarizer
from core.speakers.shares import Share
from tests import golden
from tests.core.speakers.calls import diarize
from tests.hearing import read

EXAMPLE = Path("examples/dialogue.mp3")
"""Three people, 54 s."""


@pytest.fixture(scope="module")
def halves() -> tuple[Waveform, Waveform]:
    """The two halves of the example, each a recording of the same three people."""
    samples = read(EXAMPLE).samples
    middle = len(samples) // 2
    return Waveform(samples[:middle], 0.0), Waveform(samples[middle:], 0.0)


@pytest.fixture(scope="module")
def heard(
    diarizer: PyannoteDiarizer, halves: tuple[Waveform, Waveform]
) -> tuple[Diarization, Diarization]:
    """Who speaks in each of them, with voices."""
    first, second = (diarize(diarizer, half, voices=True) for half in halves)
    return first, second


def spoken_by(dialogue: golden.Golden, speaker: str) -> Samples:
    """Return all that one speaker says, one piece after the other."""
    samples = dialogue.waveform.samples
    return np.concatenate(
        [
            samples[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)]
            for turn in dialogue.turns
            if turn.speaker == speaker
        ]
    )


def voice(diarizer: PyannoteDiarizer, samples: Samples) -> tuple[Voice, tuple[str, ...]]:
    """Return the voice in some samples, and what is doubtful about it."""
    return diarizer.voice(Waveform(samples, 0.0), cancelled=lambda: False)


def cosine(one: Voice, other: Voice) -> float:
    """How alike two voices are."""
    return float(np.dot(one.vector, other.vector))


def test_voices_change_nothing_else(
    diarizer: PyannoteDiarizer, dialogue: golden.Golden, answer: Diarization
) -> None:
    """Turns and warnings are those of a run without them."""
    with_voices = diarize(diarizer, dialogue.waveform, voices=True)
    assert replace(with_voices, voices=None) == answer


def test_each_speaker_has_a_vector_of_length_one(heard: tuple[Diarization, Diarization]) -> None:
    """In the order of their numbers, made of no more than they say alone."""
    for diarization in heard:
        voices = diarization.voices or ()
        assert [one.speaker for one in voices] == ["1", "2", "3"]
        for one in voices:
            assert np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-4)
            said = [turn for turn in diarization.exclusive_turns if turn.speaker == one.speaker]
            assert 2 < one.seconds <= sum(turn.duration for turn in said) + 0.1


def test_people_are_known_again_in_another_part_of_a_recording(
    diarizer: PyannoteDiarizer,
    halves: tuple[Waveform, Waveform],
    heard: tuple[Diarization, Diarization],
) -> None:
    """Each person has one number in both halves, though no part hears anything of the other."""
    likeness = Likeness(diarizer.linking, diarizer.matching.threshold, diarizer.matching.margin)
    parts, start = [], 0.0
    for index, (half, found) in enumerate(zip(halves, heard, strict=True)):
        own = Span(start, start + half.duration)
        turns, exclusive = (
            tuple(replace(one, start=one.start + start, end=one.end + start) for one in several)
            for several in (found.turns, found.exclusive_turns)
        )
        moved = replace(found, turns=turns, exclusive_turns=exclusive)
        part = Share(own, own, index, len(halves)).trimmed(moved)
        parts.append(replace(part, likeness=likeness, duration=own.end))
        start = own.end
    whole = join_parts(parts, SpeakerCount())
    names: Counter[tuple[str, str]] = Counter()
    for one in json.loads(EXAMPLE.with_suffix(".json").read_text())["turns"]:
        for turn in whole.turns:
            both_s = turn.overlap(Span(one["start"], one["end"]))
            names[one["speaker"], turn.speaker] += round(1000 * both_s)
    best = {person: number for (person, number), _ in reversed(names.most_common())}
    assert sorted(best.values()) == ["1", "2", "3"]
    assert sum(names[pair] for pair in best.items()) > 0.85 * names.total()


def test_two_voices_of_one_recording_are_recognised_in_another(
    diarizer: PyannoteDiarizer, heard: tuple[Diarization, Diarization]
) -> None:
    """By name, in the order in which they speak there; the third person keeps a number."""
    first, second = heard
    assert first.voices
    names = [KnownVoice("Ada", first.voices[0]), KnownVoice("Grace", first.voices[1])]
    named = identify(second, names, diarizer.matching)
    assert [one.speaker for one in named.voices or ()] == ["1", "Ada", "Grace"]
    (warning,) = named.warnings
    assert warning.startswith("speaker 1 has no name: ")


def test_nobody_is_recognised_among_strangers(
    diarizer: PyannoteDiarizer, dialogue: golden.Golden, heard: tuple[Diarization, Diarization]
) -> None:
    """Two other people keep their numbers, each with a warning."""
    names = [KnownVoice(f"Ada {one.speaker}", one) for one in heard[0].voices or ()]
    named = identify(diarize(diarizer, dialogue.waveform, voices=True), names, diarizer.matching)
    assert {turn.speaker for turn in named.turns} == {"1", "2"}
    assert len(named.warnings) == 2


def test_a_recording_of_a_voice_is_like_the_voice_in_a_dialogue(
    diarizer: PyannoteDiarizer, dialogue: golden.Golden
) -> None:
    """Closer to its own speaker than the threshold, and to the other's far below."""
    found = diarize(diarizer, dialogue.waveform, voices=True).voices or ()
    for own, other, name in ((*found, "A"), (*found[::-1], "B")):
        sample, doubts = voice(diarizer, spoken_by(dialogue, name))
        assert doubts == ()
        assert cosine(sample, own) > diarizer.matching.threshold > cosine(sample, other) + 0.2
        assert sample.speaker is None


@pytest.mark.parametrize("seconds", [0, 0.01, 5])
def test_silence_is_no_voice(diarizer: PyannoteDiarizer, seconds: float) -> None:
    """Nor is nothing at all."""
    with pytest.raises(VoiceTooShort, match=r"has 0\.0 s of speech by one person alone"):
        voice(diarizer, np.zeros(int(seconds * SAMPLE_RATE), np.float32))


def test_too_little_speech_is_no_voice(diarizer: PyannoteDiarizer, dialogue: golden.Golden) -> None:
    """The sentence says how much there is, and how much it takes."""
    with pytest.raises(VoiceTooShort, match=r"has 1\.\d s of speech .* at least 2 s are needed"):
        voice(diarizer, spoken_by(dialogue, "B")[: int(1.8 * SAMPLE_RATE)])


@pytest.mark.parametrize("seconds", [2, 4])
def test_a_dialogue_is_no_recording_of_one_voice(
    diarizer: PyannoteDiarizer, dialogue: golden.Golden, seconds: int
) -> None:
    """Two people make a warning, within the seconds of a window or one after the other."""
    turns = [spoken_by(dialogue, name)[: 4 * SAMPLE_RATE] for name in ("A", "B")]
    length = seconds * SAMPLE_RATE
    starts = range(0, 4 * SAMPLE_RATE, length)
    pieces = [turn[at : at + length] for at in starts for turn in turns]
    _, doubts = voice(diarizer, np.concatenate(pieces))
    assert doubts == ("more than one voice seems to be in the audio; give one of one person alone",)


def test_no_more_is_heard_than_it_takes(
    diarizer: PyannoteDiarizer, dialogue: golden.Golden
) -> None:
    """Of a minute of speech, half a minute and the window that completes it."""
    minute = np.tile(spoken_by(dialogue, "B"), 6)[: 60 * SAMPLE_RATE]
    sample, _ = voice(diarizer, minute)
    assert MOST_SAMPLE_S - 1 < sample.seconds < MOST_SAMPLE_S + 4


def test_listening_to_a_voice_can_be_cancelled(
    diarizer: PyannoteDiarizer, dialogue: golden.Golden
) -> None:
    """It ends at the next batch."""
    with pytest.raises(Cancelled):
        diarizer.voice(dialogue.waveform, cancelled=lambda: True)


def test_vectors_that_cannot_be_compared_are_refused(
    diarizer: PyannoteDiarizer, heard: tuple[Diarization, Diarization]
) -> None:
    """Of another model, or of another length; those that the model made are taken."""
    assert heard[0].voices
    own = heard[0].voices[0]
    diarizer.check(own)
    with pytest.raises(InvalidRequest, match="of the model other-1, and the worker has XVector"):
        diarizer.check(replace(own, model="other-1"))
    with pytest.raises(InvalidRequest, match=r"has 12 numbers, and those of .* have 128"):
        diarizer.check(replace(own, vector=own.vector[:12]))


def test_a_model_is_known_by_its_weights(tmp_path: Path) -> None:
    """A copy in a folder of another name has its id, and what its configuration says of voices."""
    here = find_diarization_model("embedded")
    shutil.copytree(here.path, tmp_path / "copy")
    config = yaml.safe_load((tmp_path / "copy/config.yaml").read_text())
    config["known_speakers"] = {"threshold": 0.3, "margin": 0}
    (tmp_path / "copy/config.yaml").write_text(yaml.safe_dump(config))
    location = ModelLocation(tmp_path / "copy", "a test", "pyannote")
    copy = PyannoteDiarizer(location, device="cpu", speed="fast", margin=0.25)
    assert copy.matching == Matching(0.3, 0.25)
    samples = golden.load("sentences").waveform.samples
    fast, exact = voice(copy, samples)[0], voice(PyannoteDiarizer(here, device="cpu"), samples)[0]
    assert fast.model == exact.model
    assert cosine(fast, exact) > 0.99


def test_the_operator_overrules_the_model() -> None:
    """With the settings of that name; what is not set stays the model's."""
    settings = Settings(diarization_model_id="embedded", known_speaker_threshold=0.5)
    assert load_diarization(settings).diarizer.matching == Matching(0.5, 0.05)


@pytest.mark.parametrize(
    "said", [None, {"threshold": 0.5}, {"threshold": 2, "margin": 0.1}, ["threshold"]]
)
def test_a_configuration_that_says_nothing_of_voices_gets_the_default(
    tmp_path: Path, said: object
) -> None:
    """As one of pyannote's own does."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"known_speakers": said}))
    assert matching_of(tmp_path) == Matching(0.6, 0.1)
    assert linking_of(tmp_path) == 0.5


def test_a_configuration_says_when_two_parts_have_one_person(tmp_path: Path) -> None:
    """Or that is where a name would be, less the margin."""
    said = {"threshold": 0.9, "margin": 0.25}
    for linking, meant in ((0.7, 0.7), (2, 0.65)):
        config = {"known_speakers": said | {"linking": linking}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        assert linking_of(tmp_path) == meant
