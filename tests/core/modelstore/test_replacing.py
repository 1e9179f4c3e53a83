"""A model that is replaced by another revision of it, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelAccessDenied, ModelNotFound
from core.modelstore import hub as ours
from core.modelstore.marker import MARKER, whole, write_marker
from core.modelstore.prefetch import Shelf
from tests.core.modelstore.test_modelstore import write
from tests.hub import COMMIT, LARGE, Hub, serve

MODEL = "org/whisper"
OLD = {
    name: name.encode() for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
}
NEW = OLD | {"config.json": b"anew", "model.bin": b"w" * (LARGE + 1)}


@pytest.fixture
def hub():
    """A hub whose model has a new revision, `v2`."""
    with serve(Hub({MODEL: NEW}, revisions=frozenset({"v2", COMMIT}))) as served:
        yield served


@pytest.fixture
def shelf(hub: Hub, tmp_path: Path) -> Shelf:
    """A shelf that holds the old revision, `v1`."""
    write(tmp_path / "org--whisper", OLD)
    write_marker(tmp_path / "org--whisper", MODEL, "v1", COMMIT, OLD)
    return Shelf(tmp_path, ours.Hub(hub.url, None))


@pytest.fixture
def folder(shelf: Shelf) -> Path:
    """The model's folder."""
    return shelf.folder / "org--whisper"


def files(folder: Path) -> dict[str, bytes]:
    """The files of a folder but for downloads."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".part"}


@pytest.mark.parametrize(
    ("state", "revision"),
    [
        ({}, "typo"),
        ({"url": "http://127.0.0.1:9"}, "v2"),
        ({"private": True}, "v2"),
        ({"gated": True}, "v2"),
        ({"repositories": {MODEL: {"README.md": b"x"}}}, "v2"),
        ({"damaged": True}, "v2"),
    ],
    ids=["revision", "unreachable", "private", "gated", "no-model", "damaged"],
)
def test_a_fetch_that_fails_leaves_the_model_as_it_was(hub, shelf, folder, state, revision):
    """Its files are the old ones, and its marker still vouches for them."""
    before = files(folder)
    for name, value in state.items():
        setattr(hub, name, value)
    with pytest.raises((ModelNotFound, ModelAccessDenied)):
        Shelf(shelf.folder, ours.Hub(hub.url, None)).fill(MODEL, revision)
    assert files(folder) == before
    assert whole(folder, "v1") is not None


def test_a_mix_of_two_revisions_is_no_model(shelf, folder):
    """When it fails between two files there is no marker, and the next fetch puts it right."""
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        shelf.fill(MODEL, "v2")
    assert (folder / "model.bin").read_bytes() == NEW["model.bin"]
    assert not (folder / MARKER).exists()
    (folder / "tokenizer.json" / "in the way").rmdir()
    (folder / "tokenizer.json").rmdir()
    shelf.fill(MODEL, "v2")
    shelf.check(MODEL, "v2")
    assert files(folder).keys() == {*NEW, MARKER}
    assert list(folder.glob(".*.part")) == []


def test_equal_files_have_their_places(hub, shelf, folder):
    """Two files of the same content, whose sums on the hub are equal, are both there."""
    hub.repositories = {MODEL: NEW | {"vocabulary.json": NEW["model.bin"]}}
    shelf.fill(MODEL, "v2")
    assert (folder / "vocabulary.json").read_bytes() == (folder / "model.bin").read_bytes()
