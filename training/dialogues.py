"""Dialogues of synthetic people, with the truth about them: who said which word when.

    python -m training.dialogues --out build/natural --count 20 --seed 1000 --kind natural

There are two kinds: in natural ones people hold the conversations of `training.conversations`, in
random ones they take turns with sentences that have nothing to do with each other.

A dialogue is drawn from its seed alone (the engines add noise of their own, so words and times come
again, samples do not quite). Seeds below 500 are for training, 500 to 599 for tuning, 1000 and
above for measuring: nothing is trained or tuned on those. Natural dialogues from 1000 on hold the
conversations that are held out, all others the rest. The people of a held-out dialogue are new
because pitch, rate and the spectrum of a voice are drawn from continuous ranges (the engines' base
voices are the same), and a random one's sentences are new draws from the same grammar.
`make_dialogue` makes, `write_dialogue` writes.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import subprocess
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import imageio_ffmpeg
import numpy as np
from scipy.signal import fftconvolve

from training.conversations import Conversations
from training.sentences import Sentences
from training.voices import SAMPLE_RATE, TimedWord, Utterance, Voice, random_voice, synthesise

FIRST_TUNING_SEED = 500
FIRST_HELD_OUT_SEED = 1000
SPEECH_GAP_S = 0.25
"""Words of one person that are closer than this belong to one turn of the reference."""

Kind = Literal["natural", "random"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SHORT_ANSWERS = (
    "Yes.",
    "No.",
    "Good.",
    "Yes, please.",
    "Thank you.",
    "Right.",
    "Very good.",
    "No, thank you.",
)
BACKCHANNELS = ("Yes.", "Right.", "Okay.", "I see.", "Good.", "Of course.")
"""What one says while another speaks."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as written, its times in seconds from the start of the dialogue, and who said it."""

    text: str
    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """A stretch of speech of one person, in seconds."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A recording and the truth about it."""

    samples: np.ndarray
    """float32 (n,), 16 kHz mono in -1..1."""
    words: tuple[SpokenWord, ...]
    turns: tuple[SpeakerTurn, ...]

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def speakers(self) -> tuple[str, ...]:
        """The people in it, sorted."""
        return tuple(sorted({turn.speaker for turn in self.turns}))


@dataclass(frozen=True, slots=True)
class Manner:
    """How people take turns.

    The defaults overlap about 4 % of the speech, as in a polite meeting.
    """

    gap_s: tuple[float, float] = (0.05, 1.2)
    """Pause between turns when the next person waits."""
    overlap_s: tuple[float, float] = (0.1, 0.7)
    """How far the next person cuts in when they do not wait."""
    cut_in_probability: float = 0.22
    backchannel_probability: float = 0.12
    """A short answer spoken into somebody else's turn."""
    short_answer_probability: float = 0.12
    """A turn that is a short answer and nothing else."""
    long_pause_probability: float = 0.0
    """A pause of 2 to 8 s before a turn."""


class Person(Protocol):
    """Somebody who can be asked to say something."""

    def say(self, short: bool) -> Utterance:
        """One to three sentences, or a short answer; the words carry their times."""
        ...


class SyntheticPerson:
    """A person who speaks new sentences with one voice, its prosody fixed."""

    def __init__(self, voice: Voice, sentences: Sentences, rng: np.random.Generator) -> None:
        self._voice, self._sentences, self._rng = voice, sentences, rng

    def say(self, short: bool) -> Utterance:
        """Speak; texts that the engine splits into other words than the writer are drawn again."""
        while True:
            count = int(self._rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
            text = str(self._rng.choice(SHORT_ANSWERS)) if short else self._sentences.turn(count)
            try:
                return synthesise(text, self._voice)
            except ValueError:
                continue


class Reader:
    """A person who says what a conversation has them say, with one voice."""

    def __init__(self, voice: Voice, rng: np.random.Generator) -> None:
        self._voice, self._rng = voice, rng

    def read(self, text: str) -> Utterance:
        """Speak a text; ValueError if the engine splits it into other words than the writer."""
        return synthesise(text, self._voice)

    def nod(self) -> Utterance:
        """Speak a short answer."""
        return self.read(str(self._rng.choice(BACKCHANNELS)))


# --- who takes part ---


def tell_apart(one: Voice, other: Voice) -> bool:
    """Whether two voices differ as two people do: another base voice, or clearly another pitch and
    vocal tract.
    """
    pitch = abs(np.log(one.pitch / other.pitch))
    formant = abs(np.log(one.formant / other.formant))
    if _timbre(one) == _timbre(other):
        return bool(pitch > 0.2 and formant > 0.08)
    if one.engine == other.engine == "espeak":
        return bool(pitch > 0.08 or formant > 0.04)
    return True


def _timbre(voice: Voice) -> tuple[str, str]:
    return voice.engine, voice.name.rsplit("+", maxsplit=1)[-1]


def draw_voices(count: int, rng: np.random.Generator) -> tuple[Voice, ...]:
    """Draw people who can be told apart."""
    voices: list[Voice] = []
    while len(voices) < count:
        candidate = random_voice(rng)
        if all(tell_apart(candidate, voice) for voice in voices):
            voices.append(candidate)
    return tuple(voices)


# --- who speaks when ---


@dataclass(frozen=True, slots=True)
class Placed:
    """An utterance, the index of its speaker and the sample at which it starts."""

    start: int
    speaker: int
    utterance: Utterance

    @property
    def end(self) -> int:
        """The sample after its last one."""
        return self.start + len(self.utterance.samples)

    def words(self) -> Iterable[SpokenWord]:
        """Its words at their place in the dialogue."""
        offset_s = self.start / SAMPLE_RATE
        name = speaker_name(self.speaker)
        for word in self.utterance.words:
            yield SpokenWord(
                word.text, round(offset_s + word.start, 3), round(offset_s + word.end, 3), name
            )


def speaker_name(index: int) -> str:
    """`A`, `B`, `C`…"""
    return chr(ord("A") + index)


def arrange(
    people: Sequence[Person], duration_s: float, manner: Manner, rng: np.random.Generator
) -> list[Placed]:
    """Let people talk until `duration_s` is reached; everybody has two full turns before chance
    decides who is next.
    """
    placed: list[Placed] = []
    turns = _by_chance(people, placed, manner, rng)
    nods = [functools.partial(person.say, short=True) for person in people]
    return _fill(placed, turns, nods, duration_s, manner, rng)


def arrange_script(
    people: Sequence[Reader],
    conversations: Conversations,
    duration_s: float,
    manner: Manner,
    rng: np.random.Generator,
) -> list[Placed]:
    """Let people hold one conversation after the other until `duration_s` is reached."""
    nods = [person.nod for person in people]
    return _fill([], _by_script(people, conversations), nods, duration_s, manner, rng)


def _by_chance(
    people: Sequence[Person], placed: Sequence[Placed], manner: Manner, rng: np.random.Generator
) -> Iterator[tuple[int, Utterance]]:
    order = [*rng.permutation(len(people)), *rng.permutation(len(people))]
    shares = rng.uniform(0.5, 1.5, len(people))
    while True:
        opening = bool(order)
        speaker = int(order.pop()) if opening else _next_speaker(shares, placed, rng)
        short = not opening and rng.random() < manner.short_answer_probability
        yield speaker, people[speaker].say(short=short)


def _by_script(
    people: Sequence[Reader], conversations: Conversations
) -> Iterator[tuple[int, Utterance]]:
    while True:
        lines = conversations.draw(len(people))
        letters = sorted({line.speaker for line in lines})
        for line in lines:
            speaker = letters.index(line.speaker)
            yield speaker, people[speaker].read(line.text)


def _fill(
    placed: list[Placed],
    turns: Iterator[tuple[int, Utterance]],
    nods: Sequence[Callable[[], Utterance]],
    duration_s: float,
    manner: Manner,
    rng: np.random.Generator,
) -> list[Placed]:
    """Place turns in `placed`, with short answers into some, until `duration_s` is reached."""
    limit = int(duration_s * SAMPLE_RATE)
    free_from = np.zeros(len(nods), int)
    for speaker, utterance in turns:
        start = max(_start(placed, speaker, manner, rng), int(free_from[speaker]))
        turn = Placed(start, speaker, utterance)
        if turn.end > limit:
            break
        placed.append(turn)
        free_from[speaker] = turn.end + int(rng.uniform(0.1, 0.5) * SAMPLE_RATE)
        if len(nods) > 1 and rng.random() < manner.backchannel_probability:
            _backchannel(turn, nods, free_from, placed, rng)
    return placed


def _next_speaker(shares: np.ndarray, placed: Sequence[Placed], rng: np.random.Generator) -> int:
    weights = shares.copy()
    weights[placed[-1].speaker] *= 0.1
    return int(rng.choice(len(shares), p=weights / weights.sum()))


def _start(placed: Sequence[Placed], speaker: int, manner: Manner, rng: np.random.Generator) -> int:
    if not placed:
        return int(rng.uniform(0.1, 1.5) * SAMPLE_RATE)
    last = max(placed, key=lambda turn: turn.end)
    gap_s = rng.uniform(*manner.gap_s)
    if last.speaker != speaker and rng.random() < manner.cut_in_probability:
        gap_s = -rng.uniform(*manner.overlap_s)
    elif rng.random() < manner.long_pause_probability:
        gap_s = rng.uniform(2.0, 8.0)
    return max(last.end + int(gap_s * SAMPLE_RATE), last.start + SAMPLE_RATE // 5)


def _backchannel(
    turn: Placed,
    nods: Sequence[Callable[[], Utterance]],
    free_from: np.ndarray,
    placed: list[Placed],
    rng: np.random.Generator,
) -> None:
    speaker = int(rng.choice([index for index in range(len(nods)) if index != turn.speaker]))
    answer = nods[speaker]()
    earliest = max(turn.start + SAMPLE_RATE // 2, int(free_from[speaker]))
    latest = turn.end - len(answer.samples) - SAMPLE_RATE // 2
    if earliest < latest:
        reply = Placed(int(rng.integers(earliest, latest)), speaker, answer)
        placed.append(reply)
        free_from[speaker] = reply.end + SAMPLE_RATE // 5


def speech_spans(
    words: Sequence[TimedWord | SpokenWord], gap_s: float = SPEECH_GAP_S
) -> list[tuple[float, float]]:
    """Where one person speaks: their words in order of time, joined over gaps of up to `gap_s`;
    seconds.
    """
    spans: list[tuple[float, float]] = []
    for word in words:
        if spans and word.start - spans[-1][1] <= gap_s:
            spans[-1] = (spans[-1][0], max(spans[-1][1], word.end))
        else:
            spans.append((word.start, word.end))
    return spans


# --- what it sounds like ---


def room_response(decay_s: float, wet: float, rng: np.random.Generator) -> np.ndarray:
    """A room as a direct path and a tail of noise that falls by 60 dB in `decay_s`; float32 (n,).

    `wet` is the energy of the tail against the direct path's (Polack's statistical model of late
    reverberation).
    """
    time_s = np.arange(int(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(time_s.size) * 10 ** (-3 * time_s / decay_s)
    tail[: int(0.002 * SAMPLE_RATE)] = 0
    tail *= np.sqrt(wet / np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def coloured_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise between white and brown (power 1/f^0 … 1/f^2), sometimes with mains hum; float32
    (length,), RMS 1.
    """
    period = min(length, 1 << 17)
    spectrum = np.fft.rfft(rng.standard_normal(period))
    frequency_hz = np.fft.rfftfreq(period, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(frequency_hz, 40.0) ** (-rng.uniform(0.0, 2.0) / 2)
    noise = np.resize(np.fft.irfft(spectrum, period), length)
    noise /= np.sqrt(np.mean(noise**2)) + 1e-9
    if rng.random() < 0.3:
        noise += _hum(length, rng)
        noise /= np.sqrt(np.mean(noise**2)) + 1e-9
    return noise.astype(np.float32)


def _hum(length: int, rng: np.random.Generator) -> np.ndarray:
    time_s = np.arange(length) / SAMPLE_RATE
    mains_hz = rng.choice([50.0, 60.0])
    harmonics = (
        rng.uniform(0, 1) / k * np.sin(2 * np.pi * k * mains_hz * time_s) for k in range(1, 5)
    )
    return sum(harmonics, np.zeros(length))


def mix(placed: Sequence[Placed], length: int, rng: np.random.Generator) -> np.ndarray:
    """Everybody at their own level (±6 dB) and, in half the recordings, place in a room, with noise
    10 to 40 dB below.

    float32 (length,), 16 kHz mono in -1..1.
    """
    in_a_room = rng.random() < 0.5
    decay_s = rng.uniform(0.1, 0.4)
    total = np.zeros(length, np.float32)
    for speaker in sorted({turn.speaker for turn in placed}):
        voice = np.zeros(length, np.float32)
        gain = 10 ** (rng.uniform(-6, 6) / 20)
        for turn in placed:
            if turn.speaker == speaker:
                voice[turn.start : turn.end] += gain * turn.utterance.samples[: length - turn.start]
        if in_a_room:
            response = room_response(decay_s, rng.uniform(0.02, 0.3), rng)
            voice = fftconvolve(voice, response)[:length].astype(np.float32)
        total += voice
    return _with_noise(total, placed, rng)


def _with_noise(
    speech: np.ndarray, placed: Sequence[Placed], rng: np.random.Generator
) -> np.ndarray:
    spoken_samples = sum(len(turn.utterance.samples) for turn in placed)
    speech_rms = (
        float(np.sqrt(np.sum(speech.astype(np.float64) ** 2) / spoken_samples))
        if spoken_samples
        else 0.05
    )
    snr_db = rng.uniform(10, 40)
    noisy = speech + coloured_noise(len(speech), rng) * np.float32(
        speech_rms * 10 ** (-snr_db / 20)
    )
    level = 10 ** (rng.uniform(-12, 0) / 20)
    return (noisy * (0.9 * level / max(float(np.abs(noisy).max()), 1e-6))).astype(np.float32)


# --- the whole ---


def converse(
    people: Sequence[Person], duration_s: float, manner: Manner, rng: np.random.Generator
) -> Dialogue:
    """A dialogue of the given people, about `duration_s` long (it ends where the last whole turn
    does).
    """
    return recorded(arrange(people, duration_s - 0.5, manner, rng), duration_s, rng)


def recorded(placed: Sequence[Placed], duration_s: float, rng: np.random.Generator) -> Dialogue:
    """What a microphone hears of placed turns: `duration_s` of noise if there are none."""
    end = max((turn.end for turn in placed), default=int(duration_s * SAMPLE_RATE))
    samples = mix(placed, end + SAMPLE_RATE // 2, rng)
    words = sorted(
        (word for turn in placed for word in turn.words()), key=lambda word: (word.start, word.end)
    )
    turns = [
        SpeakerTurn(start, end, speaker)
        for speaker in sorted({word.speaker for word in words})
        for start, end in speech_spans([word for word in words if word.speaker == speaker])
    ]
    return Dialogue(
        samples, tuple(words), tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))
    )


def make_dialogue(
    seed: int,
    speakers: int | None = None,
    duration_s: float | None = None,
    manner: Manner | None = None,
    kind: Kind = "random",
) -> Dialogue:
    """The dialogue of a seed: 2 to 4 speakers and 45 to 120 s unless told otherwise."""
    rng = np.random.default_rng([seed, 20])
    voices = draw_voices(speakers or int(rng.integers(2, 5)), rng)
    length_s, manner = duration_s or float(rng.uniform(50, 119)), manner or Manner()
    chance = random.Random(f"dialogue {seed}")
    if kind == "random":
        sentences = Sentences(chance)
        people = [SyntheticPerson(voice, sentences, rng) for voice in voices]
        return converse(people, length_s, manner, rng)
    conversations = Conversations(chance, held_out=seed >= FIRST_HELD_OUT_SEED)
    readers = [Reader(voice, rng) for voice in voices]
    placed = arrange_script(readers, conversations, length_s - 0.5, manner, rng)
    return recorded(placed, length_s, rng)


def overlap_share(turns: Sequence[SpeakerTurn]) -> float:
    """The share of the time with speech in which more than one person speaks."""
    edges = sorted([(turn.start, 1) for turn in turns] + [(turn.end, -1) for turn in turns])
    active, before, spoken_s, overlapped_s = 0, 0.0, 0.0, 0.0
    for at, change in edges:
        spoken_s += (at - before) * (active > 0)
        overlapped_s += (at - before) * (active > 1)
        active, before = active + change, at
    return overlapped_s / spoken_s if spoken_s else 0.0


# --- files ---


def write_wav(samples: np.ndarray, path: Path) -> None:
    """Write float32 samples (n,) as 16-bit PCM, 16 kHz mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def write_dialogue(dialogue: Dialogue, stem: Path, audio_format: str = "mp3") -> Path:
    """Write `stem.mp3` (or `.wav`, `.flac`), `stem.json` (words and turns) and `stem.rttm`; the
    recording's path is returned.
    """
    recording = stem.with_suffix(".wav")
    write_wav(dialogue.samples, recording)
    if audio_format != "wav":
        recording = _coded(recording, audio_format)
    reference = {
        "duration": round(dialogue.duration_s, 3),
        "num_speakers": len(dialogue.speakers),
        "words": [asdict(word) for word in dialogue.words],
        "turns": [asdict(turn) for turn in dialogue.turns],
    }
    stem.with_suffix(".json").write_text(json.dumps(reference, indent=1) + "\n")
    stem.with_suffix(".rttm").write_text("".join(_rttm(stem.name, turn) for turn in dialogue.turns))
    return recording


def _coded(source: Path, audio_format: str) -> Path:
    target = source.with_suffix(f".{audio_format}")
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-i",
        source,
        "-b:a",
        "64k",
        target,
    ]
    subprocess.run(command, check=True)
    source.unlink()
    return target


def _rttm(name: str, turn: SpeakerTurn) -> str:
    length = turn.end - turn.start
    return f"SPEAKER {name} 1 {turn.start:.3f} {length:.3f} <NA> <NA> {turn.speaker} <NA> <NA>\n"


def read_reference(path: Path) -> tuple[tuple[SpokenWord, ...], tuple[SpeakerTurn, ...]]:
    """The words and turns of a reference `.json`."""
    reference = json.loads(path.read_text())
    words = tuple(SpokenWord(**word) for word in reference["words"])
    return words, tuple(SpeakerTurn(**turn) for turn in reference["turns"])


def write_set(
    folder: Path, count: int, seed: int, audio_format: str = "mp3", kind: Kind = "random"
) -> list[Path]:
    """Write `count` dialogues of consecutive seeds; what is there already is kept.

    The recordings' paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recordings = []
    for number in range(seed, seed + count):
        stem = folder / f"dialogue_{number}"
        recording = stem.with_suffix(f".{audio_format}")
        if not (recording.exists() and stem.with_suffix(".json").exists()):
            write_dialogue(make_dialogue(number, kind=kind), stem, audio_format)
        recordings.append(recording)
    return recordings


def main() -> None:
    """Write a set of dialogues."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--format", choices=("mp3", "wav"), default="mp3", dest="audio_format")
    parser.add_argument("--kind", choices=KINDS, default="random")
    options = parser.parse_args()
    for path in write_set(
        options.out, options.count, options.seed, options.audio_format, options.kind
    ):
        print(path)


if __name__ == "__main__":
    main()
