"""The marker in a folder that holds a whole model: the revision, and every file's size and sum.

It is written last.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

MARKER = ".parakeet-model.json"
SUM_LENGTH = 64
"""Digits of a SHA-256, which is how the hub names large files."""


class File(BaseModel):
    """A file as it was fetched."""

    model_config = ConfigDict(frozen=True)

    size: int
    """Bytes."""
    sha256: str


class Marker(BaseModel):
    """The model in a folder."""

    model_config = ConfigDict(frozen=True)

    model_id: str
    asked: str | None
    """The revision that was asked for: a branch, a tag or a commit; None is the main one."""
    revision: str
    """The commit."""
    files: dict[str, File]
    """By path inside the folder."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def faults(self, folder: Path) -> list[str]:
        """Read all files and return the names of those that differ from what was fetched."""
        return [
            name
            for name, file in self.files.items()
            if not _has_size(folder / name, file) or _sum(folder / name) != file.sha256
        ]


def write_marker(
    folder: Path, model_id: str, asked: str | None, revision: str, names: Iterable[str]
) -> Marker:
    """Write the marker of a folder, once its files are safely on the disk."""
    files: dict[str, File] = {}
    for name in sorted(names):
        _flush(folder / name)
        files[name] = File(size=(folder / name).stat().st_size, sha256=_sum(folder / name))
    marker = Marker(model_id=model_id, asked=asked, revision=revision, files=files)
    draft = folder / f"{MARKER}.draft"
    draft.write_text(marker.model_dump_json(indent=1))
    _flush(draft)
    draft.replace(folder / MARKER)
    return marker


def read_marker(folder: Path) -> Marker | None:
    """Return the marker of a folder, or None if it has none that can be read."""
    try:
        return Marker.model_validate_json((folder / MARKER).read_bytes())
    except (OSError, ValidationError):
        return None


def whole(folder: Path, revision: str | None = None) -> Marker | None:
    """Return the marker of a folder if every file has the size that it names.

    With a revision, the marker must be of it, as it was asked for or as a commit. This is quick:
    no file but the marker is read.
    """
    marker = read_marker(folder)
    if marker is None or revision not in {None, marker.asked, marker.revision}:
        return None
    sizes_are_right = all(_has_size(folder / name, file) for name, file in marker.files.items())
    return marker if sizes_are_right else None


def is_file(path: Path, sha256: str | None) -> bool:
    """Tell whether a file exists and has this sum."""
    return path.is_file() and sha256 == _sum(path)


def _has_size(path: Path, file: File) -> bool:
    return path.is_file() and path.stat().st_size == file.size


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
