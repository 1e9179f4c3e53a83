"""examples/voices.py on the real speaker model: two people of one recording, known in another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.domain.watch import Watch
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.modelstore import find_diarization_model
from core.settings import Settings
from core.speakers.pyannote import PyannoteDiarizer
from examples import voices
from tests.core.flows.test_orchestrated import Speech
from tests.examples.conftest import ROOT, Platform, Run, Worker
from tests.media import ffmpeg

DIALOGUE = ROOT / "examples/dialogue.mp3"
"""Three people, 54 s; its halves are two recordings of them."""
NAMES = ("--name", "1=Ada", "--name", "2=Grace")


@dataclass
class Listening(Worker):
    """The single worker with its real speaker model; its words are told."""

    flow: Any = None

    def run(self, request: Any, watch: Watch) -> Any:
        """Work."""
        return self.flow.run(request, watch)


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> SingleFlow:
    """The flow, loaded once."""
    reader = Reader(Settings(temp_dir=tmp_path_factory.mktemp("voices") / "jobs"))
    diarizer = PyannoteDiarizer(find_diarization_model("embedded"), device="cpu")
    return SingleFlow(reader, Speech(), diarizer)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two recordings of the same people."""
    folder = tmp_path_factory.mktemp("halves")
    first, second = folder / "first.wav", folder / "second.wav"
    ffmpeg("-t", "27", "-i", DIALOGUE, first)
    ffmpeg("-ss", "27", "-i", DIALOGUE, second)
    return first, second


@pytest.fixture
def endpoint(platform: Platform, flow: SingleFlow) -> str:
    """The id of an endpoint with that worker."""
    return platform.open(Listening(flow=flow)).name


def test_two_people_are_known_in_another_recording(
    endpoint: str, halves: tuple[Path, Path], tmp_path: Path, run: Run
) -> None:
    """Who speaks there is named; the third has a number and a warning. The vectors that were kept
    do the same again.
    """
    kept = tmp_path / "voices.json"
    ended = run(voices.main, "--endpoint", endpoint, *halves, *NAMES, "--keep", kept)
    assert ended.code == 0
    named = {line.partition(":")[0] for line in ended.out.splitlines()}
    assert named - {"nobody"} == {"Ada", "Grace", "1"}
    assert "warning: speaker 1 has no name: the voice is like " in ended.err
    assert [one["name"] for one in json.loads(kept.read_text())] == ["Ada", "Grace"]
    again = run(voices.main, "--endpoint", endpoint, kept, halves[1])
    assert again.out == ended.out


def test_a_speaker_who_is_not_there_is_told(
    endpoint: str, halves: tuple[Path, Path], run: Run
) -> None:
    """With those who are."""
    ended = run(voices.main, "--endpoint", endpoint, *halves, "--name", "7=Ada")
    assert ended.code == 1
    assert ended.err == "there is no speaker 7; there are 1, 2, 3"


@pytest.mark.parametrize("name", ["Ada", "one=Ada", "1="])
def test_what_is_no_name_is_refused(run: Run, name: str) -> None:
    """Before anything is asked."""
    ended = run(voices.main, "--endpoint", "any", "a.mp3", "b.mp3", "--name", name)
    assert ended.code == 2
    assert "give NUMBER=NAME, such as 1=Ada" in ended.err
