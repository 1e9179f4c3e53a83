"""A kind of model is added by its class and its registration alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from core.errors import ModelNotFound
from core.modelstore import COMMUNITY_1, Places, find_diarization_model, find_speech_model, kinds
from core.modelstore.hub import Hub
from core.modelstore.kinds import Kind
from core.modelstore.prefetch import Shelf
from tests import hub as hubs
from tests.core.modelstore.test_modelstore import PIPELINE, REPOSITORIES, SPEECH, write

WHISPER = "org/whisper-ct2"
FILES = {
    "model.bin": b"weights",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"words",
}
OTHERS = {"README.md": b"text", "preprocessor_config.json": b"{}"}


class Whisper(Kind):
    """A Whisper model as CTranslate2 reads it."""

    name = "whisper"
    family = "speech"
    noun = "a CTranslate2 model"
    needs = "model.bin with its vocabulary"
    patterns = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")

    def claims(self, names: Iterable[str]) -> bool:
        """See `Kind`."""
        return {"model.bin", "tokenizer.json"} <= set(names)

    def pick(self, path: Path) -> Path | None:
        """See `Kind`."""
        return path if all(any(path.glob(pattern)) for pattern in self.patterns) else None


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """Register the kind for a test."""
    monkeypatch.setattr(kinds, "REGISTERED", (*kinds.REGISTERED, Whisper()))


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
    needs = r"does not hold exactly one \.nemo file or model\.bin with its vocabulary"
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
    nouns = "does not hold a .nemo file or a pyannote model or a CTranslate2 model"
    with pytest.raises(ModelNotFound, match=nouns):
        Shelf(tmp_path / "volume", Hub(hub.url, None)).fill(SPEECH, None)
