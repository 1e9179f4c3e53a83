"""Known speakers on people: two women of a telephone call, and a reader who is not in it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.people.asking import Worker

pytestmark = pytest.mark.people

MIDDLE_S = 16.0
"""Both women speak before and after it."""


@pytest.fixture(scope="module")
def voices(diarization: Worker, call: Path) -> list[dict[str, Any]]:
    """The voices of the first half of the call."""
    found: list[dict[str, Any]] = diarization.output(call, end=MIDDLE_S, return_embeddings=True)[
        "embeddings"
    ]
    assert len(found) == 2
    return found


def names(answer: dict[str, Any]) -> set[str]:
    """The speakers of an answer."""
    return {turn["speaker"] for turn in answer["exclusive_segments"]}


def test_both_women_are_known_in_the_rest_of_the_call(
    diarization: Worker, call: Path, voices: list[dict[str, Any]]
) -> None:
    """By their vectors, with nothing to warn of."""
    known = [
        {"name": name, "embedding": voice}
        for name, voice in zip(("Diane", "Sheila"), voices, strict=True)
    ]
    answer = diarization.output(call, start=MIDDLE_S, known_speakers=known)
    assert names(answer) == {"Diane", "Sheila"}
    assert answer["warnings"] == []


def test_a_reader_is_nobody_in_the_call(diarization: Worker, call: Path, reading: Path) -> None:
    """A recording of her is taken, and nobody gets her name."""
    audio = base64.b64encode(reading.read_bytes()).decode()
    answer = diarization.output(call, known_speakers=[{"name": "Jane", "audio": audio}])
    assert names(answer) == {"1", "2"}
    assert all("the voice is like Jane's by 0." in warning for warning in answer["warnings"])
    assert len(answer["warnings"]) == 2


def test_the_reader_is_known_in_another_recording(
    diarization: Worker, made: Any, reading: Path
) -> None:
    """Of another chapter."""
    audio = base64.b64encode(reading.read_bytes()).decode()
    other = made.recording("austen-0880")
    answer = diarization.output(other, known_speakers=[{"name": "Jane", "audio": audio}])
    assert names(answer) == {"Jane"}
