"""A pyannote pipeline's configuration says where its models are."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.modelstore import ModelLocation, PipelinePart
from core.modelstore.pipeline_config import (
    COMMUNITY_1,
    PipelineConfig,
    Wanted,
    checkpoint,
    read_config,
)
from tests.core.modelstore.test_modelstore import CONFIG, LEGACY_CONFIG, write

DEFAULTS = tuple(Wanted(name, COMMUNITY_1, name) for name in ("segmentation", "embedding", "plda"))


def folder(tmp_path: Path, config: str | bytes) -> Path:
    """Write a pipeline's folder."""
    data = config.encode() if isinstance(config, str) else config
    return write(tmp_path / "pipeline", {"config.yaml": data})


def test_models_of_its_own_repository_are_inside(tmp_path):
    """`$model/` names a folder beside the configuration."""
    expected = PipelineConfig(("segmentation", "embedding", "plda"), ())
    assert read_config(folder(tmp_path, CONFIG)) == expected


def test_models_of_other_repositories_are_elsewhere(tmp_path):
    """3.1 names two repositories and gets the project's PLDA, which its clustering never uses."""
    expected = (
        Wanted("segmentation", "pyannote/segmentation-3.0"),
        Wanted("embedding", "pyannote/wespeaker-voxceleb-resnet34-LM"),
        Wanted("plda", "embedded"),
    )
    assert read_config(folder(tmp_path, LEGACY_CONFIG)) == PipelineConfig((), expected)


@pytest.mark.parametrize("parameters", ["", ", params: ", ", params: {clustering: VBxClustering}"])
def test_models_that_are_not_named_are_community_1_s(tmp_path, parameters):
    """So pyannote 4 has it, and VBx clustering needs the PLDA."""
    config = folder(tmp_path, f"pipeline: {{name: some.Pipeline{parameters}}}")
    assert read_config(config) == PipelineConfig((), DEFAULTS)


def test_a_path_is_neither_inside_nor_elsewhere(tmp_path):
    """A model on this machine needs no search."""
    config = folder(tmp_path, f"pipeline: {{params: {{segmentation: {tmp_path}}}}}")
    assert read_config(config) == PipelineConfig((), DEFAULTS[1:])


@pytest.mark.parametrize(
    "config",
    [
        "",
        "x",
        "- pipeline",
        "pipeline: [",
        "pipeline: x",
        "task: {name: x}",
        b"\xff",
        "a: 2026-13-41",
    ],
)
def test_what_is_no_pipeline_s_configuration_is_none(tmp_path, config):
    """A model's own configuration is passed over, and so is one that nobody can read."""
    assert read_config(folder(tmp_path, config)) is None


def test_a_folder_without_configuration_is_none(tmp_path):
    """A missing file is no error."""
    assert read_config(tmp_path) is None


def test_whole_pipeline_is_loaded_from_its_folder(tmp_path):
    """pyannote reads the configuration itself."""
    path = folder(tmp_path, CONFIG)
    assert checkpoint(ModelLocation(path, "a test", "pyannote")) == path


def test_pipeline_with_parts_is_loaded_from_folders_of_this_machine(tmp_path):
    """Parts and `$model/` become folders; everything else stays as it is."""
    path = folder(
        tmp_path,
        "version: 3.1.0\n"
        "pipeline: {name: some.Pipeline, params: {segmentation: org/model, "
        "embedding: $model/embedding, clustering: AgglomerativeClustering}}",
    )
    parts = tuple(PipelinePart(name, tmp_path / name) for name in ("segmentation", "plda"))
    assert checkpoint(ModelLocation(path, "a test", "pyannote", parts)) == {
        "version": "3.1.0",
        "pipeline": {
            "name": "some.Pipeline",
            "params": {
                "segmentation": {"checkpoint": str(tmp_path / "segmentation")},
                "embedding": {"checkpoint": str(path / "embedding")},
                "clustering": "AgglomerativeClustering",
                "plda": {"checkpoint": str(tmp_path / "plda")},
            },
        },
    }
