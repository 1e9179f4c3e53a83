"""The README's commands, run as they are written."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.local_api import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_one_request_works_as_printed(tmp_path: Path) -> None:
    """Starting the worker and posting the sample with the printed lines gives a transcript with
    speakers.
    """
    (commands,) = [
        block
        for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
        if "handlers.single" in block
    ]
    script = commands.replace("8123", str(free_port())).replace(".venv/bin/python", sys.executable)
    environment = {**os.environ, "TEMP_DIR": str(tmp_path / "jobs"), "HF_HUB_OFFLINE": "1"}
    with (tmp_path / "printed").open("wb") as printed:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=ROOT,
            env=environment,
            stdout=printed,
            start_new_session=True,
        )
    try:
        assert shell.wait(timeout=200) == 0
    finally:
        os.killpg(shell.pid, signal.SIGKILL)  # the worker that the lines leave running
    answer = json.loads(
        next(
            line
            for line in (tmp_path / "printed").read_text().splitlines()
            if line.startswith('{"id"')
        )
    )
    assert answer["status"] == "COMPLETED"
    assert answer["output"]["num_speakers"] > 1


def test_every_page_that_the_readme_names_is_there() -> None:
    """No link of the README leads nowhere."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
