"""Average two speech models of `train_speech`, of which one was trained on from the other.

    python -m training.average_speech build/speech6.nemo build/speech7.nemo --share 0.6 \
        --data build/speech --out models/embedded/speech.nemo

The average is often better than each (https://arxiv.org/abs/2203.05482). `--data` is a folder made
by `training.speech_data`, whose error rates are printed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training.train_speech import Size, export


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a `.nemo` file, in float32."""
    from nemo.collections.asr.models import ASRModel

    weights: dict[str, torch.Tensor] = ASRModel.restore_from(
        str(path), map_location="cpu"
    ).state_dict()
    return weights


def average(
    one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """The weights of two models, `share` of the other's, 0..1; counters are the other's."""
    return {
        name: value.lerp(other[name], share) if value.is_floating_point() else other[name]
        for name, value in one.items()
    }


def main() -> None:
    """Average, write, and print the error rates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs=2, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    parser.add_argument("--layers", type=int, default=12, help="of their encoders")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    weights = average(*map(weights_of, options.models), options.share)
    rates = export(Size(layers=options.layers), options.data, weights, options.out)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
