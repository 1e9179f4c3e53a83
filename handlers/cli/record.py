"""What has been done in a folder, so that it is done once: a file of that folder keeps it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
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

_SAMPLES = 16
_SAMPLE_BYTES = 65_536
_SIGNING = {
    "x-amz-signature": re.compile("x-amz-.*"),
    "x-goog-signature": re.compile("x-goog-.*"),
    "signature": re.compile(
        "x-amz-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires"
    ),
    "sig": re.compile("sig|s[eptrv]|spr|sip|sk[estv]|skoid|sktid"),
}
"""The parameters by which S3, Google, CloudFront and Azure sign a URL, by that of the signature.

Without it, those of such names may be anything.
"""


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
        if not self._is_as_asked(entry, item) or not set(formats) <= _files(entry).keys():
            return False
        return all(file_of(self.folder / item.place, name).is_file() for name in formats)

    def foreign(self, item: Item, formats: Sequence[str]) -> list[Path]:
        """Return the files that would be replaced and are another's, or were changed since."""
        entry = self._entry(item)
        known = _files(entry) if self._is_of(entry, item) else {}
        paths = {name: file_of(self.folder / item.place, name) for name in formats}
        return [
            path
            for name, path in paths.items()
            if path.exists() and _state(path) != known.get(name)
        ]

    def note(self, item: Item, formats: Sequence[str]) -> None:
        """Note that a recording has its files. One process at a time writes into a folder."""
        before = self._entry(item)
        files = dict(_files(before)) if self._is_as_asked(before, item) else {}
        files |= {name: _state(file_of(self.folder / item.place, name)) for name in formats}
        entry = {"made": self._made(item), "source": list(_marks(item)), "files": files}
        entries = {**self._read(), str(item.place): entry}
        half = self.folder / f"{FILE}.{os.getpid()}.part"
        try:
            half.write_text(json.dumps(entries, indent=1, sort_keys=True), encoding="utf-8")
            half.replace(self.folder / FILE)
            self._keep(entries)
        finally:
            half.unlink(missing_ok=True)

    def _is_as_asked(self, entry: Entry, item: Item) -> bool:
        """Tell whether an entry is this recording's, as it is now, with these settings."""
        return entry.get("made") == self._made(item) and self._is_of(entry, item)

    def _is_of(self, entry: Entry, item: Item) -> bool:
        """Tell whether an entry is this recording's, even if it or the settings have changed."""
        if isinstance(source := entry.get("source"), list):
            return any(mark in source for mark in _marks(item))
        return entry.get("made") == self._made(item)  # earlier records tell no more

    def _made(self, item: Item) -> str:
        """Return a sum of all that the files depend on."""
        voices = [_content_of(one.audio) for one in self.question.known]
        return _sum([_content(item), asdict(self.question), self.way, voices])

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


def _sum(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _marks(item: Item) -> Iterator[str]:
    """Return sums by any of which a recording is known again.

    They are of a URL, or of the path of a file and of what is in it, for it may be moved.
    """
    if not isinstance(item.source, LocalFile):
        parts = urlsplit(item.source.value)
        host = parts.netloc.rpartition("@")[2].lower()  # with its port
        yield _sum([parts.scheme, host, parts.path, _unsigned(parts.query)])
        return
    yield _sum(os.path.realpath(item.source.path))
    with contextlib.suppress(OSError):
        yield _samples(item.source.path)


def _samples(path: Path) -> str:
    """Return a sum of a file's size and of samples from its beginning to its end."""
    size = path.stat().st_size
    last = max(0, size - _SAMPLE_BYTES)
    found = hashlib.sha256(f"{size}:".encode())
    with path.open("rb") as file:
        for at in range(_SAMPLES):
            file.seek(last * at // (_SAMPLES - 1))
            found.update(file.read(_SAMPLE_BYTES))
    return found.hexdigest()


def _content(item: Item) -> list[object]:
    """Tell a file by its name, size and time, and a URL by all but a signature, which changes."""
    if isinstance(item.source, LocalFile):
        return _content_of(item.source)
    return [item.shown, *_unsigned(urlsplit(item.source.value).query)]


def _unsigned(query: str) -> list[list[str]]:
    """Return the parameters of a query but those of a signature, which changes."""
    named = parse_qsl(query, keep_blank_values=True)
    signing = [_SIGNING[name.lower()] for name, _ in named if name.lower() in _SIGNING]
    return sorted(
        [name, value]
        for name, value in named
        if not any(names.fullmatch(name.lower()) for names in signing)
    )


def _content_of(source: Source | LocalFile | None) -> list[object]:
    if not isinstance(source, LocalFile):
        return []
    try:
        about = source.path.stat()
    except OSError:
        return []
    return [source.path.name, about.st_size, about.st_mtime_ns]
