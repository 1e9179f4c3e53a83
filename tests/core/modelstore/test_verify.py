"""A model whose files are not those that were fetched does not start a worker."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from core.errors import ModelNotFound
from core.flows.load import load_diarization
from core.modelstore import ModelLocation, PipelinePart, Places, verified
from core.modelstore.marker import write_marker
from core.settings import Settings
from tests.core.modelstore.test_modelstore import write

FILES = {"a.nemo": os.urandom(3 << 20), "sub/b.bin": b"weights"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A filled folder on the volume."""
    folder = write(tmp_path / "org--name", FILES)
    write_marker(folder, "org/name", None, "0" * 40, FILES)
    return folder


def cached(tmp_path: Path, data: bytes) -> Path:
    """Write a snapshot as Hugging Face's cache has it: links to files that are named by their
    sums.
    """
    name = hashlib.sha256(data).hexdigest()
    write(tmp_path / "blobs", {name: data, "f" * 40: b"small, and named otherwise"})
    snapshot = tmp_path / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "a.nemo").symlink_to(f"../../blobs/{name}")
    (snapshot / "config.yaml").symlink_to(f"../../blobs/{'f' * 40}")
    return snapshot


def flip(file: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.resolve().write_bytes(data)


def places_of(folder: Path) -> list[ModelLocation]:
    """Return the ways in which a location can lead to the files."""
    return [
        ModelLocation(folder, "the network volume", "pyannote"),
        ModelLocation(folder / "a.nemo", "the network volume", "nemo"),
        ModelLocation(
            folder.parent, "the image", "pyannote", (PipelinePart("plda", folder / "sub"),)
        ),
    ]


def test_whole_files_are_taken(folder: Path, tmp_path: Path) -> None:
    """Whatever part of them is loaded."""
    for location in places_of(folder):
        with verified(location):
            pass
    snapshot = cached(tmp_path / "cache", FILES["a.nemo"])
    for path in (snapshot, snapshot / "a.nemo"):
        with verified(ModelLocation(path, "the Hugging Face cache", "nemo")):
            pass


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("name", FILES)
def test_one_changed_bit_is_found(folder: Path, which: int, name: str) -> None:
    """The sentence names the file and the place."""
    location = places_of(folder)[which]
    flip(folder / name)
    damaged = pytest.raises(ModelNotFound, match=f"{location.origin} is damaged .*{name}")
    with damaged, verified(location):
        pass


@pytest.mark.parametrize("part", ["", "a.nemo"])
def test_one_changed_bit_in_a_cache_is_found(tmp_path: Path, part: str) -> None:
    """Large files are named by their sums there."""
    snapshot = cached(tmp_path, FILES["a.nemo"])
    flip(snapshot / "a.nemo")
    location = ModelLocation(snapshot / part, "the Hugging Face cache", "nemo")
    with pytest.raises(ModelNotFound, match="is damaged"), verified(location):
        pass


@pytest.mark.parametrize("change", [Path.unlink, lambda file: os.truncate(file, 5)])
def test_a_missing_or_short_file_is_found(folder: Path, change) -> None:
    """It vanished after the search had seen it."""
    change(folder / "a.nemo")
    with pytest.raises(ModelNotFound, match=r"a\.nemo"), verified(places_of(folder)[0]):
        pass


def test_damage_explains_a_model_that_does_not_load(folder: Path) -> None:
    """The loader's own complaint would lead astray."""
    flip(folder / "a.nemo")
    with pytest.raises(ModelNotFound, match="is damaged"), verified(places_of(folder)[0]):
        raise ValueError("bad magic number")
    flip(folder / "a.nemo")
    with pytest.raises(ValueError, match="bad magic number"), verified(places_of(folder)[0]):
        raise ValueError("bad magic number")


def test_files_without_known_sums_are_taken(tmp_path: Path) -> None:
    """A folder of one's own."""
    folder = write(tmp_path / "mine", FILES)
    with verified(ModelLocation(folder / "a.nemo", "the path that was given", "nemo")):
        pass


def test_a_worker_does_not_start_with_a_changed_model(tmp_path: Path) -> None:
    """The bit is among the weights, which would load all the same."""
    folder = shutil.copytree(Places().embedded / "diarization", tmp_path / "pipeline")
    names = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    write_marker(folder, "org/name", None, "0" * 40, names)
    load_diarization(Settings(diarization_model_id=str(folder)))
    flip(folder / "embedding" / "pytorch_model.bin")
    with pytest.raises(ModelNotFound, match=r"is damaged \(embedding/pytorch_model\.bin\)"):
        load_diarization(Settings(diarization_model_id=str(folder)))
