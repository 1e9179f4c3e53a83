"""docs/CLI.md against the command: its commands are run, its tables and lines are true.

What it does on this machine's models is in tests/slow/test_command_line.py; here those commands are
only read, because models take long to load.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.domain.request import Edits
from core.modelstore.places import VOLUME
from handlers.cli.command import NAME, build
from handlers.cli.completion import completion
from handlers.cli.options import FORMATS, Options
from tests.core.modelstore.test_modelstore import REPOSITORIES
from tests.docs.pages import ROOT, blocks, read, rows
from tests.examples.conftest import Platform, Worker, platform, run, server
from tests.handlers.cli.conftest import BROKEN, SOUND, Command, command, files, lines, picky
from tests.handlers.cli.test_server import OpenAi, openai
from tests.hub import Hub, serve

__all__ = ["command", "openai", "platform", "run", "server"]

LINES = [
    line
    for block in blocks("CLI")
    if block.language == "sh"
    for line in block.text.strip().splitlines()
]
TRANSCRIBE = [line for line in LINES if line.startswith(f"{NAME} transcribe")]
MODELS = [line for line in LINES if line.startswith(f"{NAME} models")]
OTHERS = ["export RUNPOD_API_KEY=…", f"source <({NAME} completion bash)"]


def options(line: str) -> Options:
    """What a command says."""
    return Options.of(build().parse_args(shlex.split(line)[1:]))


def transcribe_parser() -> argparse.ArgumentParser:
    """The parser of `transcribe`."""
    (commands,) = [
        action for action in build()._actions if isinstance(action, argparse._SubParsersAction)
    ]
    return commands.choices["transcribe"]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """The recordings that the page names."""
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "one.wav").write_bytes(SOUND)
    (tmp_path / "call.mp3").write_bytes(SOUND)
    return tmp_path


def test_no_command_escapes_the_tests_below() -> None:
    """Each is one of the three kinds, or one of the two lines beside them."""
    assert sorted(LINES) == sorted([*TRANSCRIBE, *MODELS, *OTHERS])
    assert {block.language for block in blocks("CLI")} == {"sh", "json"}


def test_commands_for_this_machine_are_understood() -> None:
    """Their words, numbers and formats."""
    local = [one for one in map(options, TRANSCRIBE) if not (one.endpoint or one.server)]
    usual = ("srt", "txt")
    assert [one.formats for one in local] == [usual, ("html", "json"), usual, usual, ("txt",)]
    assert [one.question.speakers is None for one in local] == [False] * 4 + [True]
    assert [one.name for one in local[2].question.known] == ["Ada", "Grace"]
    assert local[3].question.keyterms == ("Osei", "Ringstrasse")
    assert local[3].question.edits == Edits({"acme": "ACME"}, remove_fillers=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\S+ -m handlers\.cli (.+)$", readme, re.MULTILINE)
    assert options(f"{NAME} {line}").formats == ("srt", "html")


def test_the_command_for_an_endpoint_works(
    command: Command, calls: Path, platform: Platform
) -> None:
    """As printed, but for the endpoint's id."""
    (line,) = [line for line in TRANSCRIBE if "--endpoint" in line]
    name = platform.open(Worker(behaviour=picky), concurrency=8).name
    ended = command(*shlex.split(line.replace("abc123xyz", name))[1:])
    assert ended.code == 0
    assert files(calls / "away") == {"talk.srt", "talk.txt", "one.srt", "one.txt"}


def test_the_command_for_a_server_works(command: Command, calls: Path, openai: OpenAi) -> None:
    """As printed, but for the server's port."""
    (line,) = [line for line in TRANSCRIBE if "--server" in line]
    ended = command(*shlex.split(line.replace("http://localhost:8000", openai.url))[1:])
    assert [one["status"] for one in lines(ended)] == ["written"]
    assert files(calls / "served") == {"one.vtt"}


def test_the_lines_of_json_are_those_that_are_printed(
    command: Command, calls: Path, platform: Platform
) -> None:
    """Of one that was written and one that failed."""
    (calls / "calls" / "two.wav").write_bytes(BROKEN)
    name = platform.open(Worker(behaviour=picky)).name
    ended = command(
        *("transcribe", "calls", "--out", "served", "--json", "--format", "vtt"),
        *("--endpoint", name),
    )
    printed = {one["source"]: one for one in lines(ended)}
    for block in (block for block in blocks("CLI") if block.language == "json"):
        shown = block.json
        assert printed[shown["source"]] | {"warnings": []} == shown | {"warnings": []}


def test_models_are_fetched_and_checked_as_printed(tmp_path: Path) -> None:
    """From a hub on the loopback, into a folder instead of the volume."""
    assert len(MODELS) == 2
    with serve(Hub(REPOSITORIES)) as hub:
        for line in MODELS:
            words = shlex.split(line.replace(str(VOLUME), str(tmp_path / "volume")))[1:]
            ended = subprocess.run(
                [sys.executable, "-m", "handlers.cli", *words],
                cwd=ROOT,
                env={**os.environ, "HF_ENDPOINT": hub.url, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr
            assert "nvidia/parakeet-tdt-0.6b-v2" in ended.stdout


def test_the_table_has_every_option_with_its_default() -> None:
    """And no other."""
    table = {row[0].strip("`"): row[1] for row in rows(read("CLI"), "Transcribe")}
    actions = {
        action.option_strings[-1]: action
        for action in transcribe_parser()._actions
        if action.option_strings and action.dest != "help"
    }
    assert table.keys() == actions.keys()
    assert table["--format"] == f"`{','.join(actions['--format'].default)}`"
    assert table["--out"] == f"`{actions['--out'].default}`"
    assert table["--speakers"] == f"`{actions['--speakers'].default}`"
    (row,) = [row for row in rows(read("CLI"), "Transcribe") if row[0] == "`--format`"]
    assert tuple(re.findall(r"`(\w+)`", row[2])) == FORMATS


def test_the_page_and_the_help_have_the_same_exit_codes() -> None:
    """0, 1, 2 and 130."""
    codes = [row[0] for row in rows(read("CLI"), "Many recordings")]
    assert codes == re.findall(r"\b(\d+) \w", build().format_help().partition("exit codes:")[2])


def test_completion_is_a_script_of_bash() -> None:
    """Which bash takes without a word."""
    ended = subprocess.run(
        ["bash", "-n"],
        input=completion("bash", build()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
