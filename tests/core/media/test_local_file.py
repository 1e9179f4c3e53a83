"""Recordings that a front has as a file: read where they are, within the same limits."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import LocalFile, TranscriptionRequest
from core.errors import DownloadFailed, EmptyAudio, InvalidRequest, SourceTooLarge, WorkerError
from core.media.fetch import check, fetch
from core.settings import Settings
from core.wire.forwarding import job_input
from core.wire.job_input import (
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)

SETTINGS = Settings(max_audio_bytes=10)


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    """Nothing is copied into the job's folder."""
    file = tmp_path / "speech"
    file.write_bytes(b"sound")
    folder = tmp_path / "job"
    folder.mkdir()
    assert fetch(LocalFile(file), folder, settings=SETTINGS) == file
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "error"), [(b"", EmptyAudio), (b"x" * 11, SourceTooLarge), (None, DownloadFailed)]
)
def test_a_file_has_the_limits_of_any_recording(
    tmp_path: Path, content: bytes | None, error: type[WorkerError]
) -> None:
    """Neither the check nor the fetch tells its path."""
    file = tmp_path / "secret-name"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error) as checked:
        check(LocalFile(file), SETTINGS)
    with pytest.raises(error) as fetched:
        fetch(LocalFile(file), tmp_path, settings=SETTINGS)
    assert "secret-name" not in f"{checked.value} {fetched.value} {LocalFile(file)!r}"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """It has no bytes, and perhaps nobody who will ever write some."""
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    with pytest.raises(EmptyAudio):
        check(LocalFile(pipe), SETTINGS)


@pytest.mark.parametrize(
    "kind", [SingleInput, TranscriptionInput, DiarizationInput, OrchestratorInput]
)
def test_a_front_gives_its_file_beside_the_input(kind: type[SingleInput]) -> None:
    """Of every role; a URL beside it is refused, and the range is the input's."""
    file = LocalFile(Path("speech"))
    recording = parse(kind, {"start": 1}, uploaded=file).recording
    assert recording.source is file
    assert recording.range.start == 1
    with pytest.raises(InvalidRequest, match="a file and audio_url were given"):
        parse(kind, {"audio_url": "https://example.com/a"}, uploaded=file)
    with pytest.raises(InvalidRequest, match="none was given"):
        parse(kind, {"start": 1})


@given(
    name=st.sampled_from(["audio", "audio_url", "audio_base64", "_uploaded", "uploaded", "file"]),
    value=st.one_of(
        st.sampled_from(["file:///etc/passwd", "/etc/passwd", "LocalFile(/etc/passwd)"]),
        st.dictionaries(st.sampled_from(["path", "value"]), st.just("/etc/passwd")),
        st.text(),
    ),
)
def test_no_input_becomes_a_file(name: str, value: object) -> None:
    """Whatever JSON a caller writes: it is refused, or it is a text that is fetched."""
    try:
        recording = parse(SingleInput, {name: value}).recording
    except InvalidRequest:
        return
    assert not isinstance(recording.source, LocalFile)


def test_a_file_goes_to_another_endpoint_as_base64(tmp_path: Path) -> None:
    """The path stays here."""
    file = tmp_path / "speech"
    file.write_bytes(b"sound")
    asked = parse(TranscriptionInput, {}, uploaded=LocalFile(file)).request
    assert isinstance(asked, TranscriptionRequest)
    sent = job_input(asked)
    assert base64.b64decode(str(sent["audio_base64"])) == b"sound"
    assert str(tmp_path) not in json.dumps(sent)
