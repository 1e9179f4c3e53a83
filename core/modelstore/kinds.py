"""The kinds of models: what each needs of a repository, and how a folder that holds all of it is
told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeGuard


class Kind(Protocol):
    """What a loader needs to find in a folder."""

    @property
    def embedded_name(self) -> str:
        """Where it lies among the embedded models."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """What is fetched from the hub."""
        ...

    @property
    def needs(self) -> str:
        """What `pick` looks for, in words."""
        ...

    def pick(self, folder: Path) -> Path | None:
        """What the loader is given; None where the folder does not hold all of it."""
        ...


class Speech:
    """A NeMo model."""

    embedded_name = "speech.nemo"
    patterns = ("*.nemo",)
    needs = "exactly one .nemo file"

    def pick(self, folder: Path) -> Path | None:
        """See `Kind`."""
        files = [folder] if folder.suffix == ".nemo" else sorted(folder.glob("*.nemo"))
        # A download that was cut short leaves links that lead nowhere.
        return files[0] if len(files) == 1 and files[0].is_file() else None


class Pipeline:
    """A pyannote pipeline with those of its models that lie in the same repository."""

    embedded_name = "diarization"
    patterns = ("*.yaml", "*.bin", "*.npz")
    needs = "config.yaml and the models it names"

    def pick(self, folder: Path) -> Path | None:
        """See `Kind`."""
        if not (folder / "config.yaml").is_file():
            return None
        inside = [
            value.removeprefix("$model/")
            for value in parameters(folder).values()
            if is_inside(value)
        ]
        return folder if all(Part(name).pick(folder) for name in inside) else None


class Part:
    """A model that a pipeline's configuration names."""

    embedded_name = "diarization/plda"
    needs = "pytorch_model.bin or the two .npz files of a PLDA"

    def __init__(self, subfolder: str) -> None:
        self.subfolder = subfolder
        self.patterns = tuple(
            f"{subfolder}/{name}" if subfolder else name for name in ("*.bin", "*.npz")
        )

    def pick(self, folder: Path) -> Path | None:
        """See `Kind`."""
        folder = folder / self.subfolder
        plda = all((folder / name).is_file() for name in ("xvec_transform.npz", "plda.npz"))
        return folder if plda or (folder / "pytorch_model.bin").is_file() else None


def parameters(folder: Path) -> dict[str, object]:
    """The parameters in a pyannote pipeline's configuration; none where it has no configuration."""
    import yaml  # type: ignore[import-untyped]

    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
    except (yaml.YAMLError, FileNotFoundError):
        return {}  # loading it says what is wrong
    found = (
        config["pipeline"].get("params")
        if isinstance(config, dict) and isinstance(config.get("pipeline"), dict)
        else None
    )
    return found if isinstance(found, dict) else {}


def is_inside(value: object) -> TypeGuard[str]:
    """Tell whether a parameter names a folder of the pipeline's own repository."""
    return isinstance(value, str) and value.startswith("$model/")
