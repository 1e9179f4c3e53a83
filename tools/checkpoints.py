"""Writing a trained pyannote model as the checkpoint that `Model.from_pretrained` reads."""

from __future__ import annotations

from pathlib import Path

import lightning
import torch
from pyannote.audio import Model

_LARGE = 50_000


def save(model: Model, path: Path, large_dtype: torch.dtype = torch.float32) -> None:
    """Write weights, hyper-parameters and specifications; large tensors as `large_dtype` (read back as float32)."""
    weights = {
        name: value.detach().cpu().to(large_dtype if value.numel() > _LARGE else value.dtype) for name, value in model.state_dict().items()
    }
    checkpoint = {
        "state_dict": weights,
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(checkpoint, partial)
    partial.replace(path)
