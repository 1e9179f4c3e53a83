"""The search for a model, place by place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelAccessDenied, ModelNotFound
from core.modelstore.hub import Absent, Hub
from core.modelstore.kinds import Kind, Part, is_inside, parameters
from core.modelstore.marker import is_whole
from core.modelstore.places import ModelLocation, PipelinePart, Places, folder_name, snapshots

EMBEDDED = "embedded"
"""The id of the models that ship with this project."""
COMMUNITY_1 = "pyannote/speaker-diarization-community-1"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def display_name(model_id: str) -> str:
    """The model's name for logs and messages: its id, or of a path the last part alone."""
    return Path(model_id).name if is_path(model_id) else model_id


def is_path(model_id: str) -> bool:
    """Tell whether an id names a file or folder of this machine."""
    return (
        model_id.startswith(("/", ".", "~"))
        or model_id.endswith(".nemo")
        or Path(model_id).exists()
    )


def check_hub_id(model_id: str) -> None:
    """Raise ModelNotFound for what cannot be an id on the hub."""
    if not _HUB_ID.fullmatch(model_id):
        raise ModelNotFound(
            f"{model_id[:100]!r} is neither a path nor a Hugging Face id such as {COMMUNITY_1}"
        )


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for one kind of model."""

    kind: Kind
    token: str | None
    places: Places

    def find(self, model_id: str) -> ModelLocation:
        """Find a model; raises ModelNotFound, ModelAccessDenied."""
        if model_id == EMBEDDED:
            return self._only(
                self.places.embedded / self.kind.embedded_name, "shipped with this project"
            )
        if is_path(model_id):
            return self._only(Path(model_id).expanduser(), "the path that was given")
        check_hub_id(model_id)
        for origin, folder in self._folders(model_id):
            path = self.kind.pick(folder)
            if path is not None:
                return ModelLocation(path, origin)
        return self._download(model_id)

    def _only(self, path: Path, origin: str) -> ModelLocation:
        found = self.kind.pick(path)
        if found is None:
            what = "does not hold" if path.exists() else "is not there; it should hold"
            raise ModelNotFound(
                f"the model {display_name(str(path))} ({origin}) {what} {self.kind.needs}"
            )
        return ModelLocation(found, origin)

    def _folders(self, model_id: str) -> Iterator[tuple[str, Path]]:
        yield from (
            ("the platform's model cache", folder)
            for folder in snapshots(self.places.platform_cache, model_id)
        )
        yield "the image", self.places.image / folder_name(model_id)
        volume = self.places.volume / folder_name(model_id)
        if is_whole(volume):
            yield "the network volume", volume
        yield from (
            ("the Hugging Face cache", folder) for folder in snapshots(self._hub_cache(), model_id)
        )

    def _hub_cache(self) -> Path:
        if self.places.hub_cache is not None:
            return self.places.hub_cache
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE)

    def _download(self, model_id: str) -> ModelLocation:
        try:
            folder = Hub(self.places.hub, self.token).into_cache(
                model_id, self.kind, self._hub_cache()
            )
        except Absent as reason:
            raise ModelNotFound(
                f"{model_id} was found nowhere: not in the platform's model cache, the image or "
                "the Hugging Face cache, "
                f"nor on the network volume or {reason}"
            ) from None
        path = self.kind.pick(folder)
        if path is None:
            raise ModelNotFound(
                f"{model_id} on the Hugging Face hub does not hold {self.kind.needs}"
            )
        return ModelLocation(path, "downloaded from the Hugging Face hub")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pipeline's configuration takes from another repository."""

    name: str
    """The parameter."""
    model_id: str
    subfolder: str = ""


def wanted_elsewhere(folder: Path) -> Iterator[Wanted]:
    """What a configuration such as speaker-diarization-3.1's takes from other repositories.

    pyannote 4 loads a PLDA for every pipeline, from community-1's gated repository where the
    configuration names none, although only VBx clustering uses it: every other pipeline is given
    the one that ships with this project.
    """
    given = parameters(folder)
    for name in ("segmentation", "embedding", "plda"):
        value = given.get(name)
        if (
            name == "plda"
            and value is None
            and given.get("clustering", "VBxClustering") != "VBxClustering"
        ):
            yield Wanted(name, EMBEDDED)
        elif value is None:
            yield Wanted(name, COMMUNITY_1, name)
        elif isinstance(value, str) and not is_inside(value) and not Path(value).exists():
            yield Wanted(name, value)


def find_part(wanted: Wanted, pipeline: str, token: str | None, places: Places) -> PipelinePart:
    """Find a part of the pipeline of this name; raises ModelNotFound, ModelAccessDenied."""
    try:
        return PipelinePart(
            wanted.name, Search(Part(wanted.subfolder), token, places).find(wanted.model_id).path
        )
    except (ModelNotFound, ModelAccessDenied) as error:
        raise type(error)(
            f"the configuration of {pipeline} points at another repository: {error} "
            f"({COMMUNITY_1} is one repository that has everything)"
        ) from None
