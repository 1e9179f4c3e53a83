"""Conversations of known truth, made of clips of single people.

    python -m tests.people.conversations FOLDER

Each is drawn from its number alone. All have the same clips of the same three people, in an order
of their own, so that what differs is how they speak and how that was recorded.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal

from tests.people.clips import Clip, conversation, joined
from tests.people.places import people
from tests.people.recordings import reading_clips
from training.dialogues import Dialogue, Placed, coloured_noise, room_response, write_dialogue
from training.voices import SAMPLE_RATE

LEVEL = 0.05
"""RMS of a clip before gains."""
TURN_S = 4.0
"""A turn has clips until it is that long."""
PAUSE_S = 0.2
TELEPHONE_HZ = (300.0, 3400.0)
MU = 255
"""ITU-T G.711."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How people speak, and how that was recorded."""

    name: str
    gap_s: tuple[float, float] = (0.2, 0.9)
    """From the end of a turn to the next; negative: the next person does not wait."""
    gain_db: float = 0.0
    """The loudest person above the quietest."""
    telephone: bool = False
    room_s: float | None = None
    """Time in which the room's echo falls by 60 dB."""
    noise_db: float | None = None
    """Speech above noise."""


SCENES = (
    Scene("in-turn"),
    Scene("overlaps", gap_s=(-0.9, -0.2)),
    Scene("gains", gain_db=15.0),
    Scene("telephone", telephone=True),
    Scene("room", room_s=0.5),
    Scene("noise-20-db", noise_db=20.0),
    Scene("noise-10-db", noise_db=10.0),
    Scene("noise-0-db", noise_db=0.0),
)


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    for path in write_all(parser.parse_args().folder):
        print(path)


def write_all(folder: Path) -> list[Path]:
    """Write those that are missing, and return their wavs."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = reading_clips(people().recordings)
    return [_written(scene, clips, folder) for scene in SCENES]


def _written(scene: Scene, clips: Sequence[Clip], folder: Path) -> Path:
    path = folder / f"{scene.name}.wav"
    if not path.with_suffix(".json").exists():
        write_dialogue(make(scene, clips), folder / scene.name, "wav")
    return path


def make(scene: Scene, clips: Sequence[Clip]) -> Dialogue:
    """Return the conversation of a scene."""
    rng = np.random.default_rng([SCENES.index(scene), 12])
    twice = [turn for _ in range(2) for turn in turns(clips, rng)]
    placed = place(in_turn(twice, rng), scene, rng)
    length = max(turn.end for turn, _ in placed) + SAMPLE_RATE // 2
    return conversation(_recorded(placed, length, scene, rng), placed)


def turns(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """Return the clips in an order of chance, as turns of one person each."""
    made: list[list[Clip]] = []
    for index in rng.permutation(len(clips)):
        clip = clips[index]
        short = (
            turn
            for turn in made
            if turn[0].person == clip.person
            and sum(len(own.samples) for own in turn) < TURN_S * SAMPLE_RATE
        )
        if turn := next(short, None):
            turn.append(clip)
        else:
            made.append([clip])
    return [joined(turn, PAUSE_S) for turn in made]


def in_turn(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """Return the clips in an order in which nobody follows themselves while others are left."""
    left = list(clips)
    order: list[Clip] = []
    while left:
        others = [clip for clip in left if not order or clip.person != order[-1].person] or left
        counts = Counter(clip.person for clip in left)
        most = max(counts[clip.person] for clip in others)
        first = [clip for clip in others if counts[clip.person] == most]
        order.append(first[int(rng.integers(len(first)))])
        left.remove(order[-1])
    return order


def place(
    clips: Sequence[Clip], scene: Scene, rng: np.random.Generator
) -> list[tuple[Placed, Clip]]:
    """Say when each clip begins."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(c.person for c in clips))}
    placed: list[tuple[Placed, Clip]] = []
    at = SAMPLE_RATE // 2
    for clip in clips:
        turn = Placed(at, numbers[clip.person], clip.utterance)
        placed.append((turn, clip))
        at = turn.start + max(SAMPLE_RATE // 2, len(clip.samples) + _gap(clip, scene, rng))
    return placed


def _gap(clip: Clip, scene: Scene, rng: np.random.Generator) -> int:
    """Return the samples from a clip's end to the next clip: at most half of it is spoken over."""
    return max(round(rng.uniform(*scene.gap_s) * SAMPLE_RATE), -len(clip.samples) // 2)


def _recorded(
    placed: Sequence[tuple[Placed, Clip]], length: int, scene: Scene, rng: np.random.Generator
) -> np.ndarray:
    """Return what the microphone hears: float32 (length,)."""
    names = list(dict.fromkeys(clip.person for _, clip in placed))
    gains_db = rng.permutation(np.linspace(0.0, -scene.gain_db, len(names)))
    heard = np.zeros(length)
    for turn, clip in placed:
        level = LEVEL / np.sqrt(np.mean(clip.samples.astype(np.float64) ** 2))
        gain = 10 ** (gains_db[names.index(clip.person)] / 20)
        heard[turn.start : turn.end] += level * gain * clip.samples
    if scene.room_s:
        heard = scipy.signal.fftconvolve(heard, room_response(scene.room_s, 0.5, rng))[:length]
    if scene.noise_db is not None:
        heard += LEVEL * 10 ** (-scene.noise_db / 20) * coloured_noise(length, rng)
    return (telephone(heard) if scene.telephone else heard).astype(np.float32)


def telephone(samples: np.ndarray) -> np.ndarray:
    """Return samples as a telephone passes them on: 300 to 3400 Hz, 8 kHz, 8 bits by mu-law."""
    band = scipy.signal.butter(6, TELEPHONE_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    narrow = scipy.signal.resample_poly(scipy.signal.sosfilt(band, samples), 1, 2)
    coded = np.sign(narrow) * np.log1p(MU * np.abs(np.clip(narrow, -1, 1))) / np.log1p(MU)
    coded = np.round(coded * 127) / 127
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    return np.resize(scipy.signal.resample_poly(decoded, 2, 1), len(samples))


if __name__ == "__main__":
    main()
