"""The recordings that a command line names, and the names of their files."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from core.domain.request import LocalFile, Source
from core.errors import InvalidRequest

RECORDINGS = frozenset(
    (
        *(".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac"),
        *(".webm", ".mp4", ".mov", ".mkv", ".wma", ".amr", ".aif", ".aiff"),
    )
)
"""The endings by which a folder's recordings are known; a file that is named may have any."""
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 80
_MOST_BYTES = 255 - len(".html")
"""Of a name without its ending: file systems take 255, and no format has a longer ending."""
_KEPT_BYTES = 120
"""Of the beginning and of the end of a name that is longer."""


@dataclass(frozen=True, slots=True)
class Item:
    """One recording."""

    source: Source | LocalFile
    place: PurePosixPath
    """The path of its files within the folder for them, without an ending."""
    suffix: str
    """The ending of the recording itself, such as `.mp3`; empty if it has none."""

    @property
    def shown(self) -> str:
        """How messages call it: never with the query of a URL, which may be a secret."""
        if isinstance(self.source, LocalFile):
            here, path = Path.cwd(), self.source.path
            return str(path.relative_to(here) if path.is_relative_to(here) else path)
        parts = urlsplit(self.source.value)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def items(sources: Sequence[str]) -> list[Item]:
    """Return all recordings, each once, with names of their own.

    Raise InvalidRequest if a source does not exist, or if two would have the same files.
    """
    found = {one.source: one for source in sources for one in _of(source)}
    if not found:
        raise InvalidRequest("there is no recording in what was named")
    return _distinct(list(found.values()))


def _of(source: str) -> Iterator[Item]:
    if "://" in source:
        at = PurePosixPath(unquote(_split(source).path))
        yield Item(Source(source), PurePosixPath(_name(at.stem)), at.suffix)
        return
    path = Path(source)
    if path.is_dir():
        yield from _of_folder(path)
    elif path.exists():
        yield Item(LocalFile(path.absolute()), PurePosixPath(path.stem), path.suffix)
    else:
        raise InvalidRequest(f"{source}: there is no such file or folder")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise InvalidRequest("a URL cannot be read: its host is wrong") from None


def _of_folder(folder: Path) -> Iterator[Item]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix.lower() in RECORDINGS and not name.startswith("."):
                place = PurePosixPath(path.relative_to(folder).with_suffix("").as_posix())
                yield Item(LocalFile(path.absolute()), place, path.suffix)


def _name(stem: str) -> str:
    return _NOT_IN_NAMES.sub("_", stem)[-_LONGEST_NAME:].strip(".") or "recording"


def _distinct(found: list[Item]) -> list[Item]:
    """Keep the recording's own ending in the names of those that would share theirs."""
    shared = Counter(one.place for one in found)
    named = [
        replace(one, place=one.place.with_name(one.place.name + one.suffix))
        if shared[one.place] > 1
        else one
        for one in found
    ]
    named = [replace(one, place=_storable(one.place)) for one in named]
    taken: dict[PurePosixPath, Item] = {}
    for one in named:
        other = taken.setdefault(one.place, one)
        if other is not one:
            raise InvalidRequest(
                f"{other.shown} and {one.shown} would both become {one.place}; transcribe them "
                "into different folders"
            )
    return named


def _storable(place: PurePosixPath) -> PurePosixPath:
    """Cut a name that has no room for an ending in its middle; a sum keeps two such names two."""
    if len(os.fsencode(place.name)) <= _MOST_BYTES:
        return place
    digest = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:8]
    begin, end = place.name, place.name
    while len(os.fsencode(begin)) > _KEPT_BYTES:
        begin = begin[:-1]
    while len(os.fsencode(end)) > _KEPT_BYTES:
        end = end[1:]
    return place.with_name(f"{begin}~{digest}~{end}")
