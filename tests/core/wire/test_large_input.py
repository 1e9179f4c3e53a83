"""Inputs with more in them than any recording needs: refused at once, and cheaply."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import InvalidRequest, WorkerError
from core.wire.answers import read_diarization, read_transcription
from core.wire.job_input import DiarizationInput, SingleInput, TranscriptionInput, parse
from core.wire.limits import MAX_ANSWERED, MAX_FIELDS, MAX_SPEAKERS, MAX_TURNS

URL = {"audio_url": "https://example.com/talk.mp3"}
MANY = 300_000


def _turn(start: float = 0, speaker: str = "1") -> dict[str, object]:
    return {"start": start, "end": start + 1, "speaker": speaker}


def _fields(count: int) -> dict[str, int]:
    return {f"field{index}": index for index in range(count)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"diarization_segments": [{}] * MANY}, "at most 20000 are taken"),
        ({"diarization_segments": [0] * MANY}, "at most 20000 are taken"),
        ({"diarization_segments": [{}] * MAX_TURNS}, "diarization_segments.0.start: field req"),
        ({"diarization_segments": [0] * MAX_TURNS}, "diarization_segments.0: input should be"),
        ({"diarization_segments": [_turn() | _fields(MANY)]}, "input has 300003 fields"),
        ({"diarization_segments": _fields(MANY)}, "input should be a list"),
        ({"part": _fields(MANY)}, "part: input has 300000 fields; at most 2 are known"),
        ({"part": [0] * MANY}, "part: input should be"),
        ({"audio_format": [0] * MANY}, "audio_format: input should be a valid string"),
        ({"language": "x" * MANY + "\ud800"}, "language: the text holds half a character"),
        (_fields(MANY), "input has 300001 fields; at most "),
    ],
    ids=range(11),
)
def test_a_large_input_is_refused_at_once(given: dict[str, Any], words: str) -> None:
    """In a fraction of a second and of the input's own memory, with a sentence that says why."""
    asked = URL | given
    tracemalloc.start()
    started = time.perf_counter()
    try:
        with pytest.raises(InvalidRequest) as refused:
            parse(TranscriptionInput, asked)
        took_s = time.perf_counter() - started
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words in str(refused.value)
    assert len(str(refused.value)) < 500
    assert took_s < 0.5
    assert peak < 10_000_000


@pytest.mark.parametrize(
    "known",
    [
        [0] * MANY,
        [{}] * MANY,
        _fields(MANY),
        [_fields(MANY)],
        [{"name": "x" * MANY}],
        [{"name": " " * 10 * MANY}],
        [{"name": "Ada", "embedding": {"model": "m", "vector": [0.1] * MANY}}],
        [{"name": "Ada", "embedding": {"model": "m" * MANY, "vector": ["x"] * 1000}}] * 16,
    ],
    ids=range(8),
)
def test_large_voices_are_refused_at_once(known: object) -> None:
    """Whatever is large in them."""

    def ask() -> None:
        with pytest.raises(InvalidRequest):
            parse(DiarizationInput, URL | {"known_speakers": known})

    _cheaply(ask)


def test_many_fields_are_refused_before_each_is_looked_at() -> None:
    """A few unknown ones are named, as ever."""
    with pytest.raises(InvalidRequest, match="field0: unknown field"):
        parse(SingleInput, URL | _fields(MAX_FIELDS - 1))
    with pytest.raises(InvalidRequest, match=f"input has {MAX_FIELDS + 1} fields; at most "):
        parse(SingleInput, URL | _fields(MAX_FIELDS))


@pytest.mark.parametrize("kind", [SingleInput, DiarizationInput, TranscriptionInput])
def test_no_role_has_more_fields_than_are_taken(kind: type[SingleInput]) -> None:
    """The bound leaves room for new ones."""
    assert len(kind.model_fields) < MAX_FIELDS


def test_as_many_turns_are_taken_as_the_bound_says() -> None:
    """And not one more."""
    turns = [_turn(0.5 * index, str(index % MAX_SPEAKERS)) for index in range(MAX_TURNS)]
    parsed = parse(TranscriptionInput, URL | {"diarization_segments": turns}).turns
    assert parsed is not None
    assert len(parsed) == MAX_TURNS
    with pytest.raises(InvalidRequest, match="has 20001 turns and at most 20000 are taken"):
        parse(TranscriptionInput, URL | {"diarization_segments": [*turns, _turn()]})


def test_as_many_speakers_are_taken_as_can_be_asked_for() -> None:
    """And not one more."""
    turns = [_turn(index, str(index)) for index in range(MAX_SPEAKERS)]
    assert parse(TranscriptionInput, URL | {"diarization_segments": turns}).turns
    with pytest.raises(InvalidRequest, match="names 101 speakers and at most 100 are taken"):
        parse(TranscriptionInput, URL | {"diarization_segments": [*turns, _turn(0, "new")]})


_WORDLESS = {"language": "en", "duration": 1.0, "words": []}


@pytest.mark.parametrize(
    "answer",
    [
        _WORDLESS | {"format": "compact", "words": [0] * MANY},
        _WORDLESS | {"format": "compact", "words": [[]] * MANY},
        _WORDLESS | {"format": "compact", "characters": [0] * MANY},
        _WORDLESS | {"format": "compact", "warnings": [0] * MANY},
        _WORDLESS | {"words": [{}] * MANY},
        _WORDLESS | {"timestamps": {"char": [{}] * MANY}},
        _WORDLESS | {"warnings": ["again"] * MANY},
    ],
    ids=range(7),
)
def test_an_endpoints_long_nonsense_is_refused_at_once(answer: dict[str, Any]) -> None:
    """The first wrong element is enough."""
    _cheaply_refused(lambda: read_transcription(answer, language=None))


@pytest.mark.parametrize("field", ["segments", "exclusive_segments", "warnings", "embeddings"])
def test_a_diarizers_long_nonsense_is_refused_at_once(field: str) -> None:
    """The first wrong element is enough."""
    answer: dict[str, Any] = {"segments": [], "exclusive_segments": []}
    _cheaply_refused(lambda: read_diarization(answer | {field: [{}] * MANY}))


def _cheaply_refused(read: Callable[[], object]) -> None:
    _cheaply(lambda: _refused(read))


def _cheaply(do: Callable[[], object]) -> None:
    tracemalloc.start()
    started = time.perf_counter()
    try:
        do()
        took_s = time.perf_counter() - started
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took_s < 0.5
    assert peak < 10_000_000


def _refused(read: Callable[[], object]) -> None:
    with pytest.raises(WorkerError, match="is not that of a"):
        read()


def test_an_answer_longer_than_any_recordings_is_refused() -> None:
    """Its lists are bounded, even if each of their elements is right."""
    turns = [_turn()] * (MAX_ANSWERED + 1)
    _refused(lambda: read_diarization({"segments": turns, "exclusive_segments": []}))
    words = [[0, 1, "yes", None]] * (MAX_ANSWERED + 1)
    answer = _WORDLESS | {"format": "compact", "words": words}
    _refused(lambda: read_transcription(answer, language=None))
