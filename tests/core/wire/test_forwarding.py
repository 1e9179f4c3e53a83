"""Requests on their way to another endpoint: nothing that was asked is dropped."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import (
    Channels,
    Decoding,
    DiarizationRequest,
    Edits,
    KnownSpeaker,
    LocalFile,
    OrchestratedRequest,
    Part,
    Range,
    Recording,
    Source,
    SpeakerCount,
    Task,
    TranscriptionRequest,
    narrowed,
)
from core.domain.timeline import Turn, Voice
from core.errors import SourceTooLarge
from core.wire.forwarding import job_input
from core.wire.job_input import DiarizationInput, OrchestratorInput, TranscriptionInput, parse

OWN = {"on_diarization_error"}
"""What the orchestrator is asked and no endpoint is."""

SPLIT = Channels.SPLIT

_SECONDS = st.floats(0, 1e6).filter(lambda time: time != 0 or str(time) == "0.0")
_SOURCES = st.sampled_from(["https://example.com/a.mp3?sig=1", "s3://calls/1.opus", "UklGRg=="])
_RANGES = st.one_of(
    st.just(Range()),
    _SECONDS.map(Range),
    st.tuples(_SECONDS, st.floats(0.1, 100)).map(lambda at: Range(at[0], at[0] + at[1])),
)
_RECORDINGS = st.builds(Recording, _SOURCES.map(Source), _RANGES)
_DECODINGS = st.builds(
    Decoding,
    language=st.none() | st.sampled_from(["en", "de-AT"]),
    task=st.sampled_from(Task),
    keyterms=st.lists(st.sampled_from(["Dashwood", "Ångström, A."]), max_size=3).map(tuple),
)
_EDITS = st.builds(
    Edits,
    st.dictionaries(st.sampled_from(["new york", "C++"]), st.sampled_from(["", "NYC"])),
    st.booleans(),
)
_COUNTS = st.integers(1, 100)
_SPEAKERS = st.one_of(
    st.just(SpeakerCount()),
    _COUNTS.map(lambda exact: SpeakerCount(exact=exact)),
    st.tuples(_COUNTS, _COUNTS).map(lambda two: SpeakerCount(None, min(two), max(two))),
)
_TURNS = st.lists(
    st.tuples(_SECONDS, st.floats(0, 9), st.sampled_from(["1", "Ann"])).map(
        lambda turn: Turn(turn[0], turn[0] + turn[1], turn[2])
    ),
    max_size=4,
).map(lambda turns: tuple(sorted(turns, key=lambda turn: (turn.start, turn.end))))
_WHOLE = st.builds(Recording, _SOURCES.map(Source))
_PARTS = st.integers(0, 5).map(lambda index: Part(index, index + 2))
TRANSCRIPTIONS = st.one_of(
    st.builds(
        TranscriptionRequest,
        _RECORDINGS,
        _DECODINGS,
        st.booleans(),
        turns=st.none() | _TURNS,
        edits=_EDITS,
    ),
    st.builds(
        TranscriptionRequest, _RECORDINGS, _DECODINGS, st.booleans(), channels=st.just(SPLIT)
    ),
    st.builds(TranscriptionRequest, _WHOLE, _DECODINGS, st.booleans(), part=_PARTS),
)
_VOICES = st.builds(
    Voice, st.just("network-1"), st.lists(st.floats(0.1, 1), min_size=1, max_size=3).map(tuple)
)
_KNOWN = st.one_of(
    st.builds(KnownSpeaker, st.just("Ada"), _SOURCES.map(Source)),
    st.builds(KnownSpeaker, st.just("Grace"), st.none(), _VOICES),
)
_SOME_KNOWN = st.lists(_KNOWN, max_size=2, unique_by=lambda one: one.name).map(tuple)
DIARIZATIONS = st.one_of(
    st.builds(DiarizationRequest, _RECORDINGS, _SPEAKERS, _SOME_KNOWN, st.booleans()),
    st.builds(DiarizationRequest, _WHOLE, _SPEAKERS, _SOME_KNOWN, st.booleans(), part=_PARTS),
)


@given(request=TRANSCRIPTIONS)
def test_a_transcription_request_arrives_as_it_was(request: TranscriptionRequest) -> None:
    """What the endpoint parses is what was written, in every field."""
    assert parse(TranscriptionInput, job_input(request)).request == request


@given(request=DIARIZATIONS)
def test_a_diarization_request_arrives_as_it_was(request: DiarizationRequest) -> None:
    """What the endpoint parses is what was written, in every field."""
    assert parse(DiarizationInput, job_input(request)).request == request


def _leaves(value: Any, name: str = "") -> Iterator[str]:
    """The names of all fields in a request, however deep."""
    for one in fields(value):
        inner = getattr(value, one.name)
        if is_dataclass(inner) and not isinstance(inner, Source | Part):
            yield from _leaves(inner, f"{name}{one.name}.")
        else:
            yield f"{name}{one.name}"


@pytest.mark.parametrize("kind", [TranscriptionRequest, DiarizationRequest])
def test_every_field_of_a_request_is_written(kind: type) -> None:
    """A new one too, by itself: one that is not at its default changes what is sent."""
    plain = kind(Recording(Source("https://example.com/a.mp3")))
    for leaf in _leaves(plain):
        if leaf != "recording.source":
            assert job_input(_with(plain, leaf)) != job_input(plain), leaf


def _with(value: Any, leaf: str) -> Any:
    name, _, rest = leaf.partition(".")
    inner = getattr(value, name)
    return replace(value, **{name: _with(inner, rest) if rest else "changed"})


def test_every_field_of_the_orchestrators_request_reaches_an_endpoint() -> None:
    """Those that are its own are listed here: a new one fails until it is forwarded or listed."""
    asked = {one.name for one in fields(OrchestratedRequest)}
    sent = {one.name for kind in (TranscriptionRequest, DiarizationRequest) for one in fields(kind)}
    assert asked - sent == OWN


def test_channels_that_are_speakers_need_no_diarization() -> None:
    """The one job that is left knows about the channels."""
    request = parse(OrchestratorInput, {"audio": "https://h/a.wav", "channels": "split"}).request
    assert request.speakers is None
    asked = job_input(narrowed(request, TranscriptionRequest))
    assert asked == {"audio": "https://h/a.wav", "channels": "split"}


def test_every_field_of_the_orchestrators_input_is_in_its_request() -> None:
    """What a caller may say is either part of what is asked or of how the answer is written."""
    said = {
        "audio": "https://example.com/a.mp3",
        "start": 1.5,
        "end": 9.5,
        "language": "en",
        "task": "translate",
        "keyterms": ["Dashwood"],
        "timestamps": True,
        "min_speakers": 2,
        "max_speakers": 3,
        "replace": {"new york": "NYC"},
        "remove_fillers": True,
        "known_speakers": [{"name": "Ada", "audio": "https://example.com/ada.mp3"}],
        "return_embeddings": True,
    }
    request = parse(OrchestratorInput, said).request
    words = job_input(narrowed(request, TranscriptionRequest))
    turns = job_input(narrowed(request, DiarizationRequest))
    assert words | turns == said
    written = {"response_format", "diarize", "on_diarization_error", "audio_format", "output_url"}
    other = {"audio_url", "audio_base64", "num_speakers", "channels"}
    assert set(OrchestratorInput.model_fields) == set(said) | written | other


def test_a_file_of_this_disk_is_passed_on_as_its_content(tmp_path: Path) -> None:
    """Its path means nothing to an endpoint."""
    path = tmp_path / "call.wav"
    path.write_bytes(b"RIFF")
    request = DiarizationRequest(Recording(LocalFile(path)))
    assert job_input(request) == {"audio_base64": "UklGRg=="}


def test_a_file_that_the_platform_cannot_carry_is_refused_unread(tmp_path: Path) -> None:
    """Together with the voices, by what base64 makes of their sizes."""
    path, voice = tmp_path / "a", tmp_path / "b"
    for each in (path, voice):
        with each.open("wb") as empty:
            empty.truncate(4_500_000)
    recording, known = Recording(LocalFile(path)), KnownSpeaker("Ada", LocalFile(voice))
    tracemalloc.start()
    try:
        with pytest.raises(SourceTooLarge, match=r"^the request has 12\.0 MB"):
            job_input(DiarizationRequest(recording, known_speakers=(known,)))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
