"""Trained pyannote models as the checkpoints that `Model.from_pretrained` reads; the average of
several.

    python -m training.checkpoints build/seg2/pytorch_model.bin build/seg3/pytorch_model.bin \
        --out build/segmentation/pytorch_model.bin

Models that were trained on from one another average to one that is often better than each
(https://arxiv.org/abs/2203.05482).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from pyannote.audio import Model

_LARGE = 50_000


def save(model: Model, path: Path, large_dtype: torch.dtype = torch.float32) -> None:
    """Write weights, hyper-parameters and specifications; large tensors as `large_dtype` (read back
    as float32).
    """
    weights = {
        name: value.detach().cpu().to(large_dtype if value.numel() > _LARGE else value.dtype)
        for name, value in model.state_dict().items()
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


def average(paths: Sequence[Path]) -> Model:
    """The first model, with the mean of all weights."""
    models = [Model.from_pretrained(path) for path in paths]
    weights = [model.state_dict() for model in models]
    models[0].load_state_dict(
        {name: torch.stack([each[name].float() for each in weights]).mean(0) for name in weights[0]}
    )
    return models[0]


def main() -> None:
    """Average checkpoints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    save(average(options.checkpoints), options.out)


if __name__ == "__main__":
    main()
