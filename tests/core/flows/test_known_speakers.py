"""Known speakers and voices in all flows; the orchestrator answers as the single worker does."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.flows.diarization import DiarizationFlow
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.settings import Settings
from tests.asking import ask
from tests.core.flows.test_orchestrated import (
    MODEL,
    VECTORS,
    Speakers,
    Speech,
    both,
    settings,
)
from tests.media import gives, host, write_wav

__all__ = ["both", "settings"]

ADA = {"name": "Ada", "embedding": {"model": MODEL, "vector": VECTORS[0]}}
STRANGER = {"name": "Eve", "embedding": {"model": MODEL, "vector": [-1, 0, 0]}}


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The recording in the request."""
    return {"audio_base64": sound(tmp_path_factory.mktemp("recording") / "a.wav", 12.0)}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The second speaker, with a recording."""
    return {"name": "Grace", "audio": sound(tmp_path_factory.mktemp("sample") / "a.wav", 3.0)}


def sound(path: Path, seconds: float) -> str:
    """Return noise as base64."""
    noise = np.random.default_rng(2).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
    return base64.b64encode(write_wav(path, noise).read_bytes()).decode()


@pytest.mark.parametrize("response_format", ["json", "diarized_json", "html"])
def test_names_and_voices_are_the_single_workers(
    both: Any, inline: dict[str, str], sample: dict[str, str], response_format: str
) -> None:
    """To the last byte, in every format, with a vector, a recording and a stranger."""
    single, orchestrated = both(
        **inline,
        response_format=response_format,
        known_speakers=[ADA, sample, STRANGER],
        return_embeddings=True,
    )
    assert orchestrated == single
    answer = json.loads(single)
    assert [one["speaker"] for one in answer["embeddings"]] == ["Ada", "Grace", "3"]
    assert [tuple(one["vector"]) for one in answer["embeddings"]] == list(VECTORS)
    assert answer["num_speakers"] == 3
    (doubt,) = [one for one in answer["warnings"] if "Grace" in one and "known" in one]
    assert doubt == "known speaker Grace: it is doubtful"
    assert any(one.startswith("speaker 3 has no name") for one in answer["warnings"])


def test_names_stand_in_words_segments_and_subtitles(
    both: Any, inline: dict[str, str], sample: dict[str, str]
) -> None:
    """The third speaker keeps the number 3."""
    asked = {**inline, "known_speakers": [ADA, sample]}
    verbose = json.loads(both(**asked, response_format="verbose_json")[0])
    for field in ("words", "segments"):
        assert {one["speaker"] for one in verbose[field]} - {None} == {"Ada", "Grace", "3"}
    srt = json.loads(both(**asked, response_format="srt")[0])["srt"]
    assert "\nAda: " in srt
    assert "\nSpeaker 3: " in srt
    assert "Speaker 1" not in srt


def test_rttm_has_the_names(
    settings: Settings, inline: dict[str, str], sample: dict[str, str]
) -> None:
    """Without blanks, which rttm has between its columns."""
    flow = DiarizationFlow(Reader(settings), Speakers())
    names = [ADA, sample | {"name": "Grace  Hopper"}]
    asked = {**inline, "response_format": "rttm", "known_speakers": names}
    rows = [row.split() for row in ask(flow, asked)["rttm"].splitlines()]
    assert {row[7] for row in rows} == {"Ada", "Grace_Hopper", "3"}


def test_without_the_wish_there_are_no_voices(settings: Settings, inline: dict[str, str]) -> None:
    """Names alone do not make the answer larger."""
    flow = DiarizationFlow(Reader(settings), Speakers())
    assert "embeddings" not in ask(flow, {**inline, "known_speakers": [ADA]})
    assert "embeddings" not in ask(flow, inline)


def test_a_voice_is_fetched_from_a_url(
    both: Any, inline: dict[str, str], sample: dict[str, str]
) -> None:
    """As the recording itself may be."""
    with host() as server:
        url = server.url("/grace.wav", gives(base64.b64decode(sample["audio"])))
        single, orchestrated = both(**inline, known_speakers=[{"name": "Grace", "audio": url}])
    assert orchestrated == single
    assert '"speaker": "Grace"' in single


WRONG = {
    "another model": (
        {"name": "Eve", "embedding": {"model": "other", "vector": [1.0]}},
        "invalid_request: known_speakers.1.embedding: the vector is of another model",
    ),
    "no base64": (
        {"name": "Eve", "audio": "no base64!"},
        "invalid_base64: known_speakers.1.audio: not base64: ",
    ),
    "too short": (
        "short",
        "voice_too_short: known_speakers.1.audio: the audio is too short",
    ),
    "no recording": (
        {"name": "Eve", "audio": "data:audio/wav;base64,AAAA"},
        "unsupported_audio: known_speakers.1.audio: ",
    ),
    "a scheme": (
        {"name": "Eve", "audio": "ftp://example.com/a.wav"},
        "invalid_url: known_speakers.1.audio: ",
    ),
    "metadata": (
        {"name": "Eve", "audio": "http://169.254.169.254/latest"},
        "blocked_address: known_speakers.1.audio: ",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_voice_that_cannot_be_had_ends_the_job(
    both: Any, inline: dict[str, str], tmp_path: Path, case: str
) -> None:
    """The sentence says whose it is, with its own code; the orchestrator says the same."""
    wrong, sentence = WRONG[case]
    if wrong == "short":
        wrong = {"name": "Eve", "audio": sound(tmp_path / "a.wav", 1.0)}
    single, orchestrated = both(**inline, known_speakers=[ADA, wrong])
    assert single.startswith(sentence)
    assert orchestrated == single


@pytest.mark.parametrize("case", ["another model", "no base64", "metadata"])
def test_who_can_do_without_speakers_gets_the_transcript(
    both: Any, inline: dict[str, str], case: str
) -> None:
    """A voice that cannot be had is a diarization that failed."""
    wrong, sentence = WRONG[case]
    asked = {**inline, "on_diarization_error": "transcript_only"}
    single, orchestrated = both(**asked, known_speakers=[wrong])
    assert orchestrated == single
    code = sentence.partition(":")[0]
    assert f"no speakers: diarization failed with {code}" in single


def test_voices_count_towards_what_a_request_may_carry(
    both: Any, inline: dict[str, str], sample: dict[str, str]
) -> None:
    """The orchestrator passes them on by /run, which takes 10 MB; the single worker has room."""
    large = {"name": "Eve", "audio": "A" * 10_000_000}
    single, orchestrated = both(**inline, known_speakers=[sample, large])
    assert orchestrated.startswith("source_too_large: the request has 10.")
    assert single.startswith("unsupported_audio: known_speakers.1.audio: ")


def test_a_vector_of_another_model_is_refused_before_the_work(settings: Settings) -> None:
    """The recording, which does not exist, is not even fetched."""
    wrong = [{"name": "Eve", "embedding": {"model": "other", "vector": [1.0]}}]
    asked = {"audio_url": "http://127.0.0.1:9/none.wav", "known_speakers": wrong}
    reader = Reader(settings)
    flows = DiarizationFlow(reader, Speakers()), SingleFlow(reader, Speech(), Speakers())
    for flow in flows:
        with pytest.raises(InvalidRequest, match="of another model"):
            ask(flow, asked)
