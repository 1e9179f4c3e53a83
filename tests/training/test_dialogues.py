"""Dialogues of synthetic people: the truth about them must be true, since models are trained and
measured on it.
"""

from __future__ import annotations

import itertools
import random
import shutil

import numpy as np
import pytest

from training.conversations import Conversations
from training.dialogues import (
    SAMPLE_RATE,
    Manner,
    SpeakerTurn,
    arrange,
    coloured_noise,
    converse,
    draw_voices,
    make_dialogue,
    overlap_share,
    read_reference,
    room_response,
    speech_spans,
    tell_apart,
    write_dialogue,
)
from training.voices import TimedWord, Utterance, Voice


class Beeper:
    """A person whose every word is a tone of half a second, with 0.1 s between words."""

    def __init__(self, tone_hz: float) -> None:
        self._tone_hz = tone_hz

    def say(self, short: bool) -> Utterance:
        """One tone for a short answer, else six."""
        count = 1 if short else 6
        time_s = np.arange(int(0.6 * count * SAMPLE_RATE)) / SAMPLE_RATE
        sounding = time_s % 0.6 < 0.5
        samples = np.where(sounding, 0.5 * np.sin(2 * np.pi * self._tone_hz * time_s), 0).astype(
            np.float32
        )
        return Utterance(
            samples, tuple(TimedWord("beep", 0.6 * i, 0.6 * i + 0.5) for i in range(count))
        )


@pytest.fixture
def rng():
    """Chance, fixed."""
    return np.random.default_rng(7)


@pytest.fixture
def dialogue(rng):
    """A minute of three people."""
    return converse([Beeper(300), Beeper(500), Beeper(800)], 60.0, Manner(), rng)


def test_everybody_speaks(dialogue):
    """Everybody who takes part says at least two full turns."""
    words = [sum(word.speaker == name for word in dialogue.words) for name in "ABC"]
    assert min(words) >= 12


def test_nobody_talks_over_themselves(rng):
    """No person begins an utterance before their last one has ended."""
    for _ in range(20):
        placed = arrange(
            [Beeper(300), Beeper(500)],
            60.0,
            Manner(cut_in_probability=0.9, backchannel_probability=0.9),
            rng,
        )
        for speaker in (0, 1):
            own = sorted((turn.start, turn.end) for turn in placed if turn.speaker == speaker)
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(own))


def test_words_lie_inside_the_recording_and_in_order(dialogue):
    """Words are sorted, and none ends after the recording."""
    starts = [word.start for word in dialogue.words]
    assert starts == sorted(starts)
    assert max(word.end for word in dialogue.words) <= dialogue.duration_s


def test_turns_cover_exactly_the_words(dialogue):
    """Each word lies in one turn of its speaker, and each turn begins and ends with a word."""
    for word in dialogue.words:
        around = [
            t
            for t in dialogue.turns
            if t.speaker == word.speaker and t.start <= word.start and word.end <= t.end
        ]
        assert len(around) == 1
    starts = {(word.start, word.speaker) for word in dialogue.words}
    assert all((turn.start, turn.speaker) in starts for turn in dialogue.turns)


def test_there_is_sound_where_the_reference_says_speech(rng):
    """The recording is louder in the reference's turns than outside of them."""
    dialogue = converse([Beeper(300), Beeper(500)], 60.0, Manner(), rng)
    spoken = np.zeros(len(dialogue.samples), bool)
    for turn in dialogue.turns:
        spoken[int(turn.start * SAMPLE_RATE) : int(turn.end * SAMPLE_RATE)] = True
    power = dialogue.samples.astype(np.float64) ** 2
    assert power[spoken].mean() > 5 * power[~spoken].mean()


def test_the_recording_is_float_and_not_clipped(dialogue):
    """Samples are float32 within -1..1."""
    assert dialogue.samples.dtype == np.float32
    assert np.abs(dialogue.samples).max() <= 1.0


def test_a_pause_splits_a_turn():
    """Words of one person are one span up to the gap, and two beyond it."""
    words = [TimedWord("a", 0.0, 1.0), TimedWord("b", 1.2, 2.0), TimedWord("c", 2.5, 3.0)]
    assert speech_spans(words, gap_s=0.25) == [(0.0, 2.0), (2.5, 3.0)]


def test_overlap_is_measured_against_the_time_with_speech():
    """Two turns of 2 s that share 1 s overlap in a third of the 3 s of speech."""
    turns = [SpeakerTurn(0, 2, "A"), SpeakerTurn(1, 3, "B"), SpeakerTurn(10, 10, "B")]
    assert overlap_share(turns) == pytest.approx(1 / 3)


def test_people_of_a_dialogue_can_be_told_apart(rng):
    """No two voices of one dialogue share timbre, pitch and vocal tract."""
    for _ in range(20):
        voices = draw_voices(4, rng)
        assert all(tell_apart(a, b) for i, a in enumerate(voices) for b in voices[:i])


def test_the_same_voice_is_not_two_people():
    """A voice cannot be told from itself, nor from its British twin of the same formants."""
    voice = Voice("espeak", "en-us+m3", 1.0, 1.0, 1.0)
    assert not tell_apart(voice, voice)
    assert not tell_apart(voice, Voice("espeak", "en+m3", 1.05, 1.0, 1.02))


def test_a_room_keeps_the_direct_sound_in_place(rng):
    """The direct path is the first and strongest sample, so that word times hold in a room."""
    response = room_response(0.3, 0.2, rng)
    assert response[0] == 1.0
    assert np.abs(response[1:]).max() < 0.5


def test_noise_has_unit_power(rng):
    """Noise of any colour has RMS 1, so that the ratio to speech is what was drawn."""
    for _ in range(10):
        noise = coloured_noise(50_000, rng)
        assert np.sqrt(np.mean(noise.astype(np.float64) ** 2)) == pytest.approx(1, rel=1e-3)


needs_voices = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("espeak-ng") and shutil.which("sox")),
    reason="flite, espeak-ng and sox are needed only where models are made",
)


@needs_voices
def test_a_seed_gives_one_dialogue():
    """The same seed gives the same words at the same times but for the engines' own jitter, another
    seed others.
    """
    first, again, other = (
        make_dialogue(seed, speakers=2, duration_s=25) for seed in (501, 501, 502)
    )
    said, said_again = (
        [(word.text, word.speaker) for word in d.words[:20]] for d in (first, again)
    )
    assert said == said_again
    assert [word.start for word in first.words[:20]] == pytest.approx(
        [w.start for w in again.words[:20]], abs=0.5
    )
    assert said != [(word.text, word.speaker) for word in other.words[:20]]


@needs_voices
def test_what_is_written_is_read_back(tmp_path):
    """A dialogue's words and turns survive being written."""
    dialogue = make_dialogue(503, speakers=2, duration_s=25)
    recording = write_dialogue(dialogue, tmp_path / "one", "wav")
    words, turns = read_reference(tmp_path / "one.json")
    assert recording.stat().st_size == 44 + 2 * len(dialogue.samples)
    assert (words, turns) == (dialogue.words, dialogue.turns)
    assert len((tmp_path / "one.rttm").read_text().splitlines()) == len(turns)


@needs_voices
def test_a_natural_dialogue_says_a_conversation_in_its_order():
    """Turns alternate as written, with a voice for each letter, and short answers between them."""
    dialogue = make_dialogue(504, speakers=3, duration_s=25, kind="natural")
    lines = Conversations(random.Random("dialogue 504")).draw(3)
    said = " ".join(word.text for word in dialogue.words if word.speaker == "A")
    first = next(line for line in lines if line.speaker == min(each.speaker for each in lines))
    assert first.text in said
    assert len(dialogue.speakers) == 3
