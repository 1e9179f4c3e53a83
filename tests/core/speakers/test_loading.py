"""Pipelines are loaded from folders, and leave the process as they found it."""

import shutil

import pytest
import torch

from core.domain.request import SpeakerCount
from core.errors import ModelNotFound
from core.modelstore import ModelLocation, Places, find_diarization_model
from core.speakers.loading import load_pipeline
from core.speakers.pyannote import PyannoteDiarizer
from tests import golden
from tests.core.speakers.calls import diarize

LEGACY = """\
version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    segmentation: pyannote/segmentation-3.0
    segmentation_batch_size: 32
params:
  clustering: {method: centroid, min_cluster_size: 12, threshold: 0.7}
  segmentation: {min_duration_off: 0.0}
"""


def test_pipeline_of_several_repositories_works_and_gives_exclusive_turns(tmp_path, dialogue):
    """It is configured like 3.1, its models are in repositories of their own, the hub is down."""
    image = tmp_path / "image"
    embedded = Places().embedded / "diarization"
    for model_id, part in (
        ("segmentation-3.0", "segmentation"),
        ("wespeaker-voxceleb-resnet34-LM", "embedding"),
    ):
        shutil.copytree(embedded / part, image / f"pyannote--{model_id}")
    (image / "pyannote--speaker-diarization-3.1").mkdir()
    (image / "pyannote--speaker-diarization-3.1" / "config.yaml").write_text(LEGACY)
    places = Places(
        platform_cache=tmp_path, image=image, hub_cache=tmp_path, hub="http://127.0.0.1:9"
    )
    answer = diarize(
        PyannoteDiarizer(find_diarization_model("pyannote/speaker-diarization-3.1", places=places)),
        dialogue.waveform,
    )
    assert answer.num_speakers == 2
    assert answer.exclusive_turns


@pytest.mark.parametrize(
    "config",
    [
        "pipeline: {name: pyannote.audio.pipelines.SpeakerDiarization, params: {segmentation: "
        "$model/segmentation}}",
        "pipeline: {name: pyannote.audio.pipelines.NoSuchPipeline}",
        "pipeline: [",
        "",
    ],
)
def test_folder_that_holds_no_pipeline_is_refused(tmp_path, config):
    """The error does not contain its path."""
    (tmp_path / "config.yaml").write_text(config)
    with pytest.raises(ModelNotFound, match="cannot be read as a pyannote pipeline") as caught:
        PyannoteDiarizer(ModelLocation(tmp_path, "a test", "pyannote"))
    assert str(tmp_path.parent) not in str(caught.value)


def test_pipeline_that_is_not_for_diarization_is_refused(tmp_path):
    """The error says what it is."""
    folder = tmp_path / "pipeline"
    shutil.copytree(find_diarization_model("embedded").path, folder)
    (folder / "config.yaml").write_text(
        "pipeline: {name: pyannote.audio.pipelines.VoiceActivityDetection, "
        "params: {segmentation: $model/segmentation}}"
    )
    with pytest.raises(ModelNotFound, match="is a pyannote VoiceActivityDetection; a pipeline for"):
        PyannoteDiarizer(ModelLocation(folder, "a test", "pyannote"))


def test_damaged_weights_are_refused(tmp_path):
    """A model file was cut short: the error says to check the files."""
    folder = tmp_path / "pipeline"
    shutil.copytree(find_diarization_model("embedded").path, folder)
    weights = folder / "segmentation" / "pytorch_model.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelNotFound, match="check its files"):
        PyannoteDiarizer(find_diarization_model(str(folder)))


def test_pipeline_without_parameters_has_pyannotes_own_or_is_refused(tmp_path):
    """VBx has defaults, the clustering of version 3 does not."""
    folder = tmp_path / "pipeline"
    shutil.copytree(find_diarization_model("embedded").path, folder)
    config = (folder / "config.yaml").read_text().split("\nparams:")[0]
    (folder / "config.yaml").write_text(config)
    location = ModelLocation(folder, "a test", "pyannote")
    parameters = load_pipeline(location, "cpu").parameters(instantiated=True)
    assert parameters["clustering"] == {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}
    (folder / "config.yaml").write_text(config.replace("VBxClustering", "AgglomerativeClustering"))
    with pytest.raises(ModelNotFound, match="lacks parameters"):
        load_pipeline(location, "cpu")


def test_no_telemetry_is_recorded(diarizer):
    """Neither loading nor a job makes a span that an exporter could send."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from pyannote.audio.telemetry import metrics

    heard = InMemorySpanExporter()
    metrics.provider.add_span_processor(SimpleSpanProcessor(heard))
    loaded = PyannoteDiarizer(find_diarization_model("embedded"), device="cpu")
    diarize(loaded, golden.load("sentences").waveform, SpeakerCount(exact=1))
    assert not metrics.is_metrics_enabled()
    assert heard.get_finished_spans() == ()


@pytest.mark.parametrize("fails", [False, True])
def test_tf32_is_as_it_was_after_a_run(diarizer, fails):
    """A change of the process-wide switches during a run is undone, even if the run fails."""
    waveform = golden.load("sentences").waveform
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    def switch(_: float) -> None:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = (
            not before[0],
            not before[1],
        )
        if fails:
            raise ValueError("the watcher failed")

    if fails:
        with pytest.raises(ValueError, match="the watcher failed"):
            diarize(diarizer, waveform, progress=switch)
    else:
        # Only the pipeline's own calls of `progress` lie inside the run.
        diarize(
            diarizer, waveform, progress=lambda fraction: switch(fraction) if fraction < 1 else None
        )
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
