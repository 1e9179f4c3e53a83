"""The decoder's process: what it may not reach, how little it costs, and what ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import (
    AudioTooLong,
    DamagedAudio,
    DecodingTimedOut,
    InternalError,
    UnsupportedAudio,
    WorkerError,
)
from core.media.audio import Stream
from core.media.decoder import jail
from core.media.decoder.process import Decoder, Limits, asked_of
from tests import media
from tests.hearing import read

# What the child can reach


def in_jail(code: str, *arguments: str) -> str:
    """Run code behind the child's own limits; give what it printed."""
    program = (
        "import ctypes, os, socket, sys\nfrom core.media.decoder import jail\n"
        f"jail.enter(look_cpu_s=5, cpu_s=10)\n{code}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, env={"CANARY": "no"}, check=False,
        cwd=Path(jail.__file__).parents[3],
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "print(open(f'/proc/{os.getppid()}/environ').read())",
        "print(open('/etc/passwd').read())",
        "print(os.listdir('/proc/self/fd'))",
        "socket.socket(); print('opened')",
        "os.pipe(); print('opened')",
        "os.fork(); print('opened')",
    ],
    ids=["environment", "file", "folder", "socket", "pipe", "process"],
)
def test_nothing_new_can_be_opened(code: str) -> None:
    """No file, no network, and not the environment of the worker, where its tokens are."""
    said = in_jail(code)
    assert "Error" in said.splitlines()[-1], said
    assert "opened" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_worker_s_memory_cannot_be_read() -> None:
    """A worker that is root decodes as nobody."""
    secret = ctypes.create_string_buffer(b"the token")
    code = """
class Vec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
into = ctypes.create_string_buffer(9)
mine, theirs = Vec(ctypes.addressof(into), 9), Vec(int(sys.argv[1]), 9)
print(libc.process_vm_readv(os.getppid(), ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0))
print(into.raw)
"""
    program = "libc = ctypes.CDLL(None)\n" + code
    said = in_jail(program, str(ctypes.addressof(secret)))
    assert said.startswith("-1"), said


def test_the_start_costs_little(tmp_path: Path) -> None:
    """At most a fifth of a second of processor time."""
    path = media.write_wav(tmp_path / "a.wav", media.tone(1))
    read(path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(3):
        read(path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used_s / 3 < 0.2


def test_the_ear_hears_no_lies(tmp_path: Path) -> None:
    """A track's language that looks like a line of the decoder's is not even read."""
    path = tmp_path / "a.mkv"
    plain = media.write_wav(tmp_path / "plain.wav", media.tone(1), rate=1)
    lie = "language=eng): Audio: pcm, 16000 Hz, mono"
    media.ffmpeg("-i", plain, "-c", "copy", "-metadata:s:a:0", lie, path)
    with pytest.raises(UnsupportedAudio, match="1 Hz"):
        read(path)


# Bombs


def flac_with_comments(count: int) -> bytes:
    """A header that the libraries need ages to read."""
    comments = b"".join(
        struct.pack("<I", len(text)) + text for text in (b"k%d=v" % n for n in range(count))
    )
    block = struct.pack("<I", 0) + struct.pack("<I", count) + comments
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + b"\x03\xe8\x00\xf0" + bytes(20)
    return (
        b"fLaC\x00" + len(info).to_bytes(3, "big") + info
        + b"\x84" + len(block).to_bytes(3, "big") + block
    )  # fmt: skip


def test_a_header_that_takes_ages_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By processor time, and it is no use to try again."""
    monkeypatch.setattr("core.media.decoder.process._LOOK_CPU_S", 1)
    path = tmp_path / "a.flac"
    path.write_bytes(flac_with_comments(200_000))
    began = time.monotonic()
    with pytest.raises(DecodingTimedOut, match="processor time") as caught:
        read(path)
    assert not caught.value.retryable
    assert time.monotonic() - began < 20


def mp3_with_lyrics(folder: Path) -> Path:
    """A tag of four hundred thousand lines."""
    lyrics = b"\x00eng\x00" + b"la la la\n" * 400_000
    frame = b"USLT" + synchsafe(len(lyrics)) + bytes(2) + lyrics
    sound = media.encode(folder / "plain.mp3", media.tone(1)).read_bytes()
    path = folder / "a.mp3"
    path.write_bytes(b"ID3\x04\x00\x00" + synchsafe(len(frame)) + frame + sound)
    return path


def synchsafe(size: int) -> bytes:
    """A size of ID3's: seven bits a byte."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def flac_with_a_long_comment(folder: Path) -> Path:
    """One of three megabytes, between the header and the sound."""
    content = media.encode(folder / "plain.flac", media.tone(1)).read_bytes()
    comment = b"lyrics=" + b"la la la\n" * 350_000
    block = struct.pack("<III", 0, 1, len(comment)) + comment
    inserted = b"\x04" + len(block).to_bytes(3, "big") + block
    path = folder / "a.flac"
    path.write_bytes(content[:42] + inserted + content[42:])
    return path


def mkv_with_chapters(folder: Path) -> Path:
    """Thirty thousand chapters, which take a megabyte."""
    chapters = "".join(
        f"[CHAPTER]\nTIMEBASE=1/100000\nSTART={start}\nEND={start + 3}\ntitle=chapter {start}\n"
        for start in range(0, 90_000, 3)
    )
    (folder / "chapters").write_text(f";FFMETADATA1\n{chapters}")
    plain = media.write_wav(folder / "plain.wav", media.tone(1))
    path = folder / "a.mkv"
    media.ffmpeg("-i", plain, "-i", folder / "chapters", "-map_chapters", "1", path)
    return path


@pytest.mark.parametrize(
    "made",
    [mp3_with_lyrics, flac_with_a_long_comment, mkv_with_chapters],
    ids=["mp3", "flac", "mkv"],
)
def test_megabytes_of_metadata_hide_no_sound(made: Callable[[Path], Path], tmp_path: Path) -> None:
    """What a file says of itself costs no track, however much it is."""
    path = made(tmp_path)
    assert path.stat().st_size > 1_000_000
    assert read(path).duration == pytest.approx(1, abs=0.1)


def test_a_decoder_that_is_killed_is_no_fault_of_the_recording(tmp_path: Path) -> None:
    """As by a system that runs out of memory: the recording is not blamed."""
    path = media.write_wav(tmp_path / "a.wav", media.tone(60))
    limits = Limits(sys.executable, 60, lambda: False)
    with contextlib.closing(Decoder(path, asked_of(path, 0, 60, None), limits)) as decoder:
        messages = decoder.messages()
        next(messages)
        decoder._child.kill()
        with pytest.raises(InternalError, match="was killed"):
            list(messages)


@pytest.mark.parametrize("hours", [3, 24])
def test_stamps_far_apart_make_no_hours(hours: int, tmp_path: Path) -> None:
    """Two packets and a gap: refused, in little time and memory."""
    whole, path = tmp_path / "a.mka", tmp_path / "gap.mka"
    media.encode(whole, media.tone(2))
    jump = f"setts=ts=TS+if(gt(TS\\,1000)\\,{hours * 3_600_000}\\,0)"
    media.ffmpeg("-i", whole, "-c", "copy", "-bsf:a", jump, path)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((AudioTooLong, DamagedAudio)):
        read(path, max_duration_s=3 * 3600)
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("suffix", ["wav", "m4a", "aiff"])
def test_what_is_too_long_by_its_index_is_refused_at_once(suffix: str, tmp_path: Path) -> None:
    """Before a second of it is decoded."""
    path = media.encode(tmp_path / f"a.{suffix}", media.tone(60))
    with pytest.raises(AudioTooLong, match="longer than 20 s"):
        Stream(path, max_duration_s=20)
    assert read(path, max_duration_s=20, start_s=30, end_s=40).duration == 10


def test_a_length_that_the_file_cannot_have_is_not_believed(tmp_path: Path) -> None:
    """Ten hours in a header of ten seconds."""
    path = media.encode(tmp_path / "a.caf", media.tone(10))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    struct.pack_into(">q", content, at, 36_000 * 32_000)
    path.write_bytes(content)
    assert read(path, max_duration_s=20).duration == pytest.approx(10, abs=0.1)


# What is refused, each for its own reason


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html><head><title>Sign in</title>", "but a web page"),
        (b"\xef\xbb\xbf\n  <html lang='en'>", "but a web page"),
        (b'{"error": {"code": 403, "message": "sign in"}}', "but JSON"),
        (b'\xef\xbb\xbf[\n  {"id": 1}\n]', "but JSON"),
        (b"[playlist]\nFile1=a.mp3\n", "not a recording in a supported format; send"),
        (np.random.default_rng(0).integers(0, 20, 9_000, "u1").tobytes(), "raw samples"),
        (b"%PDF-1.7\x00\x01", "not a recording"),
    ],
    ids=["page", "page-with-mark", "json", "json-with-mark", "list", "raw", "pdf"],
)
def test_what_came_instead_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    """So that the caller knows what to do."""
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnsupportedAudio, match=says):
        read(path)


@pytest.mark.parametrize("codec", ["wavpack", "tta", "truehd"])
def test_a_codec_that_is_not_read_is_named(codec: str, tmp_path: Path) -> None:
    """It is whole, only not of use here."""
    path = tmp_path / "a.mkv"
    plain = media.write_wav(tmp_path / "a.wav", media.tone(2, rate=48_000), rate=48_000)
    media.ffmpeg("-i", plain, "-c:a", codec, "-strict", "-2", path)
    with pytest.raises(UnsupportedAudio, match=f"coded as {codec}"):
        read(path)


@pytest.mark.parametrize("first", ["wavpack", "tta"])
def test_a_track_that_can_be_read_is_taken_and_the_other_named(first: str, tmp_path: Path) -> None:
    """Whichever comes first."""
    plain = media.write_wav(tmp_path / "a.wav", media.beeps(3))
    path = tmp_path / "a.mkv"
    media.ffmpeg(
        "-i", plain, "-map", "0", "-map", "0", "-c:a:0", first, "-c:a:1", "aac", path
    )  # fmt: skip
    waveform = read(path)
    assert waveform.duration == pytest.approx(3, abs=0.1)
    assert f"track 1 (codec {first})" in " ".join(waveform.warnings)


@pytest.mark.parametrize("suffix", ["mp3", "aac", "wav", "flac", "ogg", "m4a"])
@pytest.mark.parametrize("seconds", [0.02, 0.06, 0.2])
def test_a_very_short_recording_is_a_recording(seconds: float, suffix: str, tmp_path: Path) -> None:
    """With hardly a frame in it."""
    waveform = read(media.encode(tmp_path / f"a.{suffix}", media.tone(seconds)))
    assert 0 < waveform.duration < 0.4


@pytest.mark.parametrize(
    "answer", [b"", b"H", b"H\x02\x00\x00\x00{}", b"S\xff\xff\xff\xff", b"x" * 99]
)
def test_a_decoder_that_talks_nonsense_is_damage(answer: bytes, tmp_path: Path) -> None:
    """A child that a file took over can say anything, and it is still an error of ours."""
    program = tmp_path / "python"
    (tmp_path / "answer").write_bytes(answer)
    program.write_text(f"#!/bin/sh\nexec /bin/cat {tmp_path}/answer\n")
    program.chmod(0o755)
    with pytest.raises(WorkerError):
        read(media.write_wav(tmp_path / "a.wav", media.tone(1)), python=str(program))
