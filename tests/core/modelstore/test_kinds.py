"""Each kind of model is found by its files, wherever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelNotFound
from core.modelstore import COMMUNITY_1, Places, find_diarization_model, find_speech_model, kinds
from core.modelstore.converted import CONVERTED, converted
from core.modelstore.hub import Hub
from core.modelstore.prefetch import Shelf
from tests import hub as hubs
from tests.core.modelstore.test_modelstore import PIPELINE, REPOSITORIES, SPEECH, write

WHISPER = "Systran/faster-whisper-large-v3"
FILES = {
    "model.bin": b"weights",
    "config.json": b"{}",
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.json": b"[]",
}
OTHERS = {"README.md": b"text", "model.safetensors": b"other weights"}


@pytest.fixture
def hub():
    """A hub that has a model of each kind."""
    with hubs.serve(hubs.Hub({**REPOSITORIES, WHISPER: {**FILES, **OTHERS}})) as served:
        yield served


def places(tmp_path: Path, url: str = "http://127.0.0.1:9") -> Places:
    """Empty places, and a hub."""
    roots = ("embedded", "platform_cache", "image", "hub_cache", "volume")
    return Places(**{name: tmp_path / name for name in roots}, hub=url)


def names_in(folder: Path) -> set[str]:
    """Return the names of a folder's files but for those of this project."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize(("model_id", "kind"), [(SPEECH, "nemo"), (WHISPER, "whisper")])
def test_hub_model_is_downloaded_as_the_kind_that_it_is(tmp_path, hub, model_id, kind):
    """Only the files of its kind are downloaded, and its location names the kind."""
    location = find_speech_model(model_id, places=places(tmp_path, hub.url))
    folder = location.path if location.path.is_dir() else location.path.parent
    assert location.kind == kind
    assert names_in(folder) == (set(FILES) if kind == "whisper" else {"parakeet.nemo"})


def test_prefetched_model_is_found_by_a_worker(tmp_path, hub):
    """A worker without a hub finds what the command fetched, as the same kind."""
    Shelf(tmp_path / "volume", Hub(hub.url, None)).fill(WHISPER, None)
    location = find_speech_model(WHISPER, places=places(tmp_path))
    assert (location.origin, location.kind) == ("the network volume", "whisper")
    assert names_in(location.path) == set(FILES)


@pytest.mark.parametrize(("files", "kind"), [({"a.nemo": b"x"}, "nemo"), (FILES, "whisper")])
def test_path_is_of_the_kind_that_its_files_are(tmp_path, files, kind):
    """The files in a folder decide, not its name."""
    folder = write(tmp_path / "mine", files)
    assert find_speech_model(str(folder), places=places(tmp_path)).kind == kind


def test_half_a_model_is_refused_with_what_each_kind_needs(tmp_path):
    """The message names the files of every kind that the folder could have been."""
    folder = write(tmp_path / "mine", {"model.bin": b"x"})
    needs = r"does not hold exactly one \.nemo file or the files of a Whisper model"
    with pytest.raises(ModelNotFound, match=needs):
        find_speech_model(str(folder), places=places(tmp_path))


def test_speech_models_are_not_taken_for_speaker_models(tmp_path, hub):
    """A family looks only for its own kinds, on the hub as in a folder."""
    with pytest.raises(ModelNotFound, match=r"does not hold config\.yaml and the models"):
        find_diarization_model(WHISPER, places=places(tmp_path, hub.url))
    folder = write(tmp_path / "mine", PIPELINE)
    with pytest.raises(ModelNotFound, match="does not hold exactly one"):
        find_speech_model(str(folder), places=places(tmp_path))
    assert find_diarization_model(str(folder), places=places(tmp_path)).kind == "pyannote"


@pytest.mark.parametrize(
    ("model_id", "kind"),
    [
        (SPEECH, "nemo"),
        (WHISPER, "whisper"),
        (COMMUNITY_1, "pyannote"),
        ("pyannote/segmentation-3.0", "pyannote"),
    ],
)
def test_file_list_is_claimed_by_one_kind(model_id, kind):
    """No two kinds claim the same repository, so their order does not matter."""
    names = tuple({**REPOSITORIES, WHISPER: {**FILES, **OTHERS}}[model_id])
    assert [each.name for each in kinds.registered() if each.claims(names)] == [kind]


def test_repository_of_no_kind_is_refused_with_all_kinds(tmp_path, hub):
    """The prefetch names what it could have fetched."""
    hub.repositories = {SPEECH: {"README.md": b"x"}}
    nouns = "does not hold a .nemo file or a Whisper model for CTranslate2 or a pyannote model"
    with pytest.raises(ModelNotFound, match=nouns):
        Shelf(tmp_path / "volume", Hub(hub.url, None)).fill(SPEECH, None)


@pytest.mark.parametrize(
    ("original", "repository"),
    [
        ("openai/whisper-large-v3", WHISPER),
        ("openai/whisper-tiny.en", "Systran/faster-whisper-tiny.en"),
        ("openai/whisper-large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        ("distil-whisper/distil-large-v3", "Systran/faster-distil-whisper-large-v3"),
        ("distil-whisper/distil-large-v3.5", "distil-whisper/distil-large-v3.5-ct2"),
        ("somebody/whisper-of-mine", "somebody/whisper-of-mine"),
    ],
)
def test_whisper_is_read_from_the_repository_of_its_conversion(original, repository):
    """Under the name that everybody knows, or under its own."""
    assert converted(original, None) == repository


def test_known_name_is_found_wherever_its_conversion_is(tmp_path, hub):
    """The command fetches the conversion, and a worker finds it under the known name."""
    Shelf(tmp_path / "volume", Hub(hub.url, None)).fill("openai/whisper-large-v3", None)
    location = find_speech_model("openai/whisper-large-v3", places=places(tmp_path))
    assert (location.origin, location.kind) == ("the network volume", "whisper")
    assert location.path.name == "Systran--faster-whisper-large-v3"


def test_known_names_agree_with_the_library_s():
    """Every model that faster-whisper fetches by its size is read from the same repository."""
    from faster_whisper.utils import _MODELS

    theirs = {repository for name, repository in _MODELS.items() if name != "large"}
    ours = set(CONVERTED.values())
    assert theirs == ours


def test_revision_of_a_model_that_is_read_from_elsewhere_is_refused(tmp_path):
    """A commit of the original says nothing about the conversion; the message names that."""
    with pytest.raises(ModelNotFound, match=r"is read from Systran/faster-whisper-large-v3, which"):
        find_speech_model("openai/whisper-large-v3@main", places=places(tmp_path))
