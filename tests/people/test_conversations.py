"""Conversations of known truth: who speaks when is where their sound is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.media import tone
from tests.people import conversations
from tests.people.clips import PAUSE_S, Clip, joined
from tests.people.conversations import SCENES, Scene
from training.voices import SAMPLE_RATE

PITCHES = {"anna": 300.0, "berta": 700.0, "carla": 1500.0}


def clips() -> list[Clip]:
    """Three people of one tone each: a second and a half of it between two silences."""
    silence = np.zeros(SAMPLE_RATE // 4, np.float32)
    return [
        Clip(
            f"{person}-{number}",
            person,
            np.concatenate([silence, tone(1.5, hz=pitch), silence]),
            "one two three four",
        )
        for person, pitch in PITCHES.items()
        for number in range(4)
    ]


def scene(name: str) -> Scene:
    """Return the scene of a name."""
    return next(scene for scene in SCENES if scene.name == name)


def pitch_at(samples: np.ndarray, at_s: float) -> float:
    """Return the loudest frequency of the 0.1 s around a time."""
    middle = int(at_s * SAMPLE_RATE)
    piece = samples[middle - SAMPLE_RATE // 20 : middle + SAMPLE_RATE // 20]
    return float(np.argmax(np.abs(np.fft.rfft(piece))) * SAMPLE_RATE / len(piece))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_turns_are_where_a_person_sounds(scene: Scene) -> None:
    """In the middle of each turn that nobody else shares, the person's own tone is the loudest."""
    made = conversations.make(scene, clips())
    pitches: dict[str, set[float]] = {}
    for turn in made.turns:
        middle = (turn.start + turn.end) / 2
        if not any(o.start < middle < o.end for o in made.turns if o.speaker != turn.speaker):
            pitches.setdefault(turn.speaker, set()).add(round(pitch_at(made.samples, middle), -2))
    assert sorted(pitches.values(), key=min) == [{300.0}, {700.0}, {1500.0}]


def test_a_scene_is_the_same_every_time() -> None:
    """Its number alone decides."""
    one, other = (conversations.make(SCENES[1], clips()) for _ in range(2))
    assert np.array_equal(one.samples, other.samples)
    assert one.words == other.words


def test_people_speak_at_once_only_if_the_scene_says_so() -> None:
    """Turn after turn there is a pause; in the other scene most turns begin too early."""
    apart = conversations.make(scene("in-turn"), clips()).turns
    over = conversations.make(scene("overlaps"), clips()).turns
    assert all(one.end <= other.start for one, other in pairwise(apart))
    early = [one.end > other.start for one, other in pairwise(over)]
    assert sum(early) >= 3


def test_every_word_is_said_twice_by_its_own_person() -> None:
    """None is lost in the shuffle, and all lie in their speaker's turns."""
    made = conversations.make(scene("noise-0-db"), clips())
    assert len(made.words) == 2 * 12 * 4
    for word in made.words:
        assert any(
            turn.start - 0.01 <= word.start and word.end <= turn.end + 0.01
            for turn in made.turns
            if turn.speaker == word.speaker
        )


def test_a_telephone_passes_its_band_alone() -> None:
    """A voice at 1 kHz gets through; a whistle at 6 kHz is gone."""
    voice, whistle = (np.sqrt(np.mean(conversations.telephone(tone(1.0, hz=hz)) ** 2))
                      for hz in (1000.0, 6000.0))  # fmt: skip
    assert voice > 0.15
    assert whistle < 0.005


def test_a_long_pause_parts_a_clip_and_a_short_one_does_not() -> None:
    """The truth follows the sound: a turn ends where somebody stops for a while."""
    tones = Clip("tones", "anna", tone(1.5), "one two three four")
    assert len(joined([tones, tones], PAUSE_S - 0.05).spans) == 1
    assert len(joined([tones, tones], PAUSE_S + 0.05).spans) == 2
