"""The commands of the guides, run: requests against the platform's emulation, programs of ours as
they are, downloads from a hub on the loopback, builds as dry runs.

A page's blocks of `sh` run from top to bottom in bash; the platform's address becomes the
emulator's, `export NAME=…` what the test has there. A block of JSON marked `printed` is what the
command before it prints: the same fields of the same kinds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core.flows import orchestrated
from core.settings import Settings
from core.wire.job_input import DiarizationInput, TranscriptionInput
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from tests.asking import handler_of
from tests.core.modelstore.test_modelstore import REPOSITORIES
from tests.docs.pages import GUIDES, ROOT, Block, blocks, read
from tests.examples.conftest import QUICK, TEXT, Platform, Worker
from tests.hub import Hub, serve

PLATFORM = "https://api.runpod.ai/v2"
VOLUME = "/runpod-volume"
TOKEN = "hf_accepted"
FINAL = ("COMPLETED", "FAILED")
WITH_COMMANDS = [page for page in GUIDES if any(block.language == "sh" for block in blocks(page))]
COMMANDS = re.compile(
    r"export [A-Z_]+=\S+(?: [A-Z_]+=\S+)*"
    r"|(?:printf .+ \| )?curl -s \S+.*"
    r"|\./build-docker\.sh .+"
    r"|\.venv/bin/python -m (?:examples|core)\.\w+ .+"
    r"|make [\w-]+"
)
"""The commands that a block may have, one a line: those that are run here."""


def commands(block: Block) -> list[str]:
    """The commands of a block, a line each: what ends with a backslash or a bar goes on."""
    return re.sub(r"(\\|(?<=\|))\n\s*", " ", block.text).strip().splitlines()


@dataclass
class Shell:
    """Runs a page's commands one after the other; what one printed the next may need."""

    platform: str
    volume: Path
    environment: dict[str, str]
    printed: str = ""
    """By all commands so far."""
    answers: list[Any] = field(default_factory=list)
    """The JSON that commands printed."""

    def run(self, block: Block) -> None:
        """Run a block; if it asks for a job's status, repeat it until the status is final."""
        deadline = time.monotonic() + 60
        self._once(block)
        while "/status/" in block.text and self.answers[-1]["status"] not in FINAL:
            assert time.monotonic() < deadline, self.answers[-1]
            time.sleep(0.1)
            self._once(block)

    def run_python(self, block: Block) -> str:
        """Run a program and return what it prints."""
        program = block.text.replace(PLATFORM, self.platform).replace("sleep(2)", "sleep(0.1)")
        before = len(self.printed)
        self._ended([sys.executable, "-c", program])
        return self.printed[before:]

    def _once(self, block: Block) -> None:
        script = "\n".join(self._runnable(line) for line in commands(block))
        printed = self._ended(["bash", "-euo", "pipefail", "-c", script])
        if printed.startswith("{"):
            self.answers.append(json.loads(printed))
            self.environment["JOB_ID"] = self.answers[-1].get("id", "")

    def _ended(self, command: list[str]) -> str:
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, f"{command[-1]}\n{ended.stdout}\n{ended.stderr}"
        self.printed += ended.stdout
        return ended.stdout

    def _runnable(self, line: str) -> str:
        """A command as it is run here."""
        if line.startswith("export "):
            assert all(name in self.environment for name in re.findall(r"([A-Z_]+)=", line)), line
            return ""
        if line.startswith("./build-docker.sh"):
            return f"{line} --dry-run"
        if line.startswith("make "):
            return line.replace("make", "make -n", 1)
        for shown, real in {
            ".venv/bin/python": sys.executable,
            PLATFORM: self.platform,
            VOLUME: str(self.volume),
        }.items():
            line = line.replace(shown, real)
        return line


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An emulator that takes any key."""
    with Server(rules=QUICK) as running:
        yield running


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with the models that the guides name, gated."""
    with serve(Hub(REPOSITORIES, gated=True, accepted=TOKEN)) as running:
        yield running


@pytest.fixture
def shell(server: Server, hub: Hub, tmp_path: Path) -> Iterator[Shell]:
    """Bash, with an endpoint of each role where the guides' variables say; models' answers are
    given, the rest is ours.
    """
    opened = Platform(server)
    volume = tmp_path / "volume"
    volume.mkdir()
    words = opened.open(Worker(TranscriptionInput)).name
    turns = opened.open(Worker(DiarizationInput)).name
    settings = Settings(
        transcription_endpoint_id=words,
        diarization_endpoint_id=turns,
        runpod_endpoint_base_url=server.base_url,
        runpod_api_key="rpa_KEY",
    )
    orchestrate = handler_of(orchestrated.load(settings))

    async def handle(job: dict[str, Any], line: Line) -> object:
        del line
        return await orchestrate(job)

    server.simulate("orchestrator", handle, bounds=Bounds(min_workers=1, max_workers=1))
    opened.opened.append("orchestrator")
    yield Shell(
        server.base_url,
        volume,
        {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "MODEL_REVISION": "0" * 40,
            "DIARIZATION_MODEL_REVISION": "1" * 40,
            "RUNPOD_API_KEY": "rpa_KEY",
            "RUNPOD_ENDPOINT_BASE_URL": server.base_url,
            "RUNPOD_ENDPOINT_ID": opened.open(Worker()).name,
            "ORCHESTRATOR_ENDPOINT_ID": "orchestrator",
            "TRANSCRIPTION_ENDPOINT_ID": words,
            "DIARIZATION_ENDPOINT_ID": turns,
            "JOB_ID": "",
        },
    )
    for name in opened.opened:
        server.remove(name)


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_is_of_a_kind_that_is_run(page: str) -> None:
    """A command of another kind would be one that nobody has tried."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in commands(block)]
    assert [line for line in lines if not COMMANDS.fullmatch(line)] == []


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_commands_of_a_page_work_in_their_order_and_print_what_it_shows(
    page: str, shell: Shell
) -> None:
    """Each ends well, each answer has the shape of the one on the page, and images have the names
    that the page goes on with.
    """
    for block in blocks(page):
        if block.language == "sh":
            shell.run(block)
        elif block.mark == "printed":
            assert differences(block.json, shell.answers[-1]) == []
    assert all(image in shell.printed for image in re.findall(r"you/parakeet-[\w:.-]+", read(page)))
    jobs = [answer for answer in shell.answers if answer.get("status") in FINAL]
    assert all(TEXT.split()[0] in json.dumps(job) for job in jobs)


@pytest.mark.parametrize("page", ["QUICK_START_RUNPOD", "SPLIT_ARCHITECTURE"])
def test_the_client_on_a_page_prints_the_transcript(page: str, shell: Shell) -> None:
    """As it is, but for the platform's address: the words, each with its speaker."""
    (client,) = [block for block in blocks(page) if block.mark == "client"]
    lines = shell.run_python(client).splitlines()
    assert lines[-3:] == ["1 Are you ready?", "2 Yes.", "1 Let's go."]


def test_a_client_on_a_page_says_why_a_job_failed(shell: Shell) -> None:
    """In one line, with an exit code that is not 0."""
    (client,) = [block for block in blocks("QUICK_START_RUNPOD") if block.mark == "client"]
    missing = replace(client, text=client.text.replace("interview", "missing"))
    with pytest.raises(AssertionError, match=r"download_failed: example\.com answered") as failed:
        shell.run_python(missing)
    assert "Traceback" not in str(failed.value)


def test_the_orchestrator_that_a_guide_asks_answers(shell: Shell) -> None:
    """The job that the split guide submits ends with a transcript."""
    (ask,) = [
        block
        for block in blocks("SPLIT_ARCHITECTURE")
        if "ORCHESTRATOR_ENDPOINT_ID" in block.text and "curl" in block.text
    ]
    shell.run(ask)
    status = f"{PLATFORM}/$ORCHESTRATOR_ENDPOINT_ID/status/$JOB_ID"
    look = f'curl -s "{status}" -H "Authorization: Bearer $RUNPOD_API_KEY"'
    shell.run(Block("test", 0, "sh", "", "", look))
    assert shell.answers[-1]["output"]["vtt"].startswith("WEBVTT")


def differences(shown: object, printed: object, where: str = "answer") -> list[str]:
    """Return the places at which a JSON value has another shape than a page shows.

    Names and kinds are compared, states word for word, and of a list the first that both have.
    """
    if isinstance(shown, dict) and isinstance(printed, dict):
        known = (
            [f"{where}: {sorted(shown)} is {sorted(printed)}"] if set(shown) != set(printed) else []
        )
        return known + [
            found
            for name in set(shown) & set(printed)
            for found in differences(shown[name], printed[name], f"{where}.{name}")
        ]
    if isinstance(shown, list) and isinstance(printed, list):
        return [
            found
            for one, other in zip(shown[:1], printed, strict=False)
            for found in differences(one, other, f"{where}[0]")
        ]
    is_same = (
        shown == printed
        if where.endswith((".status", ".success"))
        else type(shown) is type(printed)
    )
    return [] if is_same else [f"{where}: {shown!r} is {printed!r}"]


def test_the_volume_that_the_guide_fills_holds_both_models(shell: Shell) -> None:
    """After the page's own commands: the speech model's one file, and the speaker model's
    configuration.
    """
    (fill,) = [block for block in blocks("RUNPOD_DEPLOYMENT") if "--prefetch" in block.text]
    shell.run(fill)
    assert [path.name for path in (shell.volume / "parakeet-models").rglob("*.nemo")] == [
        "parakeet.nemo"
    ]
    assert len(list((shell.volume / "parakeet-models").rglob("config.yaml"))) == 1
