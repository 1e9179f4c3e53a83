"""The README: its request is sent as printed, its picture is one of the demo, its links work."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.untimed import untimed
from examples.demo import CONFIG, picture, roles
from tests.docs.pages import ROOT, linked

README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "demo.svg"


def block(language: str, containing: str) -> str:
    """The one fenced block of a language with these words in it."""
    (found,) = [
        text
        for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
        if containing in text
    ]
    return str(found)


def rounded(value: Any) -> Any:
    """An answer with the times taken out: beside it, the times in their order."""
    times: list[float] = []

    def plain(part: Any) -> Any:
        if isinstance(part, float):
            times.append(part)
            return 0.0
        if isinstance(part, list):
            return [plain(one) for one in part]
        return {name: plain(one) for name, one in part.items()} if isinstance(part, dict) else part

    return plain(value), times


def test_the_one_request_gets_the_answer_that_is_printed(tmp_path: Path) -> None:
    """The printed lines start a worker, send the sample and end the worker; the answer is the one
    on the page, with each time within two frames of the model.
    """
    # Not one that the system gives to servers of other tests before this one takes it.
    with socket.create_server(("127.0.0.1", 20_000 + os.getpid() % 10_000)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "worker.log"
    script = block("sh", "handlers.single").replace("8123", str(port))
    for shown, real in {".venv/bin/python": sys.executable, "/tmp/worker.log": str(log)}.items():
        assert shown in script
        script = script.replace(shown, real)
    environment = {**os.environ, "TEMP_DIR": str(tmp_path / "jobs"), "HF_HUB_OFFLINE": "1"}
    shell = subprocess.Popen(
        ["bash", "-c", f"{script}\nwait"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        raise
    answer, shown = json.loads(printed), json.loads(block("json", '"COMPLETED"'))
    assert set(answer) == set(shown)
    assert answer["status"] == shown["status"]
    assert set(answer["output"]["usage"]["seconds"]) == set(shown["output"]["usage"]["seconds"])
    said, times = rounded(untimed(answer["output"]))
    expected, expected_times = rounded(untimed(shown["output"]))
    assert said == expected
    assert times == pytest.approx(expected_times, abs=0.17)


def test_every_link_leads_somewhere() -> None:
    """To a file of the repository; what lies elsewhere is named by https."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    own = [target for target in targets if not target.startswith("https://")]
    assert [target for target in own if not (ROOT / target).exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    """By following links from page to page."""
    pages = set(ROOT.glob("docs/**/*.md")) | {*ROOT.glob("*.md")}
    assert pages - linked(ROOT / "README.md") == set()


# the picture


def words(svg: str) -> str:
    """What is written in a picture, from top to bottom."""
    return html.unescape(re.sub(r"<[^>]+>", "", svg)).replace("\N{NO-BREAK SPACE}", " ")


def test_the_picture_is_small_and_asks_nobody_for_anything() -> None:
    """It is drawn without a font or a script from elsewhere."""
    drawn = PICTURE.read_text(encoding="utf-8")
    assert PICTURE.stat().st_size <= 150_000
    addresses = set(re.findall(r"https?://[^\s\"'<]+", drawn))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert not re.search(r"<script|url\((?!#)|@import|href", drawn)


def test_the_picture_shows_the_workers_and_the_transcript() -> None:
    """All roles, and the end of the run with its figures and files."""
    drawn = words(PICTURE.read_text(encoding="utf-8"))
    for told in (
        *(f"{role} ready after" for role in roles(CONFIG)),
        "3 speakers",
        "54 s of audio in",
    ):
        assert told in drawn
    assert re.search(r"of \d+ words \d+ are right, and \d+ have the right speaker", drawn)
    assert "left behind" in drawn


def test_a_picture_is_drawn_of_any_run() -> None:
    """The lines around the transcript, a colour for each speaker, and how much more there is."""
    segments = [
        {"start": second, "end": second + 1, "speaker": speaker, "text": f"word{second}"}
        for second, speaker in enumerate(["1", "2", None, "Ada"] * 5)
    ]
    lines = ["a.mp3", *(f"  {role} ready" for role in roles(CONFIG)), "20 s of audio in 1.0 s"]
    drawn = picture(lines, {"num_speakers": 2, "duration": 20.0, "segments": segments})
    text = words(drawn)
    assert all(line in text for line in lines)
    assert "word13" in text
    assert "word14" not in text
    assert "… and 6 more lines" in text
    assert "@font-face" not in drawn
