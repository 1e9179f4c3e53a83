"""CONTRIBUTING.md: its worked example works as printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.docs.pages import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
USE = """
from core.domain.timeline import Segment, Transcript, Word
from core.wire.form import Form, TranscriptFormat
from core.wire.render import render
words = (Word(0.5, 1.25, "Hello."),)
transcript = Transcript(2.0, words, (Segment(0.5, 1.25, words, "1"),), diarized=True)
print(repr(render(transcript, Form(TranscriptFormat("tsv")))["tsv"]))
"""


def test_the_renderer_of_the_example_renders(tmp_path: Path) -> None:
    """After the printed steps, in a copy of `core`, an answer can be asked for in the new
    format.
    """
    member, module, entry = map(dedent, re.findall(r"^ +```python\n(.*?)^ +```", PAGE, re.M | re.S))
    wire = tmp_path / "core" / "wire"
    shutil.copytree(ROOT / "core", tmp_path / "core")
    (wire / "tables.py").write_text(module)
    insert(wire / "form.py", after='    VTT = "vtt"\n', text=f"    {member}")
    insert(wire / "render.py", after="from core.wire import ", text="tables, ")
    insert(wire / "render.py", after="_RENDERERS: .*{\n", text=f"    {entry}")
    ended = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    assert ended.stdout.strip() == repr("0.500\t1.250\t1\tHello.\n")


def insert(path: Path, *, after: str, text: str) -> None:
    """Put a text behind the one place that matches."""
    before = path.read_text()
    changed, count = re.subn(f"({after})", lambda match: match[1] + text, before)
    assert count == 1, path.name
    path.write_text(changed)
