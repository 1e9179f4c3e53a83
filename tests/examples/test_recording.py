"""A file becomes a field of the request, whatever its size."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from core.media.audio import SAMPLE_RATE
from examples import progress
from examples.client import JobError
from examples.recording import OTHER_FIELDS_BYTES, RUN_BYTES, RUNSYNC_BYTES, audio_field, shrink
from tests.examples.conftest import ROOT, TEXT, Platform, Run, Worker
from tests.media import PACKAGED, beeps, tone, write_wav

DIALOGUE = ROOT / "examples" / "dialogue.mp3"
DIALOGUE_S = 53.9


def decoded(audio: bytes) -> np.ndarray:
    """Samples, float32, shape (samples,), 16 kHz mono."""
    command = [
        PACKAGED,
        "-loglevel",
        "error",
        "-i",
        "pipe:0",
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        str(SAMPLE_RATE),
        "pipe:1",
    ]
    done = subprocess.run(command, input=audio, capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<i2").astype(np.float32) / 32_768


def quiet_wav(path: Path, hours: float) -> Path:
    """Silence as 8-bit samples at 8 kHz, which take 29 MB an hour."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * round(8000 * 3600 * hours))
    return path


def test_a_url_goes_as_it_is() -> None:
    """The worker fetches it."""
    assert audio_field("https://example.com/a.mp3?signature=1") == {
        "audio_url": "https://example.com/a.mp3?signature=1"
    }


def test_a_file_that_fits_goes_as_it_is() -> None:
    """Byte for byte."""
    assert audio_field(str(DIALOGUE)) == {
        "audio_base64": base64.b64encode(DIALOGUE.read_bytes()).decode()
    }


@pytest.mark.parametrize("most", [RUN_BYTES, RUNSYNC_BYTES])
def test_the_largest_file_that_goes_as_it_is_makes_a_request_that_fits(
    most: int, tmp_path: Path
) -> None:
    """With room for the other fields, and without giving room away."""
    path = tmp_path / "large.wav"
    path.write_bytes(bytes((most - OTHER_FIELDS_BYTES) // 4 * 3))
    request = json.dumps({"input": audio_field(str(path), most)}).encode()
    assert most - 2 * OTHER_FIELDS_BYTES < len(request) < most - OTHER_FIELDS_BYTES / 2


def test_a_file_over_the_limit_arrives_as_opus(
    tmp_path: Path, platform: Platform, run: Run
) -> None:
    """11 MB of wav come through /run; what is heard in it, and when, stays."""
    seconds = 344
    samples = np.zeros(seconds * SAMPLE_RATE, np.float32)
    at = np.arange(0, seconds, 43) * SAMPLE_RATE
    for start in at:
        samples[start : start + SAMPLE_RATE] = beeps(1)
    path = write_wav(tmp_path / "long.wav", samples)
    assert path.stat().st_size > RUN_BYTES
    worker = Worker()
    endpoint = platform.open(worker)
    ended = run(progress.main, path, "--endpoint", endpoint.name)
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")
    audio = base64.b64decode(worker.asked[0].audio_base64)
    assert audio[:4] == b"OggS"
    assert b"OpusHead" in audio[:100]
    assert len(audio) < RUN_BYTES / 4
    heard = np.abs(decoded(audio))
    assert len(heard) / SAMPLE_RATE == pytest.approx(seconds, abs=0.1)
    tenths = (
        np.resize(heard, 10 * seconds * SAMPLE_RATE // 10)
        .reshape(-1, SAMPLE_RATE // 10)
        .max(axis=1)
    )
    assert np.flatnonzero(tenths > 0.1).tolist() == [
        10 * start // SAMPLE_RATE + tenth for start in at for tenth in (0, 1)
    ]


def test_what_ffmpeg_reads_is_encoded_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also mp3, and on a machine that has no ffmpeg but that of the wheel; no temporary file is
    left behind.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opus = shrink(DIALOGUE, 130_000)
    assert 100_000 < len(opus) <= 130_000
    assert len(decoded(opus)) / SAMPLE_RATE == pytest.approx(DIALOGUE_S, abs=0.2)
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_even_so_is_refused_with_the_way_out(
    tmp_path: Path, platform: Platform, run: Run
) -> None:
    """More than an hour by /run: use a URL. Nothing is sent."""
    endpoint = platform.open(Worker())
    ended = run(
        progress.main, quiet_wav(tmp_path / "hearing.wav", 1.1), "--endpoint", endpoint.name
    )
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "source_too_large: hearing.wav: 1.1 hours do not fit into a request, even as opus; put "
        "it where a URL leads to it and give that"
    )
    assert endpoint.queue.ever == []


def test_a_large_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    """Not ffmpeg's complaint, not a path."""
    path = tmp_path / "backup.mp3"
    path.write_bytes(b"no sound at all " * 500_000)
    with pytest.raises(
        JobError, match=r"^unsupported_audio: backup\.mp3: ffmpeg cannot read it as a recording$"
    ):
        audio_field(str(path))


def test_ctrl_c_while_a_recording_shrinks_leaves_no_file(tmp_path: Path) -> None:
    """ffmpeg is still at work: neither its files nor ours stay."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(f"#!/bin/sh\ntouch {tmp_path}/begun\nexec sleep 60\n")
    ffmpeg.chmod(0o755)
    recording = write_wav(tmp_path / "long.wav", tone(600))
    program = subprocess.Popen(
        [sys.executable, "-m", "examples.sync", str(recording), "--endpoint", "none"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary), "FFMPEG_BINARY": str(ffmpeg)}
        | {"RUNPOD_API_KEY": "key", "RUNPOD_ENDPOINT_BASE_URL": "http://127.0.0.1:9"},
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert program.poll() is None, program.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list(temporary.iterdir())
    os.killpg(program.pid, signal.SIGINT)
    _, error = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in error
    assert list(temporary.iterdir()) == []
