"""Filling a folder with models once, for all workers that see it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from core.errors import ModelNotFound
from core.modelstore.hub import About, Absent, Hub
from core.modelstore.kinds import Kind, Pipeline, Speech
from core.modelstore.lock import Lock
from core.modelstore.marker import MARKER, Marker, is_whole, read_marker, write_marker
from core.modelstore.places import folder_name
from core.modelstore.search import EMBEDDED, check_hub_id, is_path, wanted_elsewhere

log = logging.getLogger("parakeet.modelstore")

Asked = tuple[str, str | None]
"""A model's id and the revision that is wanted, None for the main one."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of folders `<org>--<name>`, one for each model."""

    folder: Path
    hub: Hub

    def fill(self, model_id: str, revision: str | None) -> None:
        """Fetch a model, unless it is there, and what its configuration wants from other
        repositories.

        Raises ModelNotFound, ModelAccessDenied; OSError where the folder cannot be written.
        """
        target = self._target(model_id)
        target.mkdir(parents=True, exist_ok=True)
        with Lock(target / ".lock").held():
            there = self._there(target, revision)
            found = there or self._fetch(model_id, revision, target)
        state = "is there" if there else "fetched"
        log.info(
            "%s: %s, %d files, %.1f MB, revision %s",
            model_id,
            state,
            len(found.files),
            found.size / 1e6,
            found.revision[:12],
        )
        for part in self._parts(target):
            self.fill(part, None)

    def check(self, model_id: str, revision: str | None) -> None:
        """Read every file of a model and of what its configuration wants, and compare with the
        marker; raises ModelNotFound.
        """
        target = self._target(model_id)
        found = self._there(target, revision)
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
        log.info(
            "%s: whole, %d files, %.1f MB, revision %s",
            model_id,
            len(found.files),
            found.size / 1e6,
            found.revision[:12],
        )
        for part in self._parts(target):
            self.check(part, None)

    def _target(self, model_id: str) -> Path:
        if is_path(model_id):
            raise ModelNotFound(
                f"{Path(model_id).name} is a path: only models of the Hugging Face hub are fetched"
            )
        check_hub_id(model_id)
        return self.folder / folder_name(model_id)

    @staticmethod
    def _there(target: Path, revision: str | None) -> Marker | None:
        found = read_marker(target)
        if found is None or not is_whole(target):
            return None
        return found if revision in {None, found.asked, found.revision} else None

    @staticmethod
    def _parts(target: Path) -> Iterator[str]:
        """Repositories that a pipeline's configuration names.

        A model that is no pipeline has none.
        """
        if (target / "config.yaml").is_file() and Pipeline().pick(target) and _is_pipeline(target):
            yield from dict.fromkeys(
                wanted.model_id
                for wanted in wanted_elsewhere(target)
                if wanted.model_id != EMBEDDED
            )

    def _fetch(self, model_id: str, revision: str | None, target: Path) -> Marker:
        (target / MARKER).unlink(missing_ok=True)  # a folder that is being changed does not count
        try:
            about = self.hub.ask(model_id, revision)
            kind, names = _contents(about)
            if not names:
                raise ModelNotFound(
                    f"{model_id} on the Hugging Face hub does not hold a .nemo file or a "
                    "pyannote model"
                )
            self.hub.into_folder(model_id, names, target, about.revision)
        except Absent as reason:
            raise ModelNotFound(f"{model_id} cannot be fetched from {reason}") from None
        _remove_others(target, kind, names)
        return write_marker(target, model_id, revision, about.revision, names)


def _contents(about: About) -> tuple[Kind, tuple[str, ...]]:
    """What kind of model a repository holds, and which of its files are needed."""
    kind: Kind = Speech() if any(fnmatch(name, "*.nemo") for name in about.names) else Pipeline()
    return kind, tuple(
        name for name in about.names if any(fnmatch(name, pattern) for pattern in kind.patterns)
    )


def _remove_others(target: Path, kind: Kind, names: tuple[str, ...]) -> None:
    """Remove what another revision had and this has not, and downloads of it that were cut
    short.
    """
    for pattern in (*kind.patterns, ".*.part"):
        for file in target.rglob(pattern):
            if str(file.relative_to(target)) not in names:
                file.unlink()


def _is_pipeline(folder: Path) -> bool:
    import yaml  # type: ignore[import-untyped]

    config = yaml.safe_load((folder / "config.yaml").read_text())
    return isinstance(config, dict) and "pipeline" in config
