"""What has been done in a folder, so that it is done once: a file of that folder keeps it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.domain.request import LocalFile, Source
from handlers.cli.options import Question
from handlers.cli.sources import Item
from handlers.cli.written import file_of

FILE = ".parakeet-workers.json"

Entry = dict[str, Any]

_SIGNING = re.compile(
    "x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires"
    "|sig|s[eptrv]|spr|sip|sk[estv]|skoid|sktid"
)
"""The parameters by which S3, Google, CloudFront and Azure sign a URL."""


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one folder."""

    folder: Path
    question: Question
    way: str
    """Where the work is done, and on which models if that is known."""
    _seen: dict[tuple[int, ...], dict[str, Entry]] = field(default_factory=dict, compare=False)
    """What was read last, by the state of the file: there may be thousands of recordings."""

    def is_done(self, item: Item, formats: Sequence[str]) -> bool:
        """Tell whether a recording has whole files of all formats, of the same settings."""
        entry = self._entry(item)
        if entry.get("made") != self._made(item) or not set(formats) <= _files(entry).keys():
            return False
        return all(file_of(self.folder / item.place, name).is_file() for name in formats)

    def foreign(self, item: Item, formats: Sequence[str]) -> list[Path]:
        """Return the files that would be replaced and are not as this command left them."""
        known = _files(self._entry(item))
        paths = {name: file_of(self.folder / item.place, name) for name in formats}
        return [
            path
            for name, path in paths.items()
            if path.exists() and _state(path) != known.get(name)
        ]

    def note(self, item: Item, formats: Sequence[str]) -> None:
        """Note that a recording has its files. One process at a time writes into a folder."""
        made = self._made(item)
        before = self._entry(item)
        files = dict(_files(before)) if before.get("made") == made else {}
        files |= {name: _state(file_of(self.folder / item.place, name)) for name in formats}
        entries = {**self._read(), str(item.place): {"made": made, "files": files}}
        half = self.folder / f"{FILE}.{os.getpid()}.part"
        try:
            half.write_text(json.dumps(entries, indent=1, sort_keys=True), encoding="utf-8")
            half.replace(self.folder / FILE)
            self._keep(entries)
        finally:
            half.unlink(missing_ok=True)

    def _made(self, item: Item) -> str:
        """Return a sum of all that the files depend on."""
        voices = [_content_of(one.audio) for one in self.question.known]
        parts = [_content(item), asdict(self.question), self.way, voices]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def _entry(self, item: Item) -> Entry:
        return self._read().get(str(item.place), {})

    def _read(self) -> dict[str, Entry]:
        with contextlib.suppress(OSError, ValueError):
            path = self.folder / FILE
            if (known := self._seen.get(tuple(_state(path)))) is not None:
                return known
            entries = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(entries, dict):
                own = {name: one for name, one in entries.items() if isinstance(one, dict)}
                return self._keep(own)
        return {}

    def _keep(self, entries: dict[str, Entry]) -> dict[str, Entry]:
        self._seen.clear()
        self._seen[tuple(_state(self.folder / FILE))] = entries
        return entries


def _files(entry: Entry) -> dict[str, object]:
    """Return the files of an entry: for each format, how it was left."""
    files = entry.get("files")
    return files if isinstance(files, dict) else {}


def _state(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]


def _content(item: Item) -> list[object]:
    """Tell a file by its name, size and time, and a URL by all but a signature, which changes."""
    if isinstance(item.source, LocalFile):
        return _content_of(item.source)
    query = parse_qsl(urlsplit(item.source.value).query, keep_blank_values=True)
    named = sorted([name, value] for name, value in query if not _SIGNING.fullmatch(name.lower()))
    return [item.shown, *named]


def _content_of(source: Source | LocalFile | None) -> list[object]:
    if not isinstance(source, LocalFile):
        return []
    try:
        about = source.path.stat()
    except OSError:
        return []
    return [source.path.name, about.st_size, about.st_mtime_ns]
