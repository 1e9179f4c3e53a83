"""A model's files against the sums that are known of them, while the model is loaded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.errors import ModelNotFound
from core.modelstore.marker import MARKER, SUM_LENGTH, is_file, read_marker
from core.modelstore.places import ModelLocation

_SUM = re.compile(rf"[0-9a-f]{{{SUM_LENGTH}}}")


@contextlib.contextmanager
def verified(location: ModelLocation) -> Iterator[None]:
    """Compare a model's files with their sums for as long as the `with` lasts, and to the end.

    Raises ModelNotFound if one differs, also if the model could not be loaded.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sums") as thread:
        faults = thread.submit(_faults, location)
        try:
            yield
        finally:
            if faults.result():
                raise ModelNotFound(
                    f"the model from {location.origin} is damaged ({', '.join(faults.result())}): "
                    "its files are not those that were fetched; delete its folder there and "
                    "fetch it again"
                ) from None


def _faults(location: ModelLocation) -> list[str]:
    paths = (location.path, *(part.folder for part in location.parts))
    try:
        return sorted({name for path in paths for name in _faults_of(path)})
    except OSError as error:
        return [error.strerror or type(error).__name__]


def _faults_of(path: Path) -> Iterator[str]:
    """Yield the names of files that differ from what was fetched."""
    folder = next(
        (place for place in (path, *path.parents[:2]) if (place / MARKER).is_file()), None
    )
    marker = read_marker(folder) if folder else None
    if folder and marker:
        yield from marker.faults(folder)
        return
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        # Hugging Face's cache calls a large file by its sum and links to it.
        name = file.resolve().name if file.is_symlink() else ""
        if _SUM.fullmatch(name) and not is_file(file, name):
            yield file.name
