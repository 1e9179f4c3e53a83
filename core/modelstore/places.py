"""Where models are looked for, and what is found there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

VOLUME = Path("/runpod-volume/parakeet-models")
"""What `python -m core.modelstore --prefetch` fills: a folder on the endpoint's network volume."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where models are looked for."""

    embedded: Path = Path(__file__).resolve().parents[2] / "models" / "embedded"
    """Holds `speech.nemo` and `diarization/`."""
    platform_cache: Path = Path("/runpod-volume/huggingface-cache/hub")
    image: Path = Path("/models")
    """Holds one folder `<org>--<name>` per model that is baked into the image."""
    hub_cache: Path | None = None
    """None is the Hugging Face library's own, which `HF_HOME` moves."""
    hub: str | None = None
    """URL of the hub; None is the Hugging Face library's own, which `HF_ENDPOINT` moves."""
    volume: Path = VOLUME
    """Holds one folder `<org>--<name>` per model that was prefetched, each with its marker."""


@dataclass(frozen=True, slots=True)
class PipelinePart:
    """A model that a speaker pipeline's configuration wants from somewhere else."""

    name: str
    """`segmentation`, `embedding` or `plda`: the parameter of the pipeline."""
    folder: Path


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """A model on this machine."""

    path: Path
    """Speech: the `.nemo` file; speakers: the folder of `config.yaml`."""
    origin: str
    """Which place it comes from, in words for the log."""
    parts: tuple[PipelinePart, ...] = field(default=())


def folder_name(model_id: str) -> str:
    """The folder of a model in the image and on the volume: `<org>--<name>`."""
    return model_id.replace("/", "--")


def snapshots(cache: Path, model_id: str) -> Iterator[Path]:
    """The folders of a model in a cache of Hugging Face's layout: the one that `refs/main` names,
    then from new to old.
    """
    repository = cache / f"models--{folder_name(model_id)}"
    with contextlib.suppress(OSError):
        yield repository / "snapshots" / (repository / "refs" / "main").read_text().strip()
    with contextlib.suppress(OSError):
        yield from sorted(
            (repository / "snapshots").iterdir(),
            key=lambda folder: folder.stat().st_mtime,
            reverse=True,
        )
