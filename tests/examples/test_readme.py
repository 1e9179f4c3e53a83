"""examples/README.md: its commands run as they are written, its figures are those of the code."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from core.wire.job_input import DiarizationInput, TranscriptionInput
from examples.recording import (
    BEST_KBPS,
    CONTAINER_SHARE,
    LEAST_KBPS,
    OTHER_FIELDS_BYTES,
    RUN_BYTES,
    RUNSYNC_BYTES,
)
from tests.examples.conftest import ROOT, TEXT, Platform, Run, Worker
from tests.examples.test_webhook import port

__all__ = ["port"]
README = (ROOT / "examples" / "README.md").read_text()
COMMANDS = re.findall(r"`\.venv/bin/python -m examples\.(\w+) ([^`]+)`", README)


def test_every_program_is_in_the_table() -> None:
    """With a command."""
    programs = {
        path.stem
        for path in (ROOT / "examples").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    }
    assert {program for program, _ in COMMANDS} == programs - {"demo"}


@pytest.mark.parametrize(
    ("program", "arguments"), COMMANDS, ids=[program for program, _ in COMMANDS]
)
def test_the_commands_work_as_printed(
    program: str,
    arguments: str,
    port: int,
    tmp_path: Path,
    platform: Platform,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the printed environment, apart from the ports."""
    endpoints = {
        "RUNPOD_ENDPOINT_ID": Worker(),
        "TRANSCRIPTION_ENDPOINT_ID": Worker(TranscriptionInput),
    }
    for variable, worker in {
        **endpoints,
        "DIARIZATION_ENDPOINT_ID": Worker(DiarizationInput),
    }.items():
        assert f"{variable}=" in README
        monkeypatch.setenv(variable, platform.open(worker).name)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    ended = run(
        importlib.import_module(f"examples.{program}").main,
        *shlex.split(arguments.replace("8080", str(port))),
    )
    assert ended.code == 0
    printed = ended.out + "".join(
        path.read_text() for path in (tmp_path / "demo-output").rglob("*.txt")
    )
    assert TEXT.split()[-1] in printed


@pytest.mark.parametrize("limit", [RUN_BYTES, RUNSYNC_BYTES])
def test_the_sizes_in_the_table_are_those_of_the_code(limit: int) -> None:
    """Megabytes to the second decimal; minutes and hours rounded down to what can be remembered."""
    row = next(line for line in README.splitlines() if f"| {limit // 1_000_000} MB |" in line)
    room = (limit - OTHER_FIELDS_BYTES) // 4 * 3
    assert f"| {room / 1e6:.2f} MB |" in row
    fits_s = [room * 8 / 1000 * (1 - CONTAINER_SHARE) / kbps for kbps in (BEST_KBPS, LEAST_KBPS)]
    told_s = [
        int(number) * (60 if unit == "minutes" else 3600)
        for number, unit in re.findall(r"(\d+) (minutes|hours?)", row)
    ]
    assert all(0.95 * fits <= told <= fits for told, fits in zip(told_s, fits_s, strict=True))


def test_every_page_that_it_names_is_there() -> None:
    """No link leads nowhere."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / "examples" / target).exists()] == []
