"""The pages of docs/, taken apart: fenced blocks, tables, links, headings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = (
    "DEPLOYMENT_COMPARISON",
    "OPERATIONS",
    "QUICK_START_RUNPOD",
    "RUNPOD_DEPLOYMENT",
    "RUNPOD_FILES_OVERVIEW",
    "RUNPOD_SUMMARY",
    "SPLIT_ARCHITECTURE",
    "WHISPER",
)
"""Whose blocks are run or validated by tests/docs/test_guides.py.

API.md has test_api_examples.py, settings.md test_settings.py.
"""

_FENCE = re.compile(r"^```(\S*)[ ]?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: str
    number: int
    """On its page, from 0."""
    language: str
    mark: str
    """The word after the language, up to `=`: it says which check the block gets."""
    value: str
    """The word after `=`."""
    text: str

    @property
    def json(self) -> Any:
        """The value of a block of JSON."""
        return json.loads(self.text)


def read(page: str) -> str:
    """Return the text of a page of docs/, by its name without the ending."""
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Return all fenced blocks of a page, in order."""
    found = _FENCE.findall(read(page))
    return [
        Block(page, number, language, *_split(mark), text)
        for number, (language, mark, text) in enumerate(found)
    ]


def _split(mark: str) -> tuple[str, str]:
    name, _, value = mark.partition("=")
    return name, value


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head.

    `\\|` in a cell is a bar.
    """
    section = re.split(
        r"\n#+ ",
        re.split(rf"^#+ {re.escape(heading)}\n", text, maxsplit=1, flags=re.MULTILINE)[1],
        maxsplit=1,
    )[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    lines = table[0].splitlines()[2:] if table else []
    return [
        [
            cell.strip().replace("\\|", "|")
            for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))
        ]
        for line in lines
    ]


def without_blocks(text: str) -> str:
    """Return a text without its fenced blocks."""
    return _FENCE.sub("", text)


def prose(page: str) -> str:
    """Return a page without its fenced blocks."""
    return without_blocks(read(page))


def anchors(text: str) -> set[str]:
    """Return the names that links may have after `#`: GitHub's names of the headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def linked(start: Path) -> set[Path]:
    """Return all Markdown files that can be reached from one by following relative links."""
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s#]+)", text):
            path = (page.parent / target).resolve()
            waiting += sorted(path.glob("*.md")) if path.is_dir() else []
            waiting += [path] if path.suffix == ".md" and path.is_file() else []
    return seen
