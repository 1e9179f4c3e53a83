"""OpenAI's known speakers, and ours, in a form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.domain.request import KnownSpeaker, Source
from core.domain.timeline import Voice
from core.errors import InvalidRequest
from core.wire.job_input import SingleInput, TranscriptionInput
from handlers.openai import asking
from handlers.openai.multipart import Upload
from tests.handlers.openai.served import served

REFERENCES = ["data:audio/wav;base64,UklGRg==", "data:audio/mp3;base64,SUQz"]
OPENAIS = {"known_speaker_names": ["Ada", "Grace"], "known_speaker_references": REFERENCES}
OURS = [{"name": "Ada", "embedding": {"model": "network-1", "vector": [0.6, 0.8]}}]


def asked(kind: Any = SingleInput, **fields: list[str]) -> asking.Question:
    """Read a form with these fields and a file."""
    return asking.read(Upload(fields, Path("upload")), kind, ("embedded",))


def test_openais_names_and_references_are_known_speakers() -> None:
    """In their order; and speakers are looked for, whatever the model and the format."""
    request = asked(**OPENAIS).request
    assert request.known_speakers == (
        KnownSpeaker("Ada", Source(REFERENCES[0])),
        KnownSpeaker("Grace", Source(REFERENCES[1])),
    )
    assert request.speakers is not None


def test_our_own_field_is_json_in_a_form() -> None:
    """With vectors too, which OpenAI does not have."""
    request = asked(known_speakers=[json.dumps(OURS)], return_embeddings=["true"]).request
    assert request.known_speakers == (
        KnownSpeaker("Ada", embedding=Voice("network-1", (0.6, 0.8))),
    )
    assert request.return_embeddings


def test_wanting_voices_is_wanting_speakers() -> None:
    """Not wanting them is not."""
    assert asked(return_embeddings=["true"]).request.speakers is not None
    assert asked(return_embeddings=["false"]).request.speakers is None


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a name without a voice": (
        {"known_speaker_names": ["Ada", "Grace"], "known_speaker_references": REFERENCES[:1]},
        "known_speaker_references: there are 1, and 2 known_speaker_names; send one for each name",
    ),
    "both": (
        {**OPENAIS, "known_speakers": [json.dumps(OURS)]},
        "known_speaker_names: give these or known_speakers, not both",
    ),
    "without speakers": (
        {**OPENAIS, "diarize": ["false"]},
        "known_speakers needs speakers; leave out diarize: false",
    ),
    "a number for a name": (
        {"known_speaker_names": ["1"], "known_speaker_references": REFERENCES[:1]},
        "known_speakers.0.name: '1' means somebody whom nobody knows; give another name",
    ),
    "no JSON": ({"known_speakers": ["Ada"]}, "known_speakers: is not JSON"),
    "vectors in a text": (
        {"return_embeddings": ["true"], "response_format": ["srt"]},
        "return_embeddings: a text has no room for them; ask for json",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case: str) -> None:
    """With its own sentence."""
    fields, sentence = REFUSED[case]
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert str(caught.value) == sentence


def test_a_server_for_words_alone_knows_nobody() -> None:
    """It has no speaker model."""
    with pytest.raises(InvalidRequest, match="no speakers are found here"):
        asked(TranscriptionInput, **OPENAIS)


def test_voices_of_ten_seconds_fit_into_a_form(tmp_path: Path) -> None:
    """Four of them, as large as wav of 44.1 kHz with two channels makes them in base64."""
    reference = "data:audio/wav;base64," + "A" * (10 * 44_100 * 4 // 3 * 4)
    names = ["Ada", "Bea", "Cleo", "Dora"]
    fields: dict[str, Any] = {"known_speaker_names[]": names}
    with served(tmp_path) as server:
        reply = server.transcribe(**fields, **{"known_speaker_references[]": [reference] * 4})
        assert reply.status == 200
        assert [one.name for one in server.flow.requests[0].known_speakers] == names
