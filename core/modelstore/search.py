"""The search for a model, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelAccessDenied, ModelNotFound, WorkerError
from core.modelstore.converted import converted
from core.modelstore.hub import Absent, Hub
from core.modelstore.ids import check_hub_id, display_name, is_path, split_revision
from core.modelstore.kinds import Kind, PyannotePart, claimant
from core.modelstore.marker import whole
from core.modelstore.pipeline_config import COMMUNITY_1, Wanted
from core.modelstore.places import (
    EMBEDDED,
    ModelLocation,
    PipelinePart,
    Places,
    folder_name,
    snapshots,
)


@dataclass(frozen=True, slots=True)
class _Found:
    kind: Kind
    path: Path
    origin: str


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for a model of one of several kinds."""

    kinds: tuple[Kind, ...]
    token: str | None
    places: Places

    def find(self, model_id: str) -> ModelLocation:
        """Find a model and its parts; raises ModelNotFound, ModelAccessDenied."""
        name = display_name(model_id)
        try:
            found = self._find(model_id)
            wanted = found.kind.parts(found.path)
        except WorkerError:
            raise
        except (OSError, RuntimeError, ValueError) as error:  # also of ~ and nobody's name
            raise ModelNotFound(
                f"the model {name[:100]!r} cannot be read ({_reason(error)})"
            ) from None
        parts = tuple(self._part(part, name) for part in wanted)
        return ModelLocation(found.path, found.origin, found.kind.name, parts)

    def _find(self, model_id: str) -> _Found:
        if model_id == EMBEDDED:
            return self._only(self._embedded(), "shipped with this project")
        if is_path(model_id):
            return self._only(Path(model_id).expanduser(), "the path that was given")
        name, revision = split_revision(model_id)
        check_hub_id(name, revision)
        name = converted(name, revision)
        for origin, folder in self._folders(name, revision):
            found = self._pick(folder, origin)
            if found is not None:
                return found
        return self._download(name, revision)

    def _part(self, wanted: Wanted, pipeline: str) -> PipelinePart:
        search = Search((PyannotePart(wanted.subfolder),), self.token, self.places)
        try:
            return PipelinePart(wanted.name, search.find(wanted.model_id).path)
        except (ModelNotFound, ModelAccessDenied) as error:
            raise type(error)(
                f"the configuration of {pipeline} points at another repository: {error} "
                f"({COMMUNITY_1} is one repository that has everything)"
            ) from None

    def _pick(self, path: Path, origin: str) -> _Found | None:
        for kind in self.kinds:
            picked = kind.pick(path)
            if picked is not None:
                return _Found(kind, picked, origin)
        return None

    def _embedded(self) -> Path:
        names = (kind.embedded_name for kind in self.kinds)
        return self.places.embedded / next(name for name in names if name is not None)

    def _only(self, path: Path, origin: str) -> _Found:
        found = self._pick(path, origin)
        if found is None:
            what = "does not hold" if path.exists() else "is not there; it should hold"
            raise ModelNotFound(
                f"the model {display_name(str(path))} ({origin}) {what} {self._needs()}"
            )
        return found

    def _needs(self) -> str:
        return " or ".join(kind.needs for kind in self.kinds)

    def _folders(self, name: str, revision: str | None) -> Iterator[tuple[str, Path]]:
        for folder in snapshots(self.places.platform_cache, name, revision):
            yield "the platform's model cache", folder
        image = self.places.image / folder_name(name)
        if revision is None or whole(image, revision):
            yield "the image", image
        volume = self.places.volume / folder_name(name)
        if whole(volume, revision):
            yield "the network volume", volume
        for folder in snapshots(self._hub_cache(), name, revision):
            yield "the Hugging Face cache", folder

    def _hub_cache(self) -> Path:
        if self.places.hub_cache is not None:
            return self.places.hub_cache
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE)

    def _download(self, name: str, revision: str | None) -> _Found:
        try:
            folder = self._fetch(name, revision)
        except Absent as reason:
            shown = name if revision is None else f"{name} at revision {revision}"
            raise ModelNotFound(
                f"{shown} was found nowhere: not in the platform's model cache, the image or "
                "the Hugging Face cache, "
                f"nor on the network volume or {reason}"
            ) from None
        found = self._pick(folder, "downloaded from the Hugging Face hub") if folder else None
        if found is None:
            raise ModelNotFound(f"{name} on the Hugging Face hub does not hold {self._needs()}")
        return found

    def _fetch(self, name: str, revision: str | None) -> Path | None:
        """Download a model; return None without a download if it is of another kind."""
        hub = Hub(self.places.hub, self.token)
        kind = claimant(self.kinds, hub.ask(name, revision).names)
        return hub.into_cache(name, revision, kind, self._hub_cache()) if kind else None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
