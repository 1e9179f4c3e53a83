"""A model is found in the first place that holds all of it, and what is missing is explained."""

import logging
import os
from pathlib import Path

import pytest

from core.errors import ModelAccessDenied, ModelNotFound
from core.modelstore import (
    COMMUNITY_1,
    ModelLocation,
    Places,
    find_diarization_model,
    find_speech_model,
)
from tests.hub import COMMIT, Hub, serve

SPEECH = "nvidia/parakeet-tdt-0.6b-v2"
LEGACY = "pyannote/speaker-diarization-3.1"
TOKEN = "hf_accepted"

CONFIG = """\
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params: {segmentation: $model/segmentation, embedding: $model/embedding, plda: $model/plda}
"""
LEGACY_CONFIG = """\
version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    segmentation: pyannote/segmentation-3.0
"""
PLDA = {"plda/plda.npz": b"p", "plda/xvec_transform.npz": b"x"}
PIPELINE = {
    "config.yaml": CONFIG.encode(),
    "segmentation/pytorch_model.bin": b"s",
    "embedding/pytorch_model.bin": b"e",
} | PLDA
REPOSITORIES = {
    SPEECH: {
        "parakeet.nemo": b"weights",
        "README.md": b"text",
        "model.safetensors": b"other weights",
    },
    COMMUNITY_1: PIPELINE | {"README.md": b"text"},
    LEGACY: {"config.yaml": LEGACY_CONFIG.encode()},
    "pyannote/segmentation-3.0": {"pytorch_model.bin": b"s"},
    "pyannote/wespeaker-voxceleb-resnet34-LM": {"pytorch_model.bin": b"e"},
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a new folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def snapshot(
    cache: Path,
    model_id: str,
    revision: str,
    files: dict[str, bytes],
    *,
    age_s: int = 0,
    is_main: bool = False,
) -> Path:
    """Write a snapshot into a cache of Hugging Face's layout."""
    repository = cache / f"models--{model_id.replace('/', '--')}"
    folder = write(repository / "snapshots" / revision, files)
    os.utime(folder, (1e9 - age_s, 1e9 - age_s))
    if is_main:
        write(repository / "refs", {"main": f"{revision}\n".encode()})
    return folder


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Empty places, and a hub's address at which nothing answers."""
    roots = {name: tmp_path / name for name in ("embedded", "platform_cache", "image", "hub_cache")}
    return Places(**roots, hub="http://127.0.0.1:9")


@pytest.fixture
def hub(places: Places):
    """A hub that has the models."""
    with serve(Hub(REPOSITORIES)) as served:
        yield served


def online(places: Places, hub: Hub) -> Places:
    """The same places with the hub."""
    return Places(places.embedded, places.platform_cache, places.image, places.hub_cache, hub.url)


def test_embedded_is_the_model_that_ships_with_the_project(places):
    """`embedded` names the files of this project, whatever else exists."""
    write(
        places.embedded,
        {"speech.nemo": b"x"} | {f"diarization/{name}": data for name, data in PIPELINE.items()},
    )
    assert find_speech_model("embedded", places=places).path == places.embedded / "speech.nemo"
    assert find_diarization_model("embedded", places=places).path == places.embedded / "diarization"


def test_path_names_a_file_or_the_folder_that_holds_it(places, tmp_path):
    """A path is taken as it is, for a file and for its folder."""
    folder = write(tmp_path / "mine", {"model.nemo": b"x", "notes.txt": b"y"})
    assert find_speech_model(str(folder), places=places).path == folder / "model.nemo"
    assert (
        find_speech_model(str(folder / "model.nemo"), places=places).path == folder / "model.nemo"
    )
    pipeline = write(tmp_path / "pipeline", PIPELINE)
    assert find_diarization_model(str(pipeline), places=places) == ModelLocation(
        pipeline, "the path that was given", "pyannote"
    )


@pytest.mark.parametrize("files", [{}, {"a.nemo": b"x", "b.nemo": b"y"}, {"notes.txt": b"x"}])
def test_folder_must_hold_exactly_one_model(places, tmp_path, files):
    """A folder with no model or two is refused, without its path in the message."""
    folder = write(tmp_path / "mine", files)
    with pytest.raises(ModelNotFound, match=r"exactly one \.nemo file") as caught:
        find_speech_model(str(folder), places=places)
    assert str(tmp_path) not in str(caught.value)


def test_places_are_asked_in_their_order(places, hub):
    """The platform's cache comes before the image, the Hugging Face cache and the hub."""
    everywhere = online(places, hub)
    assert find_speech_model(SPEECH, places=everywhere).path.is_relative_to(places.hub_cache)
    assert find_speech_model(SPEECH, places=places).origin == "the Hugging Face cache"
    write(places.image / SPEECH.replace("/", "--"), {"p.nemo": b"x"})
    assert find_speech_model(SPEECH, places=everywhere).path.is_relative_to(places.image)
    snapshot(places.platform_cache, SPEECH, "abc", {"p.nemo": b"x"}, is_main=True)
    assert find_speech_model(SPEECH, places=everywhere).path.is_relative_to(places.platform_cache)
    assert len([path for _, path, _ in hub.requests if path.endswith("/revision/main")]) == 1


def test_cache_gives_the_main_revision_before_newer_ones(places):
    """`refs/main` decides, not the date."""
    old = snapshot(places.platform_cache, SPEECH, "old", {"p.nemo": b"x"}, age_s=100, is_main=True)
    snapshot(places.platform_cache, SPEECH, "new", {"p.nemo": b"x"})
    assert find_speech_model(SPEECH, places=places).path.parent == old


def test_cache_without_a_usable_reference_gives_the_newest_snapshot(places):
    """If `refs/main` is missing or names no snapshot, the newest snapshot is taken."""
    snapshot(places.platform_cache, SPEECH, "old", {"p.nemo": b"x"}, age_s=100)
    new = snapshot(places.platform_cache, SPEECH, "new", {"p.nemo": b"x"})
    assert find_speech_model(SPEECH, places=places).path.parent == new
    write(
        places.platform_cache / f"models--{SPEECH.replace('/', '--')}" / "refs", {"main": b"gone"}
    )
    assert find_speech_model(SPEECH, places=places).path.parent == new


def test_snapshot_that_was_cut_short_is_passed_over(places):
    """A link to a file that never came, or a part that is missing, does not count as the model."""
    broken = snapshot(places.platform_cache, SPEECH, "abc", {"README.md": b"x"}, is_main=True)
    (broken / "p.nemo").symlink_to("../../blobs/never-came")
    whole = snapshot(places.hub_cache, SPEECH, "def", {"p.nemo": b"x"})
    assert find_speech_model(SPEECH, places=places).path.parent == whole
    part = {name: data for name, data in PIPELINE.items() if not name.startswith("embedding")}
    snapshot(places.platform_cache, COMMUNITY_1, "abc", part, is_main=True)
    complete = write(places.image / COMMUNITY_1.replace("/", "--"), PIPELINE)
    assert find_diarization_model(COMMUNITY_1, places=places).path == complete


def test_hub_gives_only_the_files_that_are_needed(places, hub):
    """Only a speech model's `.nemo` and a pipeline's configuration and models are fetched."""
    path = find_speech_model(SPEECH, places=online(places, hub)).path
    assert (path.read_bytes(), path.parent.name) == (b"weights", COMMIT)
    folder = find_diarization_model(COMMUNITY_1, places=online(places, hub)).path
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == set(
        PIPELINE
    )
    assert not [path for _, path, _ in hub.requests if path.endswith((".md", ".safetensors"))]


def test_hub_gets_our_token_and_no_other(places, hub, monkeypatch):
    """Only the token that was given is sent, never one that the machine has."""
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    hub.gated = True
    with pytest.raises(ModelAccessDenied):
        find_speech_model(SPEECH, places=online(places, hub))
    assert {authorization for *_, authorization in hub.requests} == {None}
    hub.requests.clear()
    assert find_speech_model(SPEECH, token=TOKEN, places=online(places, hub)).path.is_file()
    assert {authorization for *_, authorization in hub.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("state", "token", "error", "advice"),
    [
        (
            {"gated": True},
            None,
            ModelAccessDenied,
            "accept its conditions.*set HUGGINGFACE_ACCESS_TOKEN",
        ),
        ({"gated": True}, "hf_other", ModelAccessDenied, "has no access: accept its conditions"),
        ({"private": True}, None, ModelAccessDenied, "does not show .* without a token"),
        ({"private": True}, "hf_other", ModelAccessDenied, "refused HUGGINGFACE_ACCESS_TOKEN"),
        ({"repositories": {}}, TOKEN, ModelNotFound, "does not know the id"),
        (
            {"broken": True},
            None,
            ModelNotFound,
            "found nowhere.*platform's model cache, the image or the Hugging Face cache",
        ),
        (
            {"repositories": {SPEECH: {"model.safetensors": b"x"}}},
            None,
            ModelNotFound,
            "does not hold exactly one .nemo file",
        ),
    ],
)
def test_what_the_hub_refuses_is_explained(places, hub, state, token, error, advice):
    """Each refusal names the model and what to do, and never the token."""
    for name, value in state.items():
        setattr(hub, name, value)
    with pytest.raises(error, match=advice) as caught:
        find_speech_model(SPEECH, token=token, places=online(places, hub))
    assert SPEECH in str(caught.value)
    assert "hf_" not in str(caught.value)


def test_unreachable_hub_is_reported_with_the_places_that_were_tried(places):
    """Without a network the message lists the places by name."""
    with pytest.raises(
        ModelNotFound,
        match=r"found nowhere: .*platform's model cache.*could not be reached \(ConnectError\)",
    ):
        find_speech_model(SPEECH, places=places)


@pytest.mark.parametrize(
    "model_id", ["parakeet", "a/b/c", "https://example.org/model", "nvidia/par akeet"]
)
def test_what_is_neither_path_nor_id_is_refused_without_asking_anybody(places, hub, model_id):
    """A malformed id does not reach the hub."""
    with pytest.raises(ModelNotFound, match="neither a path nor a Hugging Face id"):
        find_speech_model(model_id, places=online(places, hub))
    assert hub.requests == []


def test_legacy_pipeline_gets_the_models_of_other_repositories(places, hub):
    """Each part of 3.1 is found by itself; the PLDA, which it never uses, is not the gated one."""
    write(places.embedded / "diarization", PLDA)
    location = find_diarization_model(LEGACY, token=TOKEN, places=online(places, hub))
    parts = {part.name: part.folder for part in location.parts}
    assert (parts["segmentation"] / "pytorch_model.bin").read_bytes() == b"s"
    assert (parts["embedding"] / "pytorch_model.bin").read_bytes() == b"e"
    assert parts["plda"] == places.embedded / "diarization" / "plda"
    assert not [path for _, path, _ in hub.requests if "community-1" in path]


def test_missing_part_of_a_legacy_pipeline_is_explained(places):
    """If a cache holds only 3.1, the message names the missing repository and the way out."""
    snapshot(
        places.platform_cache, LEGACY, "abc", {"config.yaml": LEGACY_CONFIG.encode()}, is_main=True
    )
    with pytest.raises(
        ModelNotFound,
        match=f"{LEGACY} points at another repository: pyannote/segmentation-3.0 .*{COMMUNITY_1}",
    ):
        find_diarization_model(LEGACY, places=places)


@pytest.mark.parametrize("origin", ["embedded", "hub", "image"])
def test_one_log_line_says_which_place(places, hub, caplog, origin):
    """One line has the id and the place, and no token, URL or path."""
    write(places.embedded, {"speech.nemo": b"x"})
    if origin == "image":
        write(places.image / SPEECH.replace("/", "--"), {"p.nemo": b"x"})
    model_id = "embedded" if origin == "embedded" else SPEECH
    with caplog.at_level(logging.INFO):
        find_speech_model(model_id, token=TOKEN, places=online(places, hub))
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"speech model {model_id}: ")
    assert {"embedded": "shipped", "hub": "Hugging Face hub", "image": "image"}[origin] in line
    assert not any(secret in line for secret in (TOKEN, "http", str(places.embedded.parent)))
