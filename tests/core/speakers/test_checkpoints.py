"""Nothing in a pipeline's files runs; what pyannote's own files hold is read."""

from __future__ import annotations

import builtins
import collections
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import omegaconf
import pytest
import torch
from pyannote.audio.core.model import Introspection

from core.errors import ModelNotFound
from core.modelstore import ModelLocation, PipelinePart, find_diarization_model
from core.speakers.pyannote import PyannoteDiarizer

MODELS = ("segmentation", "embedding")


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded pipeline."""
    return shutil.copytree(find_diarization_model("embedded").path, tmp_path / "pipeline")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """The file that evil code makes."""
    return tmp_path / "trace"


def change(file: Path, content: dict[str, Any], **options: Any) -> None:
    """Add to a checkpoint."""
    torch.save({**torch.load(file, weights_only=False), **content}, file, **options)


def refusal(folder: Path, trace: Path) -> str:
    """Load a pipeline in vain; return the message."""
    with pytest.raises(ModelNotFound) as caught:
        PyannoteDiarizer(ModelLocation(folder, "a test", "pyannote"), device="cpu")
    assert not trace.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    return str(caught.value)


def calls(trace: Path) -> dict[str, Runs]:
    """Return the ways to make the file."""
    code = f"open({str(trace)!r}, 'w').close()"
    return {
        "system": Runs(os.system, f"touch {trace}"),
        "exec": Runs(exec, code),
        "eval": Runs(eval, code),
        "getattr": Runs(getattr, os, "system"),
        "open": Runs(open, str(trace), "w"),
        "import": Runs(builtins.__import__, "antigravity"),
        "load": Runs(torch.load, str(trace)),
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", ["system", "exec", "eval", "open", "import", "load"])
def test_a_checkpoint_that_calls_something_is_refused(
    way: str, model: str, folder: Path, trace: Path
) -> None:
    """The sentence names the file and says what a model is."""
    change(folder / model / "pytorch_model.bin", {"callbacks": calls(trace)[way]})
    message = refusal(folder, trace)
    assert message.startswith(f"{model}/pytorch_model.bin would run ")
    assert "a model is a program" in message


def test_an_array_of_objects_in_a_checkpoint_is_refused(folder: Path, trace: Path) -> None:
    """Only single numbers of numpy's are read."""
    file = folder / "embedding" / "pytorch_model.bin"
    change(file, {"scores": np.array([calls(trace)["system"]], dtype=object)})
    assert refusal(folder, trace).startswith("embedding/pytorch_model.bin would run ")


@pytest.mark.parametrize("options", [{"pickle_protocol": 4}, {"pickle_protocol": 5}])
def test_newer_pickles_do_not_hide_a_call(
    options: dict[str, int], folder: Path, trace: Path
) -> None:
    """Their names are found on a stack."""
    change(
        folder / "embedding" / "pytorch_model.bin",
        {"callbacks": calls(trace)["system"]},
        **options,
    )
    assert refusal(folder, trace).startswith("embedding/pytorch_model.bin holds more than weights")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", ["legacy", "bare"])
def test_a_file_that_is_no_archive_is_not_read(
    form: str, model: str, folder: Path, trace: Path
) -> None:
    """Torch's old form and a plain pickle are pickles too."""
    file = folder / model / "pytorch_model.bin"
    evil = {"callbacks": calls(trace)["system"]}
    if form == "legacy":
        change(file, evil, _use_new_zipfile_serialization=False)
    else:
        file.write_bytes(pickle.dumps(evil))
    assert "check its files" in refusal(folder, trace)


@pytest.mark.parametrize("file", ["plda.npz", "xvec_transform.npz"])
def test_a_pickle_among_the_numbers_is_refused(file: str, folder: Path, trace: Path) -> None:
    """An array of objects is a pickle."""
    plda = folder / "plda" / file
    arrays = dict(np.load(plda))
    arrays["mu"] = np.array([calls(trace)["system"]], dtype=object)
    np.savez(plda, **arrays)
    assert refusal(folder, trace).startswith(f"plda/{file} holds more than numbers")


@pytest.mark.parametrize("file", ["plda.npz", "xvec_transform.npz"])
def test_a_pickle_in_place_of_numbers_is_refused(file: str, folder: Path, trace: Path) -> None:
    """The file is no archive at all."""
    (folder / "plda" / file).write_bytes(pickle.dumps(calls(trace)["system"]))
    assert refusal(folder, trace).startswith(f"plda/{file} holds more than numbers")


@pytest.mark.parametrize("key", ["hyper_parameters", "hparams", "module_arguments"])
def test_a_function_that_lightning_would_call_is_refused(
    key: str, folder: Path, trace: Path
) -> None:
    """A checkpoint can name one that makes the model."""
    file = folder / "segmentation" / "pytorch_model.bin"
    change(file, {key: {"_instantiator": "os.system"}})
    assert refusal(folder, trace).startswith("segmentation/pytorch_model.bin names a program")


@pytest.mark.parametrize("module", ["antigravity", "os", "pyannote.audio.models2", "core.errors"])
def test_a_model_of_somebody_else_s_module_is_refused(
    module: str, folder: Path, trace: Path
) -> None:
    """Its import alone would run code."""
    file = folder / "embedding" / "pytorch_model.bin"
    about = torch.load(file, weights_only=False)["pyannote.audio"]
    about["architecture"]["module"] = module
    change(file, {"pyannote.audio": about})
    assert refusal(folder, trace).startswith("embedding/pytorch_model.bin names a program")


@pytest.mark.parametrize(
    "addition",
    [
        "preprocessors: {audio: {name: os.system, params: {command: 'touch TRACE'}}}",
        "pipeline: {name: subprocess.Popen, params: {args: [touch, TRACE]}}",
        "pipeline: {name: os.system}",
        "pipeline: {name: pyannote.audio.pipelinesX.Y}",
        "pipeline: {}",
    ],
)
def test_a_configuration_that_names_a_program_is_refused(
    addition: str, folder: Path, trace: Path
) -> None:
    """Only pipelines of pyannote's are made."""
    config = folder / "config.yaml"
    config.write_text(f"{config.read_text()}\n{addition}\n".replace("TRACE", str(trace)))
    assert refusal(folder, trace).startswith("config.yaml names a program")


def test_a_part_of_another_repository_is_examined_too(
    folder: Path, trace: Path, tmp_path: Path
) -> None:
    """The sentence calls it by its parameter."""
    elsewhere = shutil.copytree(folder / "embedding", tmp_path / "elsewhere")
    change(elsewhere / "pytorch_model.bin", {"callbacks": calls(trace)["system"]})
    part = PipelinePart("embedding", elsewhere)
    (folder / "config.yaml").write_text(
        (folder / "config.yaml").read_text().replace("$model/embedding", "org/elsewhere")
    )
    with pytest.raises(ModelNotFound, match=r"^embedding/pytorch_model\.bin would run"):
        PyannoteDiarizer(ModelLocation(folder, "a test", "pyannote", (part,)), device="cpu")
    assert not trace.exists()


def test_a_path_in_the_configuration_is_examined_too(
    folder: Path, trace: Path, tmp_path: Path
) -> None:
    """The file that it names may lie anywhere."""
    elsewhere = shutil.copy(folder / "embedding" / "pytorch_model.bin", tmp_path / "mine.bin")
    change(Path(elsewhere), {"callbacks": calls(trace)["system"]})
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("$model/embedding", str(elsewhere)))
    assert refusal(folder, trace).startswith("embedding/mine.bin would run")


@pytest.mark.parametrize("variable", [None, "0", "1"])
def test_what_the_checkpoints_of_pyannote_hold_is_read(
    variable: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types of older pyannote, omegaconf and Lightning; the environment is as it was after it."""
    from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

    if variable is not None:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", variable)
    change(
        folder / "segmentation" / "pytorch_model.bin",
        {
            "older": collections.defaultdict(dict),
            "introspection": Introspection(),
            "version": torch.__version__,
            "scores": [np.float64(0.5), np.float32(2), np.int64(3), np.bool_(True)],
            "configuration": omegaconf.OmegaConf.create({"a": [1, "b", None, 0.5, True]}),
            "callbacks": {EarlyStopping: {"wait": 1}, ModelCheckpoint: {"best": torch.ones(1)}},
        },
    )
    PyannoteDiarizer(find_diarization_model(str(folder)), device="cpu")
    assert os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD") == variable
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
