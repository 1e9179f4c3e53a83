"""`org/name@revision` names one version of a model, in every place; ids that cannot be are said."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ModelAccessDenied, ModelNotFound
from core.modelstore import COMMUNITY_1, Places, find_diarization_model, find_speech_model
from core.modelstore.marker import write_marker
from tests.core.modelstore.test_modelstore import (
    LEGACY,
    PIPELINE,
    PLDA,
    REPOSITORIES,
    SPEECH,
    snapshot,
    write,
)
from tests.hub import COMMIT, Hub, serve

OTHER = "f" * 40
FOLDER = SPEECH.replace("/", "--")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Empty places, and a hub's address at which nothing answers."""
    names = ("embedded", "platform_cache", "image", "hub_cache", "volume")
    return Places(**{name: tmp_path / name for name in names}, hub="http://127.0.0.1:9")


@pytest.fixture
def hub():
    """A hub that knows a commit, a tag and a branch."""
    with serve(Hub(REPOSITORIES, revisions=frozenset({COMMIT, "v1", "main"}))) as served:
        yield served


def fill(folder: Path, asked: str | None, revision: str, data: bytes = b"x") -> Path:
    """Write a model with its marker, as a prefetch does."""
    write(folder, {"p.nemo": data})
    write_marker(folder, SPEECH, asked, revision, ["p.nemo"])
    return folder


@pytest.mark.parametrize("place", ["platform_cache", "hub_cache"])
def test_a_cache_gives_the_snapshot_of_the_commit(places, place):
    """Not that of the main branch, nor the newest."""
    cache = getattr(places, place)
    wanted = snapshot(cache, SPEECH, COMMIT, {"p.nemo": b"x"}, age_s=100)
    snapshot(cache, SPEECH, OTHER, {"p.nemo": b"y"}, is_main=True)
    assert find_speech_model(f"{SPEECH}@{COMMIT}", places=places).path.parent == wanted
    assert find_speech_model(SPEECH, places=places).path.parent != wanted


@pytest.mark.parametrize("tag", ["v1", "refs/pr/1", "a-branch"])
def test_a_cache_knows_tags_and_branches(places, tag):
    """By its own list of them."""
    wanted = snapshot(places.platform_cache, SPEECH, COMMIT, {"p.nemo": b"x"})
    snapshot(places.platform_cache, SPEECH, OTHER, {"p.nemo": b"y"}, is_main=True)
    repository = places.platform_cache / f"models--{FOLDER}"
    write(repository / "refs" / Path(tag).parent, {Path(tag).name: COMMIT.encode()})
    assert find_speech_model(f"{SPEECH}@{tag}", places=places).path.parent == wanted


@pytest.mark.parametrize("place", ["volume", "image"])
@pytest.mark.parametrize("asked", [COMMIT, "v1"])
def test_a_filled_folder_counts_with_its_revision_alone(places, place, asked):
    """By its commit, or by the name that it was fetched by."""
    folder = fill(getattr(places, place) / FOLDER, "v1", COMMIT)
    assert find_speech_model(f"{SPEECH}@{asked}", places=places).path == folder / "p.nemo"
    with pytest.raises(ModelNotFound, match=f"{SPEECH} at revision {OTHER} was found nowhere"):
        find_speech_model(f"{SPEECH}@{OTHER}", places=places)


def test_an_image_without_a_marker_cannot_say_its_revision(places):
    """It counts for the id alone."""
    write(places.image / FOLDER, {"p.nemo": b"x"})
    assert find_speech_model(SPEECH, places=places).origin == "the image"
    with pytest.raises(ModelNotFound, match="was found nowhere"):
        find_speech_model(f"{SPEECH}@{COMMIT}", places=places)


@pytest.mark.parametrize("revision", [COMMIT, "v1"])
def test_the_hub_is_asked_for_the_revision_alone(places, hub, revision, caplog):
    """Every request for a file names it, and so does the line in the log."""
    online = dataclasses.replace(places, hub=hub.url)
    with caplog.at_level(logging.INFO):
        assert find_speech_model(f"{SPEECH}@{revision}", places=online).path.is_file()
        assert find_diarization_model(f"{COMMUNITY_1}@{revision}", places=online).path.is_dir()
    paths = [path for _, path, _ in hub.requests]
    assert not [path for path in paths if "main" in path or path.endswith(f"/{SPEECH}")]
    assert f"speech model {SPEECH}@{revision}: " in caplog.messages[0]
    hub.requests.clear()
    find_speech_model(f"{SPEECH}@{revision}", places=online)
    assert hub.requests == []


def test_a_revision_that_is_not_there_is_said(places, hub):
    """The hub has the model, but not this version of it."""
    online = dataclasses.replace(places, hub=hub.url)
    with pytest.raises(ModelNotFound, match=f"at revision {OTHER} .*no such revision of it"):
        find_speech_model(f"{SPEECH}@{OTHER}", places=online)
    with pytest.raises(ModelNotFound, match=r"at revision v9 .*no such revision of it"):
        find_diarization_model(f"{COMMUNITY_1}@v9", places=online)


def test_a_configuration_may_pin_its_parts(places, hub):
    """The older pyannote wrote them so."""
    write(places.embedded / "diarization", PLDA)
    config = REPOSITORIES[LEGACY]["config.yaml"].decode()
    pinned = config.replace("segmentation-3.0", f"segmentation-3.0@{COMMIT}")
    write(places.image / LEGACY.replace("/", "--"), {"config.yaml": pinned.encode()})
    online = dataclasses.replace(places, hub=hub.url)
    folders = [part.folder for part in find_diarization_model(LEGACY, places=online).parts]
    assert any(COMMIT in str(folder) and "segmentation" in str(folder) for folder in folders)


@pytest.mark.parametrize("find", [find_speech_model, find_diarization_model])
@pytest.mark.parametrize(
    "model_id",
    [
        "a/..", "a/.", "../..", "a..b/c", "a--b/c", "a/b--c", "-a/b", "a/b-", ".a/b", "a/b.",
        "a/b.git", "a/" + "b" * 97, "a" * 5000, "/" + "a" * 5000, "~nobody-at-all/x", "/root/none",
        "a/b\n", "ä/b", "a@", "@", "a/b@@", "a/b@..", "a/b@../../c", "a/b@/etc", "a/b@-x y",
        "a/b@a//b", "a/b@\x00", "a/b@v?x=1", "a/b@v#x", "a/b@%2e%2e", "datasets/a/b", "a\\b/c",
        "https://host/a/b", "a/b\x00", "~\x00",
    ],
)  # fmt: skip
def test_what_cannot_be_an_id_is_not_found(places, hub, find, model_id):
    """It ends in a sentence of ours, and nobody is asked."""
    with pytest.raises(ModelNotFound):
        find(model_id, places=dataclasses.replace(places, hub=hub.url))
    assert hub.requests == []


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from("abz019._-/@~:\\ \n\x00é"), min_size=1, max_size=12))
def test_any_text_ends_in_an_error_of_ours(places, model_id):
    """Whatever an operator types."""
    if model_id == "." or set(model_id) <= {".", "/", "~"}:
        return  # a folder of this machine
    with pytest.raises((ModelNotFound, ModelAccessDenied)):
        find_speech_model(model_id, places=dataclasses.replace(places, hub="http://127.0.0.1:9"))


def test_a_pipeline_is_found_by_its_commit_with_its_own_parts(places):
    """All of them are those of the snapshot."""
    folder = snapshot(places.platform_cache, COMMUNITY_1, COMMIT, PIPELINE)
    assert find_diarization_model(f"{COMMUNITY_1}@{COMMIT}", places=places).path == folder
