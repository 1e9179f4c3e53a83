"""Weights are read where they lie in the archive, and the model is the one that NeMo would have
made.
"""

import logging
import subprocess
import sys
import tarfile
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch
from nemo.collections.asr.models import ASRModel

from core.domain.request import Decoding
from core.errors import ModelNotFound
from core.modelstore import find_speech_model
from core.speech import nemo_archive
from core.speech.parakeet import ParakeetModel
from tests import golden, models

KINDS = ["tdt", "tdt_ctc", "rnnt", "ctc"]
needs_filters = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="NeMo's own way needs Python 3.11.4"
)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The embedded model, and a small one of each kind."""
    folder = tmp_path_factory.mktemp("archives")
    small = {kind: models.speech_model(kind, folder) for kind in KINDS}
    return {"embedded": find_speech_model("embedded").path} | small


@pytest.fixture
def said():
    """What the model logs. NeMo changes the levels of handlers that it did not make, pytest's among
    them.
    """
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("parakeet.model")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def restored(path: Path):
    """Restore a model around weights that are read from the archive."""
    weights: Future = Future()
    weights.set_result(nemo_archive.WeightsAhead(path).tensors("cpu"))
    return ASRModel.restore_from(
        str(path), map_location="cpu", save_restore_connector=nemo_archive.connector(weights)
    ).eval()


def every_tensor(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters, buffers, saved or not, and tensors that are plain attributes such as a
    filterbank.
    """
    found = dict(module.named_parameters()) | dict(module.named_buffers())
    for name, part in module.named_modules():
        found |= {
            f"{name}.{key}": value
            for key, value in vars(part).items()
            if isinstance(value, torch.Tensor)
        }
    return found


@needs_filters
@pytest.mark.parametrize("kind", ["embedded", *KINDS])
def test_every_tensor_is_bit_for_bit_that_of_nemos_own_way(archives, kind):
    """Also what is computed when a model is built and not in the archive: filterbank, window,
    positions.
    """
    ours, theirs = (
        restored(archives[kind]),
        ASRModel.restore_from(str(archives[kind]), map_location="cpu").eval(),
    )
    mine, stock = every_tensor(ours), every_tensor(theirs)
    assert mine.keys() == stock.keys()
    assert any("featurizer" in name for name in mine)
    assert [
        name
        for name, value in mine.items()
        if value.dtype != stock[name].dtype or not torch.equal(value, stock[name])
    ] == []
    assert [name for name, value in mine.items() if value.stride() != stock[name].stride()] == []
    assert [
        name
        for name, value in ours.named_parameters()
        if value.requires_grad != theirs.get_parameter(name).requires_grad
    ] == []


@needs_filters
def test_words_times_and_confidences_are_those_of_nemos_own_way(archives, monkeypatch):
    """On real speech, exactly."""
    sentences = golden.load("sentences").waveform.samples
    arrays = [sentences[:80_000], sentences[80_000:160_000]]
    ours = ParakeetModel(archives["embedded"], device="cpu").recognise(arrays, Decoding())
    monkeypatch.setattr(nemo_archive, "connector", lambda _: None)
    theirs = ParakeetModel(archives["embedded"], device="cpu").recognise(arrays, Decoding())
    assert any(found.words for found in ours)
    assert ours == theirs


@pytest.mark.parametrize("kind", ["embedded", *KINDS])
def test_usual_archives_need_no_second_attempt(archives, kind, said):
    """None of them falls back to NeMo's own way."""
    ParakeetModel(archives[kind], device="cpu")
    assert said == []


def test_weights_in_half_precision_become_those_that_the_model_computes_with(archives, tmp_path):
    """As NeMo does it: the model's own precision counts."""

    def halve(folder: Path) -> None:
        weights = torch.load(folder / nemo_archive.WEIGHTS)
        torch.save(
            {
                name: value.half() if value.is_floating_point() else value
                for name, value in weights.items()
            },
            folder / nemo_archive.WEIGHTS,
        )

    model = restored(repacked(archives["tdt"], tmp_path, halve))
    assert {value.dtype for value in model.parameters()} == {torch.float32}


@needs_filters
def test_compressed_archive_is_restored_in_nemos_own_way(archives, tmp_path, said):
    """The log says so."""
    path = repacked(archives["tdt"], tmp_path, lambda _: None, "w:gz")
    (found,) = ParakeetModel(path, device="cpu").recognise(
        [np.zeros(16_000, np.float32)], Decoding()
    )
    assert found.words
    assert [line for line in said if "own way" in line]


def test_weights_of_an_old_torch_are_read_too(archives, tmp_path):
    """As torch saved them before it made zip files."""

    def age(folder: Path) -> None:
        torch.save(
            torch.load(folder / nemo_archive.WEIGHTS),
            folder / nemo_archive.WEIGHTS,
            _use_new_zipfile_serialization=False,
        )

    usual = restored(archives["tdt"]).state_dict()
    assert all(
        torch.equal(value, usual[name])
        for name, value in restored(repacked(archives["tdt"], tmp_path, age)).state_dict().items()
    )


def test_weights_that_do_not_fit_the_configuration_are_refused(archives, tmp_path):
    """A parameter without its value must not be left as it happens to lie in memory."""

    def lose_one(folder: Path) -> None:
        weights = torch.load(folder / nemo_archive.WEIGHTS)
        weights.pop(
            next(
                name
                for name in weights
                if name.startswith("encoder.layers.0") and name.endswith("weight")
            )
        )
        torch.save(weights, folder / nemo_archive.WEIGHTS)

    with pytest.raises(RuntimeError, match="Missing key"):
        restored(repacked(archives["tdt"], tmp_path, lose_one))


def repacked(path: Path, folder: Path, change, mode: str = "w") -> Path:
    """Unpack an archive, change it, pack it anew."""
    inside = folder / "inside"
    with tarfile.open(path) as archive:
        archive.extractall(inside)
    change(inside)
    with tarfile.open(folder / "changed.nemo", mode) as archive:
        for file in sorted(inside.iterdir()):
            archive.add(file, f"./{file.name}")
    return folder / "changed.nemo"


def test_a_python_without_filters_for_archives_loads_a_model_too(archives, monkeypatch, said):
    """Debian 12's is one: 3.11.2."""
    extract = tarfile.TarFile.extract

    def extract_all_of(self, member, path):
        extract(self, member, path)

    monkeypatch.setattr(tarfile.TarFile, "extract", extract_all_of)
    monkeypatch.setattr(nemo_archive, "_FILTER", {})
    ParakeetModel(archives["embedded"], device="cpu")
    assert said == []


def test_weights_are_read_without_torch(archives):
    """So that reading them can begin before it is imported."""
    code = (
        "import sys; from pathlib import Path; from core.speech.nemo_archive import WeightsAhead;"
        "copy = WeightsAhead(Path(sys.argv[1]))._copy.result();"
        "print(copy.tell() > 0 and 'torch' not in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(archives["embedded"])]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_an_archive_that_ends_within_its_weights_is_no_model(archives, tmp_path):
    """A download that was cut off."""
    path = tmp_path / "half.nemo"
    path.write_bytes(archives["tdt"].read_bytes()[:-20_000])
    with pytest.raises(ModelNotFound, match="check the file"):
        ParakeetModel(path, device="cpu")
