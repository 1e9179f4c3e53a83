"""Channels that are one speaker each.

The embedded model hears what takes hearing; the rest is asked of a model that hears a word every
third of a second, whatever the sound.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.untimed import untimed
from core.errors import InvalidRequest
from core.flows.load import load_transcription
from core.flows.recording import Reader
from core.flows.transcription import TranscriptionFlow
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import Settings
from emulator.scripted import Scripted as Endpoint
from tests import golden
from tests.asking import ask
from tests.core.flows.test_orchestrated import Speech, orchestrator, works
from tests.media import write_wav
from tests.replies import KEY
from training.voices import Voice, synthesise


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> TranscriptionFlow:
    """The transcription worker's, on the embedded model."""
    folder = tmp_path_factory.mktemp("jobs")
    return load_transcription(Settings(model_id="embedded", temp_dir=folder))


@pytest.fixture
def told(settings: Settings) -> TranscriptionFlow:
    """The same on a model that is told what it hears."""
    return TranscriptionFlow(Reader(settings), Speech())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """For all roles."""
    return Settings(temp_dir=tmp_path / "jobs", runpod_api_key=KEY, job_timeout=120)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def caller() -> Samples:
    """One side of a call."""
    return golden.load("dialogue").waveform.samples


@pytest.fixture(scope="module")
def agent(caller: Samples) -> Samples:
    """The other side, of the same length: it speaks while the caller does."""
    spoken = golden.load("sentences").waveform.samples
    side = np.zeros(len(caller), np.float32)
    side[2 * SAMPLE_RATE :][: len(spoken)] = spoken
    return side


def call(flow: TranscriptionFlow, folder: Path, *channels: Samples, **asked: Any) -> dict[str, Any]:
    """Ask for the words of channels."""
    path = write_wav(folder / "call.wav", np.stack(channels, 1))
    audio = base64.b64encode(path.read_bytes()).decode()
    return ask(flow, {"audio": audio, "channels": "split", **asked})


def words(answer: dict[str, Any], speaker: str) -> list[str]:
    """Return what one speaker says."""
    return [word["word"] for word in answer["words"] if word["speaker"] == speaker]


def alone(flow: TranscriptionFlow, folder: Path, channel: Samples) -> list[str]:
    """Return the words of a channel by itself."""
    path = write_wav(folder / "alone.wav", channel)
    audio = base64.b64encode(path.read_bytes()).decode()
    return ask(flow, {"audio": audio})["text"].split()


def farewell(side: Samples, voice: str, level: float) -> Samples:
    """Let a side end with a word, at a root mean square."""
    said = np.asarray(synthesise("Goodbye.", Voice("espeak", voice, 1.0, 1.0, 1.0)).samples)
    said = np.resize(np.pad(said, (0, 2 * SAMPLE_RATE)), 2 * SAMPLE_RATE)
    said *= level / np.sqrt(np.square(said[np.abs(said) > 0.01]).mean())
    return np.concatenate([side, said]).astype(np.float32)


def test_both_sides_of_a_call_are_heard_while_both_speak(
    flow: TranscriptionFlow, caller: Samples, agent: Samples, tmp_path: Path
) -> None:
    """Each has the words that it has alone, also one that both say; words interleave by time,
    segments do not.
    """
    caller, agent = farewell(caller, "en-us+m3", 0.1), farewell(agent, "en-us+f2", 0.04)
    answer = call(flow, tmp_path, caller, agent, response_format="verbose_json")
    assert words(answer, "Channel 1") == alone(flow, tmp_path, caller)
    assert words(answer, "Channel 2") == alone(flow, tmp_path, agent)
    assert {words(answer, channel)[-1] for channel in ("Channel 1", "Channel 2")} == {"Goodbye."}
    starts = [word["start"] for word in answer["words"]]
    assert starts == sorted(starts)
    assert any(word["overlap"] for word in answer["words"])
    assert answer["num_speakers"] == 2
    assert answer["warnings"] == []
    said = [segment["text"] for segment in answer["segments"]]
    assert answer["text"] == " ".join(said)
    assert all(
        segment["text"] in " ".join(words(answer, segment["speaker"]))
        for segment in answer["segments"]
    )


def test_words_that_a_channel_overhears_are_not_given_to_it(
    flow: TranscriptionFlow, caller: Samples, agent: Samples, tmp_path: Path
) -> None:
    """Each side also hears the other, late and at -20 dB; only its own speech has words."""
    delay = 40 * SAMPLE_RATE // 1000
    leak = np.float32(0.1) * np.roll(caller, delay), np.float32(0.1) * np.roll(agent, delay)
    both = (caller + leak[1], agent + leak[0])
    answer = call(flow, tmp_path, *both, response_format="verbose_json")
    said = [word for word in answer["words"] if word["speaker"] == "Channel 2"]
    assert len(said) >= 5
    end_s = 2 + golden.load("sentences").turns[-1].end
    assert all(2 < word["start"] < end_s for word in said)
    heard = [word["start"] for word in answer["words"] if word["speaker"] == "Channel 1"]
    assert [at for at in heard if at < 2 or at > end_s]


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.25])
def test_a_copy_is_told_and_costs_nothing(
    told: TranscriptionFlow, agent: Samples, gain: float, tmp_path: Path
) -> None:
    """A mono recording as stereo has one channel of words."""
    answer = call(told, tmp_path, agent, np.float32(gain) * agent, response_format="verbose_json")
    assert answer["warnings"][0] == (
        "Channel 2 holds the same sound as Channel 1, which has its words"
    )
    assert {word["speaker"] for word in answer["words"]} == {"Channel 1"}
    assert answer["num_speakers"] == 1


def test_a_silent_channel_is_told_and_costs_nothing(
    told: TranscriptionFlow, agent: Samples, tmp_path: Path
) -> None:
    """Its number stays its own: the speaker is the second channel."""
    answer = call(told, tmp_path, np.zeros_like(agent), agent, response_format="srt")
    assert answer["warnings"][0] == "Channel 1 is silent"
    assert "Channel 2: " in answer["srt"]
    assert "Channel 1" not in answer["srt"]


def test_a_range_keeps_the_times_of_the_whole(
    told: TranscriptionFlow, caller: Samples, agent: Samples, tmp_path: Path
) -> None:
    """Of both channels."""
    answer = call(told, tmp_path, caller, agent, start=3, end=6, response_format="verbose_json")
    assert {word["speaker"] for word in answer["words"]} == {"Channel 1", "Channel 2"}
    assert all(3 <= word["start"] <= word["end"] <= 6 for word in answer["words"])
    assert answer["duration"] == 6


@pytest.mark.parametrize("channels", [1, 9])
def test_too_few_or_too_many_channels_are_refused(
    told: TranscriptionFlow, agent: Samples, channels: int, tmp_path: Path
) -> None:
    """With the number that the recording has."""
    with pytest.raises(InvalidRequest, match=f"2 to 8 channels, and this one has {channels}"):
        call(told, tmp_path, *[agent[:SAMPLE_RATE]] * channels)


@pytest.mark.parametrize("response_format", ["json", "verbose_json", "srt"])
def test_the_orchestrator_gives_the_same_answer(
    told: TranscriptionFlow,
    settings: Settings,
    caller: Samples,
    agent: Samples,
    response_format: str,
    tmp_path: Path,
) -> None:
    """From one job: it asks nobody for speakers, and for no part of the recording."""
    path = write_wav(tmp_path / "call.wav", np.stack([caller, agent], 1))
    audio = base64.b64encode(path.read_bytes()).decode()
    asked = {
        "audio": audio,
        "channels": "split",
        "response_format": response_format,
        "timestamps": True,
        "replace": {"w1": "one", "w2 w3": "two"},
        "task": "translate",
        "remove_fillers": True,
    }
    words, turns = Endpoint(**works(told)), Endpoint(**works(told))
    with orchestrator(settings, words, turns, transcription_fanout=3) as orchestrated:
        assert untimed(ask(orchestrated, asked)) == untimed(ask(told, asked))
    assert (len(words.of("run")), len(turns.of("run"))) == (1, 0)
