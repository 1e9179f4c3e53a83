"""Recordings in the request: base64 comes out as the bytes that went in, and nothing else does."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EmptyAudio, InvalidBase64, SourceTooLarge
from tests.core.media.sources import BODY, get, refused


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize(
    "prefix", ["", "data:audio/wav;base64,", "data:;base64,", "DATA:audio/ogg; codecs=opus;BASE64,"]
)
def test_base64_comes_out_as_the_bytes_that_went_in(
    prefix: str, encode: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Bare or as a data URI, in either alphabet, with or without line breaks."""
    assert get(prefix + encode(BODY).decode(), tmp_path) == BODY


@given(body=st.binary(min_size=1, max_size=50))
def test_any_bytes_survive_base64(body: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever they are."""
    assert get(base64.b64encode(body).decode(), tmp_path_factory.getbasetemp()) == body


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "/etc/passwd",
        "a.mp3",
        "../../x",
        "AAA",
        "AA=A",
        "ÄÄÄÄ",
        "AAAA!",
        "{}",
        "data:,abc",
        "data:audio/wav,AAAA",
    ],
)
def test_text_that_is_not_base64_is_refused_as_such(text: str, tmp_path: Path) -> None:
    """It is never taken for the path of a file on this machine."""
    assert "base64" in refused(InvalidBase64, text, tmp_path)


def test_a_file_of_this_machine_is_not_opened(tmp_path: Path) -> None:
    """Not even if its path happens to be base64."""
    for length in range(4):
        path = tmp_path / ("canary" + "A" * length)
        path.write_bytes(b"canary")
        with contextlib.suppress(InvalidBase64):
            assert get(str(path), tmp_path) != b"canary"


@pytest.mark.parametrize("text", ["data:audio/wav;base64,", "data:;base64,\n"])
def test_no_bytes_are_no_recording(text: str, tmp_path: Path) -> None:
    """An empty upload is called that."""
    refused(EmptyAudio, text, tmp_path)


@pytest.mark.parametrize(("size", "fits"), [(299, True), (300, True), (301, False), (302, False)])
def test_the_size_of_base64_is_that_of_its_content(size: int, fits: bool, tmp_path: Path) -> None:
    """To the byte, padding counted."""
    text = base64.b64encode(bytes(size)).decode()
    if fits:
        assert len(get(text, tmp_path, max_audio_bytes=300)) == size
    else:
        assert "300 bytes" in refused(SourceTooLarge, text, tmp_path, max_audio_bytes=300)


def test_base64_that_is_too_large_is_refused_before_it_is_looked_at(tmp_path: Path) -> None:
    """Garbage beyond the limit is not even found to be garbage."""
    refused(SourceTooLarge, "A" * 4000 + "!", tmp_path, max_audio_bytes=300)
