"""The files of a pyannote pipeline, examined before pyannote reads them.

pyannote reads checkpoints as pickles, which may call anything, and makes whatever class a
configuration names. Of that a worker allows what pyannote's own models need.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from core.errors import ModelNotFound
from core.modelstore import ModelLocation
from core.modelstore.pipeline_config import local_models, raw_config

_WEIGHTS = "pytorch_model.bin"
_PIPELINE = re.compile(r"pyannote\.audio\.pipelines(\.\w+)*")
_ARCHITECTURE = re.compile(r"pyannote\.audio\.models(\.\w+)*")
_HYPERPARAMETERS = ("hyper_parameters", "hparams", "module_arguments")
_FORCE, _FORBID = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"

_ALLOWED = {
    "builtins": {"dict", "int", "list"},
    "collections": {"defaultdict"},
    "lightning.pytorch.callbacks.early_stopping": {"EarlyStopping"},
    "lightning.pytorch.callbacks.model_checkpoint": {"ModelCheckpoint"},
    "numpy": {"dtype"},
    "numpy._core.multiarray": {"scalar"},
    "numpy.core.multiarray": {"scalar"},
    "omegaconf.base": {"ContainerMetadata", "Metadata"},
    "omegaconf.dictconfig": {"DictConfig"},
    "omegaconf.listconfig": {"ListConfig"},
    "omegaconf.nodes": {"AnyNode"},
    "pyannote.audio.core.model": {"Introspection"},
    "pyannote.audio.core.task": {"Problem", "Resolution", "Specifications"},
    "pytorch_lightning.callbacks.early_stopping": {"EarlyStopping"},
    "pytorch_lightning.callbacks.model_checkpoint": {"ModelCheckpoint"},
    "torch.torch_version": {"TorchVersion"},
    "typing": {"Any"},
}
"""By module: the types in the checkpoints of pyannote 2 to 4, besides those that torch allows."""


@contextlib.contextmanager
def examined(location: ModelLocation) -> Iterator[None]:
    """Examine a pipeline, and read nothing but weights of it for as long as the `with` lasts.

    Raises ModelNotFound if a file of it could run code.
    """
    from torch.serialization import safe_globals

    _check_configuration(location)
    models = local_models(location)
    _check_arrays(models)
    files = list(_checkpoints(models))
    needed = {name for file, shown in files for name in _unusual_types(file, shown)}
    allowed = [*(_resolved(name) for name in sorted(needed)), *_kinds_of_numbers()]
    with safe_globals(allowed), _weights_alone():
        for file, shown in files:
            _check_checkpoint(file, shown)
        yield


def _check_configuration(location: ModelLocation) -> None:
    config = raw_config(location.path)
    if not isinstance(config, dict) or not isinstance(config.get("pipeline"), dict):
        return  # pyannote says what is wrong
    name = config["pipeline"].get("name")
    if not _PIPELINE.fullmatch(str(name)) or "preprocessors" in config:
        raise _refused("config.yaml", "names a program that is not a pipeline of pyannote's")


def _check_arrays(models: dict[str, Path]) -> None:
    """Check that a PLDA holds numbers alone: an array of anything else is a pickle."""
    import numpy as np

    for name, folder in models.items():
        for file in sorted(folder.glob("*.npz")):
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    list(arrays.values())
            except ValueError:
                raise _refused(f"{name}/{file.name}", "holds more than numbers") from None


def _checkpoints(models: dict[str, Path]) -> Iterator[tuple[Path, str]]:
    """Yield the pipeline's checkpoints, each with its name for messages."""
    for name, path in models.items():
        file = path if path.is_file() else path / _WEIGHTS
        if file.is_file():
            yield file, f"{name}/{file.name}"


def _unusual_types(file: Path, shown: str) -> list[str]:
    """Return the types that a checkpoint needs and torch does not allow by itself."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        names: list[str] = get_unsafe_globals_in_checkpoint(file)
    except UnpicklingError:
        raise _refused(shown, "holds more than weights") from None
    for full_name in sorted(names):
        module, _, name = full_name.rpartition(".")
        if name not in _ALLOWED.get(module, ()):
            raise _refused(shown, f"would run {full_name[:100]} when it is read")
    return names


def _resolved(full_name: str) -> tuple[Any, str]:
    module, _, name = full_name.rpartition(".")
    module = module.replace("numpy.core", "numpy._core")  # where numpy 2 has it
    return getattr(import_module(module), name), full_name


def _kinds_of_numbers() -> list[type]:
    """Return the classes that a `numpy.dtype` is an instance of."""
    import numpy as np

    return [type(np.dtype(kind)) for kind in ("?", "i4", "i8", "f4", "f8")]


@contextlib.contextmanager
def _weights_alone() -> Iterator[None]:
    """Make torch read weights alone, although pyannote asks for everything."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORBID)}
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _check_checkpoint(file: Path, shown: str) -> None:
    """Check what pyannote and Lightning make of a checkpoint's names."""
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError:
        raise _refused(shown, "holds more than weights") from None
    architecture = content["pyannote.audio"]["architecture"]["module"]
    if not _ARCHITECTURE.fullmatch(str(architecture)):
        raise _refused(shown, "names a program that is not a model of pyannote's")
    # Lightning calls whatever function this names.
    if any("_instantiator" in content.get(key, ()) for key in _HYPERPARAMETERS):
        raise _refused(shown, "names a program that is not a model of pyannote's")


def _refused(shown: str, what: str) -> ModelNotFound:
    return ModelNotFound(
        f"{shown} {what}: a model is a program, and this one may do more than find speakers; take "
        "it from a publisher that you trust"
    )
