"""The fields `replace` and `remove_fillers`: bounded, and refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.request import Edits
from core.errors import InvalidRequest
from core.wire.job_input import OrchestratorInput, SingleInput, TranscriptionInput, parse

URL = {"audio_url": "https://example.com/a.mp3"}


@pytest.mark.parametrize("kind", [SingleInput, OrchestratorInput, TranscriptionInput])
def test_edits_are_read(kind: Any) -> None:
    """In every role that gives words; what surrounds a phrase does not count."""
    asked = {**URL, "replace": {" new york ": "NYC", "damn": " "}, "remove_fillers": "True"}
    assert parse(kind, asked).request.edits == Edits({"new york": "NYC", "damn": ""}, True)
    assert parse(kind, URL).request.edits == Edits()
    assert parse(kind, {**URL, "replace": {}, "remove_fillers": None}).request.edits == Edits()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({f"word {index}": "x" for index in range(201)}, "object has 201 phrases and at most 200"),
        ({" ": "x"}, "a phrase is empty"),
        ({"a" * 201: "x"}, "a phrase has 201 characters and 1 words; at most 200 and 10 are"),
        ({"a": "x" * 201}, "at most 200"),
        (
            {"a b c d e f g h i j k": "x"},
            "a phrase has 21 characters and 11 words; at most 200 and 10",
        ),
        ({"New York": "a", "new  york": "b"}, "two phrases are the same but for their case"),
        ({"a": 5}, "input should be a valid string"),
        (["a", "b"], "input should be a valid dictionary"),
        ({"a": "half \ud83d"}, "half a character"),
    ],
)
def test_what_is_no_map_of_phrases_is_refused(value: object, sentence: str) -> None:
    """The sentence says what is wrong, and repeats nothing of it."""
    with pytest.raises(InvalidRequest, match=r"^replace") as refused:
        parse(SingleInput, {**URL, "replace": value})
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 400
