"""The decoder's program outside of its jail: it says the same there, byte for byte.

So the jail takes nothing away that decoding needs, and what the program does can be measured here:
inside, no file can be written.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core.media.decoder import child
from core.media.decoder.process import _command
from core.media.decoder.protocol import PREFIX, Asked, Kind
from core.media.decoder.window import Window
from tests import media

SECONDS = 6
Change = Callable[[bytes], bytes]


def hole(content: bytes) -> bytes:
    """Put noise into the middle."""
    first, last = len(content) * 2 // 5, len(content) // 2
    return content[:first] + np.random.default_rng(1).bytes(last - first) + content[last:]


CHANGES: dict[str, Change] = {
    "whole": lambda content: content,
    "hole": hole,
    "cut": lambda content: content[: len(content) * 3 // 5],
    "twice": lambda content: 2 * content,
}
REFUSED = {("m4a", "cut"), ("ogg", "hole")}
"""An index that is at the end is gone, and so is a header that fills much of a short file."""
STRANGE = {
    "nothing": b"\0",
    "web page": b"<!doctype html><title>Sign in</title>",
    "text": b"no recording at all",
    "noise": np.random.default_rng(2).bytes(20_000),
    "archive": b"PK\x03\x04" + bytes(100),
    "tag alone": b"ID3\4\0\0\0\0\0\x0a" + bytes(20),
}


@pytest.fixture(autouse=True)
def _own_limits() -> Iterator[None]:
    """The program moves its limit of processor time, which is this process's here."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    yield
    resource.setrlimit(resource.RLIMIT_CPU, before)


def both(path: Path, start_s: float = 0.0, end_s: float = 60.0) -> tuple[bytes, bytes]:
    """Decode inside of the jail, and outside."""
    asked = Asked(start_s, end_s, None, cpu_s=100_000, look_cpu_s=20)
    with path.open("rb") as file:
        command = _command(sys.executable, asked)
        inside = subprocess.run(command, stdin=file, capture_output=True, env={}, check=True)
    outside = io.BytesIO()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        child.decode(Window(descriptor, 0, path.stat().st_size), asked, outside)
    finally:
        os.close(descriptor)
    return inside.stdout, outside.getvalue()


def kinds(said: bytes) -> set[str]:
    """Return the kinds of messages."""
    found, at = set(), 0
    while at < len(said):
        kind, length = PREFIX.unpack_from(said, at)
        found.add(kind.decode())
        at += PREFIX.size + length
    return found


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "suffix", ["wav", "aiff", "caf", "mp3", "flac", "ogg", "m4a", "aac", "webm", "wma", "amr"]
)
def test_a_recording_is_the_same_inside_and_outside(
    suffix: str, change: str, tmp_path: Path
) -> None:
    """Whole or damaged; there is sound in it."""
    path = tmp_path / f"a.{suffix}"
    content = media.encode(path, media.beeps(SECONDS)).read_bytes()
    path.write_bytes(CHANGES[change](content))
    inside, outside = both(path)
    assert inside == outside
    assert (Kind.SAMPLES in kinds(outside)) is ((suffix, change) not in REFUSED)


@pytest.mark.parametrize("suffix", ["wav", "m4a", "mka"])
def test_a_late_range_is_the_same_inside_and_outside(suffix: str, tmp_path: Path) -> None:
    """Where a format knows its places, the program goes there."""
    path = tmp_path / f"a.{suffix}"
    media.encode(path, media.beeps(50))
    inside, outside = both(path, 45.0, 47.0)
    assert inside == outside
    assert Kind.SAMPLES in kinds(outside)


def test_many_channels_are_the_same_inside_and_outside(tmp_path: Path) -> None:
    """They come interleaved."""
    wires = np.stack([media.tone(2, hz=200 + 50 * number) for number in range(9)], 1)
    inside, outside = both(media.write_wav(tmp_path / "a.wav", wires))
    assert inside == outside
    assert Kind.SAMPLES in kinds(outside)


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_no_recording_is_refused_inside_and_outside(what: str, tmp_path: Path) -> None:
    """For the same reason, and with nothing else."""
    path = tmp_path / "a"
    path.write_bytes(STRANGE[what])
    inside, outside = both(path)
    assert inside == outside
    assert kinds(outside) == {Kind.REFUSAL}
