"""Recordings in the request: base64 comes out as the bytes that went in, and nothing else does."""

from __future__ import annotations

import base64
import contextlib
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Source
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


LONG = bytes(range(251)) * 3
"""Its base64 has every character, `+` and `/` among them, and padding."""


@pytest.mark.parametrize("length", range(len(LONG) - 4, len(LONG)))
@pytest.mark.parametrize("prefix", ["", "data:audio/wav;base64,"])
def test_missing_or_doubled_padding_is_made_good(length: int, prefix: str, tmp_path: Path) -> None:
    """Whatever length asks for."""
    text = base64.b64encode(LONG[:length]).decode().rstrip("=")
    for padding in ("", "=", "==", "==="):
        assert get(prefix + text + padding, tmp_path) == LONG[:length]


@pytest.mark.parametrize("marks", ['""', "''", ("b'", "'"), ('b"', '"'), (' "', '"\n')])
def test_quotes_around_base64_are_dropped(marks: tuple[str, str], tmp_path: Path) -> None:
    """As JSON in JSON, a shell or Python's `str` leaves them; around a data URI too."""
    opening, closing = marks
    for prefix in ("", "data:audio/wav;base64,"):
        text = prefix + base64.b64encode(LONG).decode()
        assert get(opening + text + closing, tmp_path) == LONG


@pytest.mark.parametrize("body", [LONG, b"..." + b"\xfb\xef\xbe" * 99 + b"..."])
def test_blanks_that_a_form_made_of_plus_are_plus_again(body: bytes, tmp_path: Path) -> None:
    """However many, four and eight included."""
    text = base64.b64encode(body).decode()
    assert "+" in text
    assert get(text.replace("+", " "), tmp_path) == body
    assert get("data:;base64," + text.replace("+", " "), tmp_path) == body


@given(body=st.binary(min_size=100, max_size=400))
def test_no_bytes_are_lost_to_a_form(body: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Unless it happens to look like two lines of text, or begins or ends with blanks."""
    text = base64.b64encode(body).decode()
    pieces = text.split("+")
    if "+" not in (text[0], text[-1]) and (len(pieces) != 2 or len(pieces[0]) % 4):
        assert get(text.replace("+", " "), tmp_path_factory.getbasetemp()) == body


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("end", [" ", "\n ", " \r\n", "\t\n"])
def test_blanks_between_lines_are_dropped(width: int, end: str, tmp_path: Path) -> None:
    """As mail and certificates are wrapped, with or without the line breaks."""
    text = base64.b64encode(LONG).decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    assert get(end.join(lines), tmp_path) == LONG


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AAAA!AAA", "'!' stands as character 5 of 8"),
        ("AAAAÄAAA", "'Ä' stands as character 5 of 8"),
        ("AAAA=AAA", "text follows its padding, which stands as character 5 of 8"),
        ("AAAAA", "its 5 characters make no whole number of bytes; it is cut short"),
        ("A" * 101, "it is cut short"),
        ("AAA", "its padding is missing or too long"),
        ("AAAA====", "its padding is missing or too long"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    """And where, and what to give instead."""
    said = refused(InvalidBase64, text, tmp_path)
    assert said.startswith("not base64: ")
    assert words in said
    assert said.endswith("or the whole file as base64 text")


@pytest.mark.parametrize("text", [" " * 3_000_000, "A " * 2_000_000, "=" * 3_000_000, "\n" * 10**6])
def test_long_nonsense_is_read_in_linear_time(text: str, tmp_path: Path) -> None:
    """Whatever it is made of."""
    started = time.perf_counter()
    with contextlib.suppress(InvalidBase64, EmptyAudio):
        get(text, tmp_path)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("shift", range(4))
def test_escapes_of_a_long_data_uri_are_decoded(shift: int, tmp_path: Path) -> None:
    """Wherever they stand: it is decoded a stretch at a time."""
    body = b"\0" * shift + BODY
    text = base64.b64encode(body).decode()
    escaped = "".join(f"%{ord(char):02X}" if char in "+/=A" else char for char in text)
    assert get(f"data:audio/wav;base64,{escaped}", tmp_path) == body


@pytest.mark.parametrize(
    "text",
    [
        "data:a;base64," + "%41" * 300_000 + "!",
        "data:a;base64," + "%4" * 450_000,
        "A" * 900_000 + "!",
        "A " * 450_000 + "!",
        "'" * 900_000,
    ],
    ids=["escapes", "half escapes", "letters", "blanks", "quotes"],
)
def test_a_recording_that_is_refused_costs_little(text: str, tmp_path: Path) -> None:
    """A few times its own size, and not a list of all its parts."""
    tracemalloc.start()
    try:
        refused(InvalidBase64, text, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 13_500_000
    finally:
        tracemalloc.stop()


def test_a_long_text_before_a_colon_is_no_scheme(tmp_path: Path) -> None:
    """Base64 of letters alone is not read to its end to find out."""
    assert Source("a" * 64 + ":b").scheme == "a" * 64
    assert Source("a" * 65 + ":b").scheme is None
    assert "':' stands as character 66" in refused(InvalidBase64, "a" * 65 + ":b", tmp_path)
