"""The one reader of a pyannote pipeline's `config.yaml`.

A value that starts with `$model/` names a folder of the pipeline's own repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from core.modelstore.places import EMBEDDED, ModelLocation

CONFIG = "config.yaml"
COMMUNITY_1 = "pyannote/speaker-diarization-community-1"

_MODELS = ("segmentation", "embedding", "plda")
_INSIDE = "$model/"
_VBX = "VBxClustering"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that a pipeline takes from another repository."""

    name: str
    """The parameter: `segmentation`, `embedding` or `plda`."""
    model_id: str
    subfolder: str = ""


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Where the models of a pipeline are."""

    inside: tuple[str, ...]
    """Folders of the pipeline's own repository."""
    elsewhere: tuple[Wanted, ...]


def read_config(folder: Path) -> PipelineConfig | None:
    """Return None if the folder has no configuration of a pipeline, or none that can be read."""
    import yaml  # type: ignore[import-untyped]

    try:
        parameters = _parameters(raw_config(folder))
    except (yaml.YAMLError, OSError, ValueError):
        return None  # pyannote says what is wrong when it loads the pipeline
    if parameters is None:
        return None
    inside = tuple(map(_subfolder, filter(_is_inside, parameters.values())))
    return PipelineConfig(inside, tuple(_elsewhere(parameters)))


def raw_config(folder: Path) -> Any:
    """Return the configuration as it is written; raise OSError, yaml.YAMLError, ValueError."""
    import yaml

    return yaml.safe_load((folder / CONFIG).read_text())


def likeness(folder: Path) -> tuple[float, float] | None:
    """Return `known_speakers.threshold` and `.margin`, cosines that a pipeline says of its voices.

    They are an addition of ours, which pyannote passes over. None if they are not both in 0..1.
    """
    said = _of_voices(folder)
    threshold, margin = said.get("threshold"), said.get("margin")
    return (threshold, margin) if _is_share(threshold) and _is_share(margin) else None


def linking(folder: Path) -> float | None:
    """Return `known_speakers.linking`, another cosine; None if there is none in 0..1."""
    least = _of_voices(folder).get("linking")
    return least if _is_share(least) else None


def _of_voices(folder: Path) -> dict[str, object]:
    config = raw_config(folder)
    said = config.get("known_speakers") if isinstance(config, dict) else None
    return said if isinstance(said, dict) else {}


def _is_share(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and 0 <= float(str(value)) <= 1


def checkpoint(location: ModelLocation) -> Path | dict[str, Any]:
    """Return what pyannote's `Pipeline.from_pretrained` takes for a pipeline.

    A pipeline with all its models is its folder. Any other is its configuration with folders of
    this machine in place of repositories.
    """
    if not location.parts:
        return location.path
    config: dict[str, Any] = raw_config(location.path)
    parameters = config["pipeline"].setdefault("params", {})
    for name, value in parameters.items():
        if _is_inside(value):
            parameters[name] = {"checkpoint": str(location.path / _subfolder(value))}
    parameters.update({part.name: {"checkpoint": str(part.folder)} for part in location.parts})
    return config


def local_models(location: ModelLocation) -> dict[str, Path]:
    """Return where the pipeline's models are on this machine, by parameter."""
    found = {part.name: part.folder for part in location.parts}
    for name, value in (_parameters(raw_config(location.path)) or {}).items():
        if _is_inside(value):
            found[name] = location.path / _subfolder(value)
        elif isinstance(value, str) and Path(value).exists():
            found[name] = Path(value)
    return found


def _parameters(config: object) -> dict[str, object] | None:
    """Return a pipeline's parameters, or None if the configuration is no pipeline's."""
    pipeline = config.get("pipeline") if isinstance(config, dict) else None
    if not isinstance(pipeline, dict):
        return None
    parameters = pipeline.get("params")
    return parameters if isinstance(parameters, dict) else {}


def _elsewhere(parameters: dict[str, object]) -> Iterator[Wanted]:
    """Yield what a configuration such as speaker-diarization-3.1's takes from elsewhere.

    pyannote 4 loads a PLDA for every pipeline, although only VBx clustering uses it, and takes it
    from community-1's gated repository if the configuration names none. A pipeline that clusters
    otherwise gets the PLDA that ships with this project.
    """
    for name in _MODELS:
        value = parameters.get(name)
        if value is None:
            yield _default(name, parameters)
        elif isinstance(value, str) and not _is_inside(value) and not Path(value).exists():
            yield Wanted(name, value)


def _default(name: str, parameters: dict[str, object]) -> Wanted:
    if name == "plda" and parameters.get("clustering", _VBX) != _VBX:
        return Wanted(name, EMBEDDED)
    return Wanted(name, COMMUNITY_1, name)


def _is_inside(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith(_INSIDE)


def _subfolder(value: str) -> str:
    return value.removeprefix(_INSIDE)
