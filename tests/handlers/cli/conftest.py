"""An emulator with workers that answer as ours do, and a way to run the commands here."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import UnsupportedAudio
from core.wire.job_input import AudioInput
from handlers.cli.command import main
from tests.examples.conftest import (
    Ended,
    Platform,
    Run,
    Worker,
    no_pauses,
    platform,
    run,
    server,
    stuck,
)

__all__ = ["no_pauses", "platform", "run", "server", "stuck"]

BROKEN = b"not a recording"
SOUND = b"RIFF, as far as the worker of the test cares"
SUFFIXES = ("wav", "mp3", "flac", "m4a", "opus", "MP4")

Command = Callable[..., Ended]


def picky(request: AudioInput) -> None:
    """Refuse what is no recording."""
    value = request.recording.source.value
    if "://" not in value and base64.b64decode(value) == BROKEN:
        raise UnsupportedAudio("not a recording in a supported format; send one of wav, mp3")


@pytest.fixture
def endpoint(platform: Platform) -> Worker:
    """A single worker behind the endpoint `given` of the emulator, which says what it was asked."""
    worker = Worker(behaviour=picky)
    worker.name = platform.open(worker, concurrency=4).name  # type: ignore[attr-defined]
    return worker


@pytest.fixture
def command(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `parakeet-workers` here, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(main, *arguments)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Twenty recordings of six kinds in two folders, three of them broken, and a file that is
    none.
    """
    folder = tmp_path / "recordings"
    (folder / "may").mkdir(parents=True)
    for at in range(20):
        place = folder / "may" if at % 3 == 0 else folder
        content = BROKEN if at in (4, 9, 13) else SOUND + bytes([at])
        (place / f"call{at:02d}.{SUFFIXES[at % len(SUFFIXES)]}").write_bytes(content)
    (folder / "notes.txt").write_text("no recording")
    (folder / ".hidden.wav").write_bytes(SOUND)
    return folder


def lines(ended: Ended) -> list[dict[str, Any]]:
    """The lines of JSON that a command printed."""
    return [json.loads(line) for line in ended.out.splitlines()]


def files(folder: Path) -> set[str]:
    """All files below a folder but the record."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".parakeet-workers.json"
    }
