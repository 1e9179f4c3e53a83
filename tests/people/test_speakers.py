"""The diarization worker on people: pyannote's segmentation and CAM++, as real processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyannote.database.util import load_rttm

from tests.local_api import LocalWorker
from tests.people.asking import Worker
from tests.people.clips import read_wav
from tests.people.places import People
from tests.people.speakers import new_embedding
from training.dialogues import SpeakerTurn, read_reference
from training.diarization_scores import annotation, score

pytestmark = pytest.mark.people


def error_rate(answer: dict[str, Any], recording: Path) -> float:
    """Return the DER of an answer's turns: no collar, overlapped speech scored."""
    _, turns = read_reference(recording.with_suffix(".json"))
    found = [SimpleNamespace(**turn) for turn in answer["segments"]]
    return score(annotation(turns), annotation(found), answer["duration"]).error_rate


def test_the_two_women_of_a_call_are_told_apart(diarization: Worker, call: Path) -> None:
    """Two speakers, and a tenth of the speech at most is given to nobody or to the wrong one."""
    answer = diarization.output(call)
    assert answer["num_speakers"] == 2
    assert error_rate(answer, call) <= 0.10


def test_a_reader_is_one_person(diarization: Worker, reading: Path) -> None:
    """Nobody is invented, and hardly any of her speech is missed."""
    answer = diarization.output(reading)
    assert answer["num_speakers"] == 1
    assert error_rate(answer, reading) <= 0.10


def test_a_call_said_to_be_a_monologue_is_one(diarization: Worker, call: Path) -> None:
    """The caller's number counts, and the answer says what the model would have found."""
    answer = diarization.output(call, num_speakers=1)
    assert answer["num_speakers"] == 1
    assert any("2 speakers" in warning for warning in answer["warnings"])


def test_turns_as_rttm_are_read_back(diarization: Worker, call: Path, tmp_path: Path) -> None:
    """pyannote's own reader finds the turns of the json, to the millisecond."""
    (tmp_path / "call.rttm").write_text(diarization.output(call, response_format="rttm")["rttm"])
    (read,) = load_rttm(tmp_path / "call.rttm").values()
    turns = [SpeakerTurn(**turn) for turn in diarization.output(call)["segments"]]
    assert score(annotation(turns), read, 30.0).error_rate == pytest.approx(0, abs=0.002)


def test_voices_differ_more_between_people_than_within(made: People) -> None:
    """Any two clips of one person are more alike than any two of different people, nearly always:
    what the embedding is for.
    """
    import torch

    model = new_embedding(made.folder / "network")
    checkpoint = torch.load(made.speakers / "embedding/pytorch_model.bin", weights_only=False)
    model.load_state_dict(checkpoint["state_dict"])
    paths = sorted(made.recordings.glob("*-*.wav"))
    people = [path.stem.split("-")[0] for path in paths]
    with torch.inference_mode():
        clips = (torch.tensor(read_wav(path))[None, None] for path in paths)
        found = np.stack([model.eval()(clip)[0].numpy() for clip in clips])
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    alike = found @ found.T
    pairs = [(i, j) for i in range(len(paths)) for j in range(i)]
    same = [alike[i, j] for i, j in pairs if people[i] == people[j]]
    other = [alike[i, j] for i, j in pairs if people[i] != people[j]]
    assert np.mean(np.array(same)[:, None] > np.array(other)) >= 0.99


def test_a_worker_without_the_network_ends_with_a_sentence(
    people_speakers: Path, tmp_path: Path
) -> None:
    """Nothing in the product knows CAM++: without our folder on its path the model is refused."""
    environment = {"DIARIZATION_MODEL_ID": str(people_speakers), "PYTHONPATH": ""}
    worker = LocalWorker("handlers.diarization", tmp_path / "log.txt", **environment)
    try:
        with pytest.raises(TimeoutError, match="speakers cannot be read as a pyannote pipeline"):
            worker.wait_until_up()
    finally:
        worker.stop()
