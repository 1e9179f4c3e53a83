"""Fill a folder with models once, for all workers that see it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelNotFound
from core.modelstore.converted import converted
from core.modelstore.hub import Absent, Download, Hub
from core.modelstore.ids import check_hub_id, is_path, split_revision
from core.modelstore.kinds import Kind, claimant, registered
from core.modelstore.lease import lease
from core.modelstore.marker import MARKER, Marker, whole, write_marker
from core.modelstore.places import EMBEDDED, folder_name

log = logging.getLogger("parakeet.modelstore")

Asked = tuple[str, str | None]
"""A model's id and the revision to fetch; None is the main one."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of folders `<org>--<name>`, one per model."""

    folder: Path
    hub: Hub

    def fill(self, model_id: str, revision: str | None) -> None:
        """Fetch a model, if it is not there, and what it takes from other repositories.

        Raises ModelNotFound, ModelAccessDenied; OSError if the folder cannot be written.
        """
        model_id = converted(model_id, revision)
        target = self._target(model_id, revision)
        target.mkdir(parents=True, exist_ok=True)
        with lease(target):
            there = whole(target, revision)
            found = there or self._fetch(model_id, revision, target)
        _log(model_id, "is there" if there else "fetched", found)
        for part in _parts(target, found):
            self.fill(*split_revision(part))

    def check(self, model_id: str, revision: str | None) -> None:
        """Read every file of a model and of its parts and compare it with the marker.

        Raises ModelNotFound.
        """
        model_id = converted(model_id, revision)
        target = self._target(model_id, revision)
        found = whole(target, revision)
        if found is None:
            raise ModelNotFound(
                f"{model_id} is not complete in {self.folder.name}, or of another revision: run "
                "--prefetch"
            )
        faults = found.faults(target)
        if faults:
            raise ModelNotFound(
                f"{model_id} in {self.folder.name} is damaged ({', '.join(faults)}): delete its "
                "folder and run --prefetch"
            )
        _log(model_id, "whole", found)
        for part in _parts(target, found):
            self.check(*split_revision(part))

    def _target(self, model_id: str, revision: str | None) -> Path:
        if is_path(model_id):
            raise ModelNotFound(
                f"{Path(model_id).name} is a path: only models of the Hugging Face hub are fetched"
            )
        check_hub_id(model_id, revision)
        return self.folder / folder_name(model_id)

    def _fetch(self, model_id: str, revision: str | None, target: Path) -> Marker:
        try:
            about = self.hub.ask(model_id, revision)
            kind = _kind(model_id, about.names)
            names = kind.needed(about.names)
            downloads = self.hub.beside(model_id, names, target, about.revision)
        except Absent as reason:
            raise ModelNotFound(f"{model_id} cannot be fetched from {reason}") from None
        _place(downloads, target)
        _remove_others(target, kind, names)
        return write_marker(target, model_id, revision, about.revision, names)


def _parts(target: Path, marker: Marker) -> tuple[str, ...]:
    """Return the repositories that a model in its folder takes parts from."""
    kind = claimant(registered(), marker.files)
    wanted = kind.parts(target) if kind else ()
    return tuple(dict.fromkeys(part.model_id for part in wanted if part.model_id != EMBEDDED))


def _kind(model_id: str, names: tuple[str, ...]) -> Kind:
    kind = claimant(registered(), names)
    if kind is None:
        nouns = " or ".join(kind.noun for kind in registered())
        raise ModelNotFound(f"{model_id} on the Hugging Face hub does not hold {nouns}")
    return kind


def _place(downloads: tuple[Download, ...], target: Path) -> None:
    """Put files in their places; meanwhile no marker vouches for a mix of old and new ones."""
    (target / MARKER).unlink(missing_ok=True)
    for download in downloads:
        download.part.replace(download.place)


def _remove_others(target: Path, kind: Kind, names: tuple[str, ...]) -> None:
    """Remove the files that only another revision had, and downloads that were cut short."""
    for pattern in (*kind.patterns, ".*.part"):
        for file in target.rglob(pattern):
            if str(file.relative_to(target)) not in names:
                file.unlink()


def _log(model_id: str, state: str, marker: Marker) -> None:
    log.info(
        "%s: %s, %d files, %.1f MB, revision %s",
        model_id,
        state,
        len(marker.files),
        marker.size / 1e6,
        marker.revision[:12],
    )
