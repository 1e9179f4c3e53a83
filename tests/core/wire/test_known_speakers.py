"""`known_speakers` and `return_embeddings`: what they take, and why they are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.domain.request import (
    DiarizationRequest,
    KnownSpeaker,
    LocalFile,
    OrchestratedRequest,
    Recording,
    Source,
    TranscriptionRequest,
    narrowed,
)
from core.domain.timeline import Diarization, Turn, Voice
from core.errors import EndpointRefused, InvalidRequest
from core.wire.answers import read_diarization
from core.wire.form import DiarizationFormat, Form
from core.wire.forwarding import job_input
from core.wire.job_input import (
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)
from core.wire.known_speakers import known_name
from core.wire.render import render

URL = {"audio_url": "https://example.com/call.wav"}
VOICE = {"model": "network-1", "vector": [0.6, 0.8]}
ADA, GRACE = {"name": "Ada", "embedding": VOICE}, {"name": "Grace", "audio": "https://a.example/g"}
DIARIZING = (SingleInput, OrchestratorInput, DiarizationInput)


@pytest.mark.parametrize("kind", DIARIZING)
def test_voices_come_as_vectors_and_as_recordings(kind: Any) -> None:
    """To every role that finds speakers."""
    request = parse(
        kind, {**URL, "known_speakers": [ADA, GRACE], "return_embeddings": True}
    ).request
    assert request.known_speakers == (
        KnownSpeaker("Ada", embedding=Voice("network-1", (0.6, 0.8))),
        KnownSpeaker("Grace", audio=Source("https://a.example/g")),
    )
    assert request.return_embeddings


def test_an_embedding_of_an_answer_is_taken_as_it_is() -> None:
    """With whose it was and how much speech it was made of, which do not matter."""
    heard = Diarization((Turn(0, 1, "1"),), (), voices=(Voice("network-1", (0.6, 0.8), "1", 12.5),))
    answer = json.loads(json.dumps(render(heard, Form(DiarizationFormat.JSON))))
    (embedding,) = answer["embeddings"]
    assert embedding == {"speaker": "1", "seconds": 12.5, **VOICE}
    known = [{"name": "Ada", "embedding": embedding}]
    request = parse(SingleInput, {**URL, "known_speakers": known}).request
    assert request.known_speakers[0].embedding == Voice("network-1", (0.6, 0.8))


def refused(known: object, kind: Any = SingleInput, **more: object) -> str:
    """Return the sentence with which known speakers are refused."""
    with pytest.raises(InvalidRequest) as caught:
        parse(kind, {**URL, "known_speakers": known, **more})
    return str(caught.value)


WRONG_NAMES = {
    " \n": "the name is empty",
    "": "the name is empty",
    "7": "'7' means somebody whom nobody knows; give another name",
    "Channel 2": "'Channel 2' means somebody whom nobody knows; give another name",
    "speaker_1": "'speaker_1' means somebody whom nobody knows; give another name",
    "Unknown": "'Unknown' means somebody whom nobody knows; give another name",
    "x" * 101: "the name has 101 characters and may have 100",
    "\ud83d": "the text holds half a character (a lone surrogate); send it as UTF-8",
}


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_a_wrong_name_is_refused(name: str) -> None:
    """One that answers have for strangers, one of nothing, and one too long."""
    assert refused([{**ADA, "name": name}]) == f"known_speakers.0.name: {WRONG_NAMES[name]}"


@pytest.mark.parametrize("name", ["Ada", "A", "Speaker One", "Channel Four News", "李", "Ada 2"])
def test_other_names_are_kept(name: str) -> None:
    """In one line, as answers show them."""
    assert known_name(f" {name}\t") == name


WRONG = {
    "no list": ("Ada", "known_speakers: input should be a list"),
    "seventeen": (
        [{**ADA, "name": f"Ada the {n}th"} for n in range(17)],
        "known_speakers: list has 17 speakers and at most 16 are taken",
    ),
    "one name twice": (
        [ADA, {**GRACE, "name": "ada"}],
        "known_speakers: the name 'ada' is given twice; names must differ",
    ),
    "no voice": (
        [{"name": "Ada"}],
        "known_speakers.0: give audio or embedding for each name; neither was given",
    ),
    "two voices": (
        [{**ADA, **GRACE}],
        "known_speakers.0: give audio or embedding for each name; both were given",
    ),
    "an empty recording": (
        [{"name": "Ada", "audio": " "}],
        "known_speakers.0: audio is empty; give a URL or base64 text",
    ),
    "a vector alone": (
        [{"name": "Ada", "embedding": [0.6, 0.8]}],
        "known_speakers.0.embedding: give an object with model and vector, as in an answer's "
        "embeddings",
    ),
    "no numbers": (
        [{"name": "Ada", "embedding": {"model": "m", "vector": []}}],
        "known_speakers.0.embedding.vector: the vector has no direction: all its numbers are 0",
    ),
    "too many numbers": (
        [{"name": "Ada", "embedding": {"model": "m", "vector": [1.0] * 1025}}],
        "known_speakers.0.embedding.vector: list has 1025 numbers and at most 1024 are taken",
    ),
    "a number that is none": (
        [{"name": "Ada", "embedding": {"model": "m", "vector": [1.0, float("nan")]}}],
        "known_speakers.0.embedding.vector.1: input should be a finite number",
    ),
    "a huge number": (
        [{"name": "Ada", "embedding": {"model": "m", "vector": [1e200]}}],
        "known_speakers.0.embedding.vector.0: input should be less than or equal to 1000000",
    ),
    "no model": (
        [{"name": "Ada", "embedding": {"vector": [1.0]}}],
        "known_speakers.0.embedding.model: field required",
    ),
    "a misspelled field": (
        [{"name": "Ada", "adio": "https://a.example/g"}],
        "known_speakers.0.adio: unknown field; did you mean audio?",
    ),
    "a misspelled field inside": (
        [{"name": "Ada", "embedding": {**VOICE, "vectors": [1.0]}}],
        "known_speakers.0.embedding.vectors: unknown field; did you mean vector?",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_voices_are_refused(case: str) -> None:
    """Each with its own sentence, which begins with the place."""
    known, sentence = WRONG[case]
    assert refused(known).split("; known_speakers")[0] == sentence


def test_known_speakers_need_a_speaker_model() -> None:
    """Not channels, no words alone, and not a worker that only transcribes."""
    assert refused([ADA], channels="split") == (
        "channels split knows its speakers by their channels; leave out known_speakers"
    )
    assert refused([ADA], diarize=False) == (
        "known_speakers needs speakers; leave out diarize: false"
    )
    assert refused([ADA], TranscriptionInput) == (
        "known_speakers: unknown field; other roles have it, this one does not"
    )
    for asked in ({"channels": "split"}, {"diarize": False}):
        with pytest.raises(InvalidRequest, match="return_embeddings"):
            parse(SingleInput, {**URL, "return_embeddings": True, **asked})


def test_an_empty_list_is_none() -> None:
    """As is null."""
    for nothing in ([], None):
        asked = {**URL, "known_speakers": nothing, "return_embeddings": None, "diarize": False}
        assert parse(SingleInput, asked).request.known_speakers == ()


def test_only_the_diarization_endpoint_is_told(tmp_path: Any) -> None:
    """The same known speakers come out of the JSON that is sent to it; a file goes as base64."""
    asked = {**URL, "known_speakers": [ADA, GRACE], "return_embeddings": True}
    request = parse(OrchestratorInput, asked).request
    assert not job_input(narrowed(request, TranscriptionRequest)).keys() & asked.keys() - URL.keys()
    sent = json.loads(json.dumps(job_input(narrowed(request, DiarizationRequest))))
    assert parse(DiarizationInput, sent).request == narrowed(request, DiarizationRequest)
    file = tmp_path / "voice.wav"
    file.write_bytes(b"RIFF")
    local = OrchestratedRequest(
        Recording(Source("https://a.example/a")),
        known_speakers=(KnownSpeaker("Ada", LocalFile(file)),),
    )
    sent = job_input(narrowed(local, DiarizationRequest))
    assert sent["known_speakers"] == [{"name": "Ada", "audio": "UklGRg=="}]


def test_voices_of_an_answer_are_read_back() -> None:
    """To the last digit; an answer without them has none."""
    heard = Diarization(
        (Turn(0, 1, "Ada"),), (), voices=(Voice("network-1", (0.60001, -0.79999), "Ada", 1.234),)
    )
    answer = json.loads(json.dumps(render(heard, Form(DiarizationFormat.JSON))))
    assert read_diarization(answer) == heard
    del answer["embeddings"]
    assert read_diarization(answer).voices is None


@pytest.mark.parametrize(
    "embeddings",
    [
        [{"speaker": "1", "seconds": 1.0, "model": "m", "vector": [0.1] * 1025}],
        [{"speaker": "1", "seconds": 1.0, "model": "m", "vector": [1.0]}] * 101,
        [{"speaker": "1"}],
    ],
)
def test_an_endpoint_that_answers_nonsense_is_refused(embeddings: object) -> None:
    """Of no more speakers and numbers than there can be."""
    answer = {"segments": [], "exclusive_segments": [], "embeddings": embeddings}
    with pytest.raises(EndpointRefused):
        read_diarization(answer)
