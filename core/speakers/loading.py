"""Import pyannote and load a pipeline from its folder."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from core.engine.accelerator import is_device_fault, is_out_of_memory
from core.engine.lazy_imports import LIGHTNING_EXTRAS, imported
from core.engine.nemo_log import silence_nemo
from core.errors import ModelNotFound
from core.modelstore import ModelLocation
from core.modelstore.pipeline_config import checkpoint
from core.speakers.checkpoints import examined

_NEVER_CALLED = (
    "meeteval",
    "nemo",
    "networkx",
    "numpy.f2py",
    "opentelemetry",
    "optuna",
    "torch_audiomentations",
    "torchaudio.datasets",
    "torchaudio.models",
    "torchaudio.pipelines",
    "torchcodec",
)
"""Modules that pyannote imports for training, telemetry, files and other models.

For embedding models of NeMo's it imports NeMo if that is installed. scikit-learn and SciPy are not
in the list: a job that gives a number of speakers calls them.
"""


def import_pyannote(*, eager: bool = False) -> Any:
    """Import pyannote, which takes most of the time of a start, and return its `Pipeline`.

    For `eager` see `core.engine.lazy_imports.imported`.
    """
    silence_nemo()
    # pyannote warns of TF32, missing codecs and numbers of speakers. None of that concerns a
    # worker, or its answer says it better.
    warnings.filterwarnings("ignore", module=r"pyannote\.|torchcodec")
    import torch  # noqa: F401  with its compiler, which is deferred while pyannote is imported

    pipeline, set_telemetry = imported(
        "pyannote", _pipeline_and_telemetry, (*LIGHTNING_EXTRAS, *_NEVER_CALLED), eager=eager
    )
    set_telemetry(False)  # else pyannote sends home each job's duration and number of speakers
    return pipeline


def _pipeline_and_telemetry() -> tuple[Any, Any]:
    from pyannote.audio import Pipeline
    from pyannote.audio.pipelines import SpeakerDiarization  # noqa: F401  most of the import
    from pyannote.audio.telemetry import set_telemetry_metrics

    return Pipeline, set_telemetry_metrics


def load_pipeline(location: ModelLocation, device: str, *, eager_imports: bool = False) -> Any:
    """Load a `SpeakerDiarization` pipeline onto a torch device.

    Raises ModelNotFound if the folder holds no such pipeline, or one that could run code, and what
    torch raises if the model does not fit into memory or the GPU fails.
    """
    kind = import_pyannote(eager=eager_imports)
    import torch
    from pyannote.audio.pipelines import SpeakerDiarization

    pipeline = _read(kind, location)
    if not isinstance(pipeline, SpeakerDiarization):
        raise ModelNotFound(
            f"{location.path.name} is a pyannote {type(pipeline).__name__}; a pipeline for "
            "diarization is needed"
        )
    _set_parameters(pipeline, location)
    return pipeline.to(torch.device(device))


def _set_parameters(pipeline: Any, location: ModelLocation) -> None:
    """Give a pipeline pyannote's default parameters if its configuration has none."""
    if pipeline.instantiated:
        return
    try:
        pipeline.instantiate(pipeline.default_parameters())
    except ValueError:
        raise ModelNotFound(
            f"config.yaml of {location.path.name} lacks parameters; check the file"
        ) from None


def _read(kind: Any, location: ModelLocation) -> Any:
    try:
        with examined(location):
            return kind.from_pretrained(checkpoint(location))
    except ModelNotFound:
        raise
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelNotFound(
            f"{location.path.name} cannot be read as a pyannote pipeline "
            f"({type(error).__name__}); check its files"
        ) from None


@contextlib.contextmanager
def ieee_floats() -> Iterator[None]:
    """Turn TF32 off inside the `with`, as pyannote does for good, and restore its switches.

    NeMo's model is slower without.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn
