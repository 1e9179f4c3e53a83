"""Edits in the flows: who listens hears no words that the answer does not have."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain.timeline import Transcription
from core.domain.watch import Watch
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.settings import Settings
from tests.asking import ask
from tests.core.flows.test_orchestrated import Speakers, Speech
from tests.media import write_wav

_TRANSLATED = {"remove_fillers": True, "task": "translate", "language": "ja"}


class Told(Speech):
    """A model that tells words as it hears them."""

    def transcribe(self, *args: Any, heard: Any = None, **more: Any) -> Transcription:
        """The same words, told before they are returned."""
        words = super().transcribe(*args, heard=heard, **more)
        if heard is not None:
            heard(words.words)
        return words


@pytest.fixture
def audio(tmp_path: Path) -> str:
    """Two seconds of noise."""
    noise = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    return base64.b64encode(write_wav(tmp_path / "a.wav", noise).read_bytes()).decode()


@pytest.mark.parametrize("diarize", [True, False])
@pytest.mark.parametrize("edits", [{}, {"replace": {"so": "well"}}, _TRANSLATED])
def test_words_that_may_change_are_not_told_before(
    tmp_path: Path, audio: str, edits: dict[str, object], diarize: bool
) -> None:
    """Without edits they are told as ever. Fillers of a translation are known."""
    reader = Reader(Settings(temp_dir=tmp_path / "jobs"))
    told: list[Any] = []
    question = {"audio_base64": audio, "language": "en", **edits}
    listening = Watch(heard=told.append)
    flow = SingleFlow(reader, Told(), Speakers())
    both = ask(flow, question | {"diarize": diarize}, listening)
    words = ask(TranscriptionFlow(reader, Told()), question, listening)
    assert not [one for one in (*both["warnings"], *words["warnings"]) if "fillers" in one]
    assert len(told) == (0 if edits else 2)


def test_the_text_is_the_same_in_every_format(tmp_path: Path, audio: str) -> None:
    """With the new words in segments, subtitles and times."""
    flow = SingleFlow(Reader(Settings(temp_dir=tmp_path / "jobs")), Told(), Speakers())
    question = {"audio_base64": audio, "replace": {"dr. mayer": "Doctor May"}, "timestamps": True}
    answers = [
        ask(flow, {**question, "response_format": name}) for name in ("json", "verbose_json", "srt")
    ]
    assert {answer["text"] for answer in answers} == {"So, Doctor May, how are you?"}
    assert "Doctor May," in answers[2]["srt"]
    assert [one["text"] for one in answers[0]["timestamps"]["word"]][1:3] == ["Doctor", "May,"]
    spelled = "".join(one["char"] for one in answers[0]["timestamps"]["char"])
    assert spelled == "So,DoctorMay,howareyou?"
