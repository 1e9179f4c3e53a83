"""Where models are looked for, and what is found there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EMBEDDED = "embedded"
"""The id of the models that ship with this project."""
VOLUME = Path("/runpod-volume/parakeet-models")
"""A folder on the endpoint's network volume that `python -m core.modelstore --prefetch` fills."""


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
    """A model that a speaker pipeline takes from another repository."""

    name: str
    """The pipeline's parameter: `segmentation`, `embedding` or `plda`."""
    folder: Path


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """A model on this machine."""

    path: Path
    """The file or folder that the engine loads."""
    origin: str
    """The place it comes from, in words for the log."""
    kind: str
    """The name of its `Kind`, which says what engine loads it."""
    parts: tuple[PipelinePart, ...] = ()


def folder_name(model_id: str) -> str:
    """Return the name of a model's folder in the image and on the volume: `<org>--<name>`."""
    return model_id.replace("/", "--")


def snapshots(cache: Path, model_id: str, revision: str | None = None) -> Iterator[Path]:
    """Yield the folders of a model in a cache of Hugging Face's layout.

    With a revision, that of its commit or that of its name. Without one, the one that `refs/main`
    names comes first, then all from new to old.
    """
    repository = cache / f"models--{folder_name(model_id)}"
    if revision is not None:
        with contextlib.suppress(OSError):
            commit = (repository / "refs" / revision).read_text().strip()
            yield repository / "snapshots" / commit
        yield repository / "snapshots" / revision
        return
    with contextlib.suppress(OSError):
        yield repository / "snapshots" / (repository / "refs" / "main").read_text().strip()
    with contextlib.suppress(OSError):
        yield from sorted(
            (repository / "snapshots").iterdir(),
            key=lambda folder: folder.stat().st_mtime,
            reverse=True,
        )
