"""The command line on this machine's models: twenty recordings, three of them broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.handlers.cli.conftest import files
from tests.media import ffmpeg

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests" / "golden" / "dialogue.mp3"
KINDS = ("wav", "mp3", "flac", "ogg", "m4a", "mp4")
BROKEN = {
    "empty.wav": b"",
    "text.mp3": b"not a recording at all " * 100,
    "cut.flac": b"fLaC\x00\x00\x00\x22" + bytes(20),
}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, on the embedded models."""
    return subprocess.run(
        [sys.executable, "-m", "handlers.cli", "transcribe", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TEMP_DIR": str(folder / ".tmp"),
            **dict.fromkeys(("MODEL_ID", "DIARIZATION_MODEL_ID"), "embedded"),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_seventeen_of_twenty_are_written_and_three_are_told(tmp_path: Path) -> None:
    """Exit code 1; again, nothing is done anew, and no model is loaded for nothing."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for at in range(17):
        kind = KINDS[at % len(KINDS)]
        ffmpeg("-ss", str(at), "-t", "4", "-i", RECORDING, recordings / f"call{at:02d}.{kind}")
    for name, content in BROKEN.items():
        (recordings / name).write_bytes(content)
    first = run(tmp_path, "recordings", "--out", "out", "--json", "--format", "srt,html")
    told = [json.loads(line) for line in first.stdout.splitlines()]
    assert first.returncode == 1
    assert sorted(one["status"] for one in told) == ["failed"] * 3 + ["written"] * 17
    failed = {Path(one["source"]).name: one["error"] for one in told if "error" in one}
    assert failed.keys() == BROKEN.keys()
    assert failed["empty.wav"]["code"] == "empty_audio"
    assert all(error["message"] for error in failed.values())
    assert len(files(tmp_path / "out")) == 2 * 17

    for name in BROKEN:
        (recordings / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = run(tmp_path, "recordings", "--out", "out", "--format", "html,srt")
    assert again.returncode == 0
    assert again.stderr.endswith("0 written, 17 there already, 0 failed\n")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
