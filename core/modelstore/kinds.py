"""The kinds of models: which files each consists of and which engine reads them.

A new kind is a class here and its place in `REGISTERED`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from core.modelstore.pipeline_config import CONFIG, Wanted, read_config

Family = Literal["speech", "speakers"]


class Kind(ABC):
    """A kind of model."""

    name: ClassVar[str]
    """By which flows choose the engine."""
    family: ClassVar[Family]
    """The engines that read it."""
    noun: ClassVar[str]
    """Such a model, in words."""
    needs: str
    """The files that `pick` looks for, in words."""
    patterns: tuple[str, ...]
    """The files to fetch from the hub."""
    suffix: ClassVar[str | None] = None
    """How the name ends if a model is a single file: an id that ends so is a path."""
    embedded_name: ClassVar[str | None] = None
    """Its name among the embedded models; None if this project ships none."""

    @abstractmethod
    def claims(self, names: Iterable[str]) -> bool:
        """Tell whether a repository with files of these names holds such a model."""

    @abstractmethod
    def pick(self, path: Path) -> Path | None:
        """Return what the engine loads, or None if the folder or file is not a whole model."""

    def parts(self, path: Path) -> tuple[Wanted, ...]:  # noqa: ARG002  most kinds have none
        """Return what a model that was picked takes from other repositories."""
        return ()

    def needed(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the files to fetch among all files of a repository."""
        return tuple(
            name for name in names if any(fnmatch(name, pattern) for pattern in self.patterns)
        )


class Nemo(Kind):
    """A NeMo model, such as Parakeet."""

    name = "nemo"
    family = "speech"
    noun = "a .nemo file"
    needs = "exactly one .nemo file"
    patterns = ("*.nemo",)
    suffix = ".nemo"
    embedded_name = "speech.nemo"

    def claims(self, names: Iterable[str]) -> bool:
        """See `Kind`."""
        return bool(self.needed(names))

    def pick(self, path: Path) -> Path | None:
        """See `Kind`."""
        files = [path] if path.suffix == self.suffix else sorted(path.glob("*.nemo"))
        # A download that was cut short leaves links that lead nowhere.
        return files[0] if len(files) == 1 and files[0].is_file() else None


class Whisper(Kind):
    """A Whisper model, converted to CTranslate2."""

    name = "whisper"
    family = "speech"
    noun = "a Whisper model for CTranslate2"
    needs = "the files of a Whisper model for CTranslate2, model.bin first of all"
    patterns = (
        "model.bin",
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocabulary.*",
    )

    def claims(self, names: Iterable[str]) -> bool:
        """See `Kind`."""
        return {"model.bin", "tokenizer.json"}.issubset(names)

    def pick(self, path: Path) -> Path | None:
        """See `Kind`."""
        files = ("model.bin", "config.json", "tokenizer.json")
        is_whole = all((path / name).is_file() for name in files)
        # It is a .txt or a .json, as the converter's version has it.
        return path if is_whole and any(path.glob("vocabulary.*")) else None


_WEIGHTS = "pytorch_model.bin"
_PLDA = ("xvec_transform.npz", "plda.npz")


class _OfPyannote(Kind):
    family = "speakers"

    def claims(self, names: Iterable[str]) -> bool:
        """See `Kind`."""
        return any(PurePosixPath(name).name in {CONFIG, _WEIGHTS, *_PLDA} for name in names)


class Pyannote(_OfPyannote):
    """A pyannote pipeline with those of its models that are in its repository."""

    name = "pyannote"
    noun = "a pyannote model"
    needs = "config.yaml and the models it names"
    patterns = ("*.yaml", "*.bin", "*.npz")
    embedded_name = "diarization"

    def pick(self, path: Path) -> Path | None:
        """See `Kind`."""
        if not (path / CONFIG).is_file():
            return None
        config = read_config(path)
        inside = config.inside if config else ()
        return path if all(PyannotePart(name).pick(path) for name in inside) else None

    def parts(self, path: Path) -> tuple[Wanted, ...]:
        """See `Kind`."""
        config = read_config(path)
        return config.elsewhere if config else ()


class PyannotePart(_OfPyannote):
    """A model of a pyannote pipeline; not registered, for only pipelines ask for one."""

    name = "pyannote-part"
    noun = "a model of a pyannote pipeline"
    needs = "pytorch_model.bin or the two .npz files of a PLDA"
    embedded_name = "diarization/plda"

    def __init__(self, subfolder: str = "") -> None:
        self.subfolder = subfolder
        self.patterns = tuple(str(PurePosixPath(subfolder, name)) for name in ("*.bin", "*.npz"))

    def pick(self, path: Path) -> Path | None:
        """See `Kind`."""
        folder = path / self.subfolder
        is_plda = all((folder / name).is_file() for name in _PLDA)
        return folder if is_plda or (folder / _WEIGHTS).is_file() else None


REGISTERED: tuple[Kind, ...] = (Nemo(), Whisper(), Pyannote())
"""In the order in which they are tried."""


def registered(family: Family | None = None) -> tuple[Kind, ...]:
    """Return the kinds of a family, or all."""
    return tuple(kind for kind in REGISTERED if family in {None, kind.family})


def claimant(kinds: Iterable[Kind], names: Iterable[str]) -> Kind | None:
    """Return the first of the kinds that a repository with files of these names is of."""
    names = tuple(names)
    return next((kind for kind in kinds if kind.claims(names)), None)
