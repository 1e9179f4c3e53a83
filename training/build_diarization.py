"""Put the embedded diarization pipeline together and tune its clustering on dialogues of seeds 500
to 599, natural and random, short and long, every other one coded as mp3.

    python -m training.build_diarization --segmentation build/segmentation/pytorch_model.bin \\
        --embedding build/embedding/pytorch_model.bin --plda build/plda \
        --out models/embedded/diarization

Segmentation and embeddings are computed once for each dialogue; each setting of the clustering is
then tried on them. The long ones matter: what VBx gains by one more speaker grows with the length
of the recording, what it costs (Fb) hardly does, so that settings that are right for a minute find
too many people in ten. A coarse first clustering (`threshold`) leaves it few to choose from.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import yaml
from pyannote.audio import Pipeline
from pyannote.core import Annotation

from training.coding import through_mp3
from training.dialogues import FIRST_TUNING_SEED, KINDS, Dialogue, make_dialogue
from training.diarization_scores import DiarizationScore, annotation, score, total
from training.voices import SAMPLE_RATE

WRONG_COUNT_COST = 0.1
"""What a dialogue with the wrong number of speakers costs when settings are compared, as error
rate.
"""
LONG_S = 600.0
"""The length of the long dialogues."""
FIRST_LONG_SEED = 540


@dataclass(frozen=True, slots=True)
class Setting:
    """The name of a pyannote clustering and its parameters."""

    clustering: str
    parameters: tuple[tuple[str, Any], ...]
    min_duration_off_s: float = 0.0

    def parameter_tree(self) -> dict[str, Any]:
        """As `Pipeline.instantiate` and `config.yaml` want it."""
        return {
            "clustering": dict(self.parameters),
            "segmentation": {"min_duration_off": self.min_duration_off_s},
        }


DEFAULT_SETTING = Setting("VBxClustering", (("threshold", 0.6), ("Fa", 0.07), ("Fb", 0.8)))


def settings() -> Iterator[Setting]:
    """What is tried."""
    for threshold, fa, fb in itertools.product(
        (0.6, 0.7, 0.8, 0.9), (0.01, 0.03, 0.07, 0.2), (0.1, 0.4, 1.0, 4.0, 15.0)
    ):
        yield Setting("VBxClustering", (("threshold", threshold), ("Fa", fa), ("Fb", fb)))
    for threshold, smallest in itertools.product(np.arange(0.7, 1.2, 0.1), (3, 6)):
        parameters = (
            ("method", "centroid"),
            ("min_cluster_size", smallest),
            ("threshold", round(float(threshold), 2)),
        )
        yield Setting("AgglomerativeClustering", parameters)


def config(setting: Setting, segmentation_step: float) -> dict[str, Any]:
    """The pipeline's `config.yaml`, shaped as that of speaker-diarization-community-1."""
    return {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "clustering": setting.clustering,
                "segmentation": "$model/segmentation",
                "segmentation_batch_size": 32,
                "segmentation_step": segmentation_step,
                "embedding": "$model/embedding",
                "embedding_batch_size": 32,
                "embedding_exclude_overlap": True,
                "plda": "$model/plda",
            },
        },
        "params": setting.parameter_tree(),
    }


def write_folder(out: Path, segmentation: Path, embedding: Path, plda: Path) -> None:
    """Copy the trained parts to their places."""
    for source, name in ((segmentation, "segmentation"), (embedding, "embedding")):
        (out / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, out / name / "pytorch_model.bin")
    (out / "plda").mkdir(parents=True, exist_ok=True)
    for name in ("xvec_transform.npz", "plda.npz"):
        shutil.copyfile(plda / name, out / "plda" / name)


def write_config(out: Path, setting: Setting, segmentation_step: float) -> None:
    """Write `config.yaml`."""
    (out / "config.yaml").write_text(
        yaml.safe_dump(config(setting, segmentation_step), sort_keys=False)
    )


class ActiveOnly:
    """An embedding that is asked only for the speakers of a chunk who speak; pyannote asks for all
    three of each chunk.
    """

    def __init__(self, embedding: Any) -> None:
        self._embedding = embedding

    def __getattr__(self, name: str) -> Any:
        """Everything else is the embedding's."""
        return getattr(self._embedding, name)

    def __call__(self, waveforms: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
        """(batch, 1, samples) and (batch, frames) -> (batch, dimension); ones where nobody
        speaks.
        """
        active = masks.sum(dim=1) > 0
        embeddings = np.ones((len(masks), self._embedding.dimension), np.float32)
        if active.any():
            embeddings[active.numpy()] = self._embedding(waveforms[active], masks=masks[active])
        return embeddings


class Trial:
    """The pipeline of a folder with its slow steps remembered for a fixed set of dialogues."""

    def __init__(
        self, folder: Path, dialogues: Sequence[Dialogue], segmentation_step: float
    ) -> None:
        self._folder, self._dialogues, self._step = folder, dialogues, segmentation_step
        self._files = [
            {
                "waveform": torch.from_numpy(dialogue.samples)[None],
                "sample_rate": SAMPLE_RATE,
                "uri": f"dialogue_{number}",
            }
            for number, dialogue in enumerate(dialogues)
        ]
        self._pipelines: dict[str, Pipeline] = {}

    def _pipeline(self, clustering: str) -> Pipeline:
        if clustering not in self._pipelines:
            write_config(self._folder, Setting(clustering, DEFAULT_SETTING.parameters), self._step)
            raw = yaml.safe_load((self._folder / "config.yaml").read_text())
            del raw["params"]
            (self._folder / "config.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
            pipeline = Pipeline.from_pretrained(self._folder)
            pipeline._embedding = ActiveOnly(pipeline._embedding)
            pipeline.training = True
            self._pipelines[clustering] = pipeline
        return self._pipelines[clustering]

    def scores(self, setting: Setting) -> list[DiarizationScore]:
        """Scores of all dialogues with one setting."""
        pipeline = self._pipeline(setting.clustering).instantiate(setting.parameter_tree())
        return [
            score(annotation(dialogue.turns), _diarization(pipeline, file), dialogue.duration_s)
            for dialogue, file in zip(self._dialogues, self._files, strict=True)
        ]


def _diarization(pipeline: Pipeline, file: dict[str, Any]) -> Annotation:
    return pipeline.apply(file).speaker_diarization


def tuning_dialogues(count: int) -> list[Dialogue]:
    """`count` dialogues of each kind, and a quarter as many of ten minutes; every other one is
    coded.
    """
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + count)
    short = [make_dialogue(seed, kind=kind) for seed in seeds for kind in KINDS]
    long = [
        make_dialogue(FIRST_LONG_SEED + number, 2 + number % 3, LONG_S, kind=kind)
        for number in range(count // 4)
        for kind in KINDS
    ]
    return [
        replace(dialogue, samples=through_mp3(dialogue.samples)) if number % 4 >= 2 else dialogue
        for number, dialogue in enumerate(short + long)
    ]


def tune(trial: Trial, clustering: str | None) -> Setting:
    """The setting with the least cost; the best ten are printed."""
    tried = [setting for setting in settings() if clustering in {None, setting.clustering}]
    results = [(setting, total(trial.scores(setting))) for setting in tried]
    results.sort(key=lambda result: cost(result[1]))
    for setting, whole in results[:10]:
        print(f"{describe(whole)}  {setting.clustering} {dict(setting.parameters)}", flush=True)
    return results[0][0]


def cost(whole: DiarizationScore) -> float:
    """Error rate and the price of wrong speaker counts."""
    return whole.error_rate + WRONG_COUNT_COST * (1 - whole.right_counts / whole.dialogues)


def describe(whole: DiarizationScore) -> str:
    """One line."""
    missed, false_alarm, confusion = (100 * share for share in whole.shares())
    return (
        f"DER {100 * whole.error_rate:.1f}% (missed {missed:.1f} false alarm {false_alarm:.1f} "
        "confusion "
        f"{confusion:.1f}) right count {whole.right_counts}/{whole.dialogues}"
    )


def main() -> None:
    """Build the folder; with --no-tuning the clustering keeps community-1's values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segmentation", type=Path, required=True)
    parser.add_argument("--embedding", type=Path, required=True)
    parser.add_argument("--plda", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dialogues", type=int, default=16, help="of each kind")
    parser.add_argument(
        "--step",
        type=float,
        default=0.2,
        help="segmentation step as a share of the segmentation's chunk",
    )
    parser.add_argument(
        "--clustering",
        choices=sorted({setting.clustering for setting in settings()}),
        help="default: the better one",
    )
    parser.add_argument("--no-tuning", action="store_true")
    options = parser.parse_args()
    write_folder(options.out, options.segmentation, options.embedding, options.plda)
    best = DEFAULT_SETTING
    if not options.no_tuning:
        dialogues = tuning_dialogues(options.dialogues)
        best = tune(Trial(options.out, dialogues, options.step), options.clustering)
    write_config(options.out, best, options.step)


if __name__ == "__main__":
    main()
