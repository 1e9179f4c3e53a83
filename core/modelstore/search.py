"""The search for a model, place by place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelAccessDenied, ModelNotFound
from core.modelstore.hub import Absent, Hub
from core.modelstore.kinds import Kind, PyannotePart, claimant, registered
from core.modelstore.marker import is_whole
from core.modelstore.pipeline_config import COMMUNITY_1, Wanted
from core.modelstore.places import (
    EMBEDDED,
    ModelLocation,
    PipelinePart,
    Places,
    folder_name,
    snapshots,
)

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def display_name(model_id: str) -> str:
    """Return the model's name for logs and messages: its id, or the last part of a path."""
    return Path(model_id).name if is_path(model_id) else model_id


def is_path(model_id: str) -> bool:
    """Tell whether an id names a file or folder of this machine."""
    suffixes = tuple(kind.suffix for kind in registered() if kind.suffix)
    return (
        model_id.startswith(("/", ".", "~"))
        or model_id.endswith(suffixes)
        or Path(model_id).exists()
    )


def check_hub_id(model_id: str) -> None:
    """Raise ModelNotFound if this cannot be an id on the hub."""
    if not _HUB_ID.fullmatch(model_id):
        raise ModelNotFound(
            f"{model_id[:100]!r} is neither a path nor a Hugging Face id such as {COMMUNITY_1}"
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
        found = self._find(model_id)
        parts = tuple(
            self._part(wanted, display_name(model_id)) for wanted in found.kind.parts(found.path)
        )
        return ModelLocation(found.path, found.origin, found.kind.name, parts)

    def _find(self, model_id: str) -> _Found:
        if model_id == EMBEDDED:
            return self._only(self._embedded(), "shipped with this project")
        if is_path(model_id):
            return self._only(Path(model_id).expanduser(), "the path that was given")
        check_hub_id(model_id)
        for origin, folder in self._folders(model_id):
            found = self._pick(folder, origin)
            if found is not None:
                return found
        return self._download(model_id)

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

    def _folders(self, model_id: str) -> Iterator[tuple[str, Path]]:
        for folder in snapshots(self.places.platform_cache, model_id):
            yield "the platform's model cache", folder
        yield "the image", self.places.image / folder_name(model_id)
        volume = self.places.volume / folder_name(model_id)
        if is_whole(volume):
            yield "the network volume", volume
        for folder in snapshots(self._hub_cache(), model_id):
            yield "the Hugging Face cache", folder

    def _hub_cache(self) -> Path:
        if self.places.hub_cache is not None:
            return self.places.hub_cache
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE)

    def _download(self, model_id: str) -> _Found:
        try:
            folder = self._fetch(model_id)
        except Absent as reason:
            raise ModelNotFound(
                f"{model_id} was found nowhere: not in the platform's model cache, the image or "
                "the Hugging Face cache, "
                f"nor on the network volume or {reason}"
            ) from None
        found = self._pick(folder, "downloaded from the Hugging Face hub") if folder else None
        if found is None:
            raise ModelNotFound(f"{model_id} on the Hugging Face hub does not hold {self._needs()}")
        return found

    def _fetch(self, model_id: str) -> Path | None:
        """Download a model; return None without a download if it is of another kind."""
        hub = Hub(self.places.hub, self.token)
        kind = claimant(self.kinds, hub.ask(model_id, None).names)
        return hub.into_cache(model_id, kind, self._hub_cache()) if kind else None
