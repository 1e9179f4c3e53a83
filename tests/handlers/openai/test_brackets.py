"""Fields with brackets: what they spell, what they cannot, and the official client's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from openai._qs import Querystring

from core.errors import InvalidRequest
from core.wire.job_input import TranscriptionInput
from handlers.openai.asking import read
from handlers.openai.brackets import MAX_DEPTH, gather
from handlers.openai.multipart import Upload
from tests.handlers.openai.served import served

VOICE = "data:audio/wav;base64,UklGRg=="
VECTOR = [0.6, -0.8, 1e-05, 0]
NESTED: dict[str, Any] = {
    "replace": {"para keet": "Parakeet", 'a "b"': "", "1": "2", "ä\\": "ö"},
    "known_speakers": [{"name": "Ada", "audio": VOICE}, {"name": "Bea", "audio": VOICE}],
}
VECTORS = [
    {"name": name, "embedding": {"model": "network-1", "vector": VECTOR, "seconds": 1.5}}
    for name in ("Ada", "Bea")
]


def test_the_official_clients_objects_are_what_json_is(tmp_path: Path) -> None:
    """Fields of OpenAI's API and ours: the flow gets the same request for either spelling."""
    with served(tmp_path) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
            for ours in (NESTED, {"known_speakers": VECTORS}):
                answer = client.audio.transcriptions.create(
                    model="whisper-1",
                    file=("a.mp3", b"answer"),
                    chunking_strategy={"type": "server_vad", "threshold": 0.5},
                    extra_body=ours,
                )
                in_json = {name: json.dumps(value) for name, value in ours.items()}
                assert server.transcribe(**in_json).status == 200
                spelled, written = (
                    (request.edits, request.known_speakers) for request in server.flow.requests[-2:]
                )
                assert spelled == written
    assert answer.model_extra is not None
    assert answer.model_extra["warnings"] == [
        "chunking_strategy has no effect: recordings are cut where it is quiet"
    ]


def test_lists_of_objects_keep_their_numbers() -> None:
    """Turns, whose elements come one after the other, and a part."""
    spelled = [
        *(("diarization_segments[][start]", "0"), ("diarization_segments[][end]", "1e0")),
        *(("diarization_segments[][speaker]", "1"), ("diarization_segments[][start]", "1.5")),
        *(("diarization_segments[][end]", "2"), ("diarization_segments[][speaker]", "Ada")),
    ]
    turns = _read(spelled).turns
    assert [(turn.start, turn.end, turn.speaker) for turn in turns] == [
        (0.0, 1.0, "1"),
        (1.5, 2.0, "Ada"),
    ]
    part = _read([("part[index]", "1"), ("part[of]", "2")]).part
    assert (part.index, part.of) == (1, 2)


def _read(sent: list[tuple[str, str]]) -> Any:
    texts, spelled = gather(sent)
    return read(Upload(texts, Path("upload"), spelled), TranscriptionInput, ()).request


WHOLE: list[Any] = [
    {"b": {"c": {"d": "1", " ": ""}}, "e": ["x", "x"], "0": "y"},
    [{"b": "1", "c": ["x", "y"], "d": {"e": "z"}}],
    [{"b": str(n), "c": [f"x{n}", f"y{n}"], "d": {"e": "z"}} for n in range(3)],
    [{"b": ["x"], "c": "1"}, {"b": ["y"], "c": "2"}],
]


@pytest.mark.parametrize("in_columns", [False, True], ids=["elements", "columns"])
@pytest.mark.parametrize("value", WHOLE, ids=["object", "one", "three", "lists of one"])
def test_what_is_spelled_comes_back_as_it_was(value: object, in_columns: bool) -> None:
    """Element by element, or one field of all elements and then the next."""
    spelled = _spelled(value)
    sent = sorted(spelled, key=lambda pair: pair[0]) if in_columns else spelled
    assert gather(sent) == ({}, {"a": value})


def _spelled(value: object) -> list[tuple[str, str]]:
    """Return the fields that the official client's own serialiser makes of a value."""
    return Querystring(array_format="brackets").stringify_items({"a": value})


CONTRADICT = "has fields that contradict each other"
OPEN = "does not show which of its values belong together"
UNMATCHED = "has brackets that do not match"
REFUSED: dict[str, tuple[list[str], str]] = {
    "a text and an object": (["a", "a[b]"], CONTRADICT),
    "a list and an object": (["a[]", "a[b]"], CONTRADICT),
    "a list beside an object": (["a[b][]", "a[b][c]"], CONTRADICT),
    "a text and what is below it": (["a[b]", "a[b][c]"], CONTRADICT),
    "a key twice": (["a[b]", "a[b]"], CONTRADICT),
    "elements with other fields": (["a[][b]", "a[][b]", "a[][c]"], OPEN),
    "lists of lists": (["a[][]", "a[][]"], OPEN),
    "lists of other lengths": (["a[][b]", "a[][b]", "a[][c][]"], OPEN),
    "not closed": (["a[b"], UNMATCHED),
    "closed twice": (["a[b]]"], UNMATCHED),
    "not opened": (["a]"], UNMATCHED),
    "one in the other": (["a[b[c]]"], UNMATCHED),
    "more after them": (["a[b]c"], UNMATCHED),
    "too deep": (["a" + "[b]" * (MAX_DEPTH + 1)], f"has more than {MAX_DEPTH} pairs of brackets"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_brackets_that_make_no_sense_are_refused(case: str) -> None:
    """With the field's name, what is wrong with it, and what to do."""
    names, what = REFUSED[case]
    with pytest.raises(InvalidRequest) as raised:
        gather((name, "v") for name in names)
    assert str(raised.value) == f"a: {what}; send it once, as JSON in one field"


@pytest.mark.parametrize("name", ["prompt", "stream", "keyterms", "language", "timestamps"])
def test_a_field_with_a_text_takes_no_object(name: str) -> None:
    """And the sentence begins with its name."""
    with pytest.raises(InvalidRequest, match=f"^{name}: "):
        _read([(f"{name}[a]", "b")])
