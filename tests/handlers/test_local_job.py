"""A worker that is started where there is no RunPod does the job of test_input.json and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMBEDDED = {"MODEL_ID": "embedded", "DIARIZATION_MODEL_ID": "embedded"}


def worker(role: str, folder: Path, temp_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a role to its end."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("RUNPOD_")
    }
    return subprocess.run(
        [sys.executable, "-m", f"handlers.{role}"],
        cwd=folder,
        env={**inherited, **EMBEDDED, "TEMP_DIR": str(temp_dir), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("single", "Speak louder, please"),
        ("transcription", "Speak louder, please"),
        ("diarization", "'speaker': '2'"),
    ],
)
def test_each_role_does_the_job_that_ships(role: str, said: str, tmp_path: Path) -> None:
    """The SDK prints the answer and ends well; no file stays."""
    done = worker(role, ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Job local_test completed successfully." in done.stdout
    assert said in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_fails_ends_badly(tmp_path: Path) -> None:
    """With its error, and exit code 1."""
    (tmp_path / "test_input.json").write_text(json.dumps({"input": {"audio": "no base64 !"}}))
    done = worker("diarization", tmp_path, tmp_path / "jobs")
    assert done.returncode == 1
    assert "Job local_test failed with error: invalid_base64: " in done.stdout


def test_the_job_that_ships_is_small() -> None:
    """It lies in the repository."""
    assert (ROOT / "test_input.json").stat().st_size <= 100_000
