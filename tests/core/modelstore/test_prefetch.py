"""`python -m core.modelstore`: the real command against a hub on the loopback, also killed in the
middle and started twice.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ModelNotFound
from core.modelstore import COMMUNITY_1, Places, find_diarization_model, find_speech_model
from core.modelstore.__main__ import main
from core.modelstore.marker import MARKER
from tests.core.modelstore.test_modelstore import LEGACY, PLDA, REPOSITORIES, SPEECH, TOKEN, write
from tests.hub import COMMIT, Hub, serve

ROOT = Path(__file__).parents[3]
MODEL = "org/large"
LARGE = os.urandom(32 << 20)
WRITTEN_AT_ONCE = 10 << 20
"""Bytes that the Hugging Face library collects before it writes them."""
FOLDER = {model_id: model_id.replace("/", "--") for model_id in (*REPOSITORIES, MODEL)}


@pytest.fixture
def hub():
    """A hub that has the models, and one of 32 MB."""
    with serve(Hub({**REPOSITORIES, MODEL: {"model.nemo": LARGE, "README.md": b"text"}})) as served:
        yield served


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The folder that the command fills; it creates it itself."""
    return tmp_path / "volume" / "parakeet-models"


@pytest.fixture
def begin(hub: Hub, shelf: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command."""
    shelf.parent.mkdir()

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        usual = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_ENDPOINT": hub.url}
        command = [sys.executable, "-m", "core.modelstore", *arguments, "--to", str(shelf)]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=usual | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


@pytest.fixture
def run(begin):
    """Run the command; return its exit code, its output and its error output."""

    def finish(*arguments: str, **environment: str) -> tuple[int, str, str]:
        process = begin(*arguments, **environment)
        out, error = process.communicate(timeout=120)
        return process.returncode, out, error

    return finish


def places(tmp_path: Path, shelf: Path) -> Places:
    """A worker's places: only the volume has models, and nothing answers at the hub's address."""
    empty = {name: tmp_path / name for name in ("platform_cache", "image", "hub_cache")}
    return Places(embedded=tmp_path / "embedded", volume=shelf, hub="http://127.0.0.1:9", **empty)


def test_models_of_the_environment_are_fetched_and_found_by_a_worker(run, shelf, tmp_path, caplog):
    """Without ids both models are fetched; a worker then needs no hub and logs where they were."""
    code, out, error = run(
        "--prefetch", "--check", MODEL_ID=SPEECH, DIARIZATION_MODEL_ID=COMMUNITY_1
    )
    assert (code, error) == (0, "")
    assert re.search(rf"{SPEECH}: fetched, 1 files, .* revision {COMMIT[:12]}", out)
    with caplog.at_level(logging.INFO):
        assert (
            find_speech_model(SPEECH, places=places(tmp_path, shelf)).path
            == shelf / FOLDER[SPEECH] / "parakeet.nemo"
        )
        assert (
            find_diarization_model(COMMUNITY_1, places=places(tmp_path, shelf)).path
            == shelf / FOLDER[COMMUNITY_1]
        )
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "the network volume"
    ] * 2


def test_a_pipeline_brings_what_its_configuration_points_at(run, shelf, tmp_path):
    """The two other repositories of 3.1 are fetched, found by a worker, and checked."""
    write(tmp_path / "embedded" / "diarization", PLDA)
    assert run("--prefetch", LEGACY)[0] == 0
    location = find_diarization_model(LEGACY, places=places(tmp_path, shelf))
    assert {part.folder for part in location.parts if part.name != "plda"} == {
        shelf / FOLDER["pyannote/segmentation-3.0"],
        shelf / FOLDER["pyannote/wespeaker-voxceleb-resnet34-LM"],
    }
    assert run("--check", LEGACY)[0] == 0
    (shelf / FOLDER["pyannote/segmentation-3.0"] / "pytorch_model.bin").write_bytes(b"S")
    assert run("--check", LEGACY)[0] == 1


def test_what_is_there_is_not_fetched_again(run, hub):
    """A second run does not even ask the hub."""
    assert run("--prefetch", SPEECH)[0] == 0
    hub.requests.clear()
    code, out, _ = run("--prefetch", SPEECH)
    assert (code, hub.requests) == (0, [])
    assert "is there" in out


def test_another_revision_replaces_the_first(run, hub, shelf):
    """The hub is asked for the pinned revision, and files of an older one are removed."""
    assert run("--prefetch", SPEECH)[0] == 0
    (shelf / FOLDER[SPEECH] / "parakeet.nemo").rename(shelf / FOLDER[SPEECH] / "older.nemo")
    assert run("--prefetch", f"{SPEECH}@{COMMIT}")[0] == 0
    assert any(path.endswith(f"/revision/{COMMIT}") for _, path, _ in hub.requests)
    assert [file.name for file in (shelf / FOLDER[SPEECH]).glob("*.nemo")] == ["parakeet.nemo"]
    assert json.loads((shelf / FOLDER[SPEECH] / MARKER).read_text())["revision"] == COMMIT
    code, _, error = run("--check", f"{SPEECH}@another")
    assert (code, error.count("\n")) == (1, 1)
    assert "of another revision" in error


def test_killed_in_the_middle_it_goes_on_where_it_was(run, begin, hub, shelf, tmp_path):
    """Half a model never counts; the next run takes the lease over and asks for the rest only."""
    hub.bytes_per_s = 8 << 20
    process = begin("--prefetch", MODEL)
    wait_until(
        lambda: sum(file.stat().st_size for file in shelf.rglob(".*.part")) >= WRITTEN_AT_ONCE
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(ModelNotFound):
        find_speech_model(MODEL, places=places(tmp_path, shelf))
    assert (shelf / FOLDER[MODEL] / ".lock").exists()
    hub.bytes_per_s = None
    code, out, error = run("--prefetch", "--check", MODEL)
    assert (code, error) == (0, ""), out
    assert out.count("its lock is taken over") == 1
    (asked,) = hub.ranges
    assert int(asked.removeprefix("bytes=").partition("-")[0]) >= WRITTEN_AT_ONCE
    assert (shelf / FOLDER[MODEL] / "model.nemo").read_bytes() == LARGE


def test_two_at_once_fetch_once(begin, hub, shelf):
    """The second waits, says so once, and finds the model complete."""
    hub.bytes_per_s = 16 << 20
    both = [begin("--prefetch", MODEL) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    said = sorted(("fetched" in out, "is there" in out) for out, _ in outputs)
    assert said == [(False, True), (True, False)]
    assert sum(out.count("waiting: somebody else fills") for out, _ in outputs) == 1
    assert not any("taken over" in out for out, _ in outputs)
    assert (
        len(
            [
                path
                for method, path, _ in hub.requests
                if method == "GET" and path.endswith("model.nemo")
            ]
        )
        == 1
    )
    assert not (shelf / FOLDER[MODEL] / ".lock").exists()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "no-marker"])
def test_check_finds_what_is_damaged(run, shelf, damage):
    """Damage is one line that names the model, and exit code 1."""
    assert run("--prefetch", MODEL)[0] == 0
    file = shelf / FOLDER[MODEL] / "model.nemo"
    if damage == "changed":
        data = bytearray(LARGE)
        data[4 << 20] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        os.truncate(file, 100)
    else:
        (file if damage == "gone" else file.with_name(MARKER)).unlink()
    code, _, error = run("--check", MODEL)
    assert (code, error.count("\n")) == (1, 1)
    assert MODEL in error
    assert ("model.nemo" if damage == "changed" else "not complete") in error


@pytest.mark.parametrize(
    ("state", "environment", "advice"),
    [
        ({"gated": True}, {}, "is gated: accept its conditions.*set HUGGINGFACE_ACCESS_TOKEN"),
        ({"gated": True}, {"HF_TOKEN": "hf_other"}, "has no access: accept its conditions"),
        ({"private": True}, {}, "does not show .* without a token"),
        ({"repositories": {}}, {"HF_TOKEN": TOKEN}, "does not know the id"),
        ({"repositories": {SPEECH: {"README.md": b"x"}}}, {}, "does not hold"),
    ],
    ids=["no-token", "wrong-token", "private", "unknown", "no-model"],
)
def test_what_the_hub_refuses_is_one_line(run, hub, shelf, state, environment, advice):
    """A refusal is the sentence of a worker's start and exit code 1; nothing counts as a model."""
    for name, value in state.items():
        setattr(hub, name, value)
    code, _, error = run("--prefetch", SPEECH, **environment)
    assert (code, error.count("\n")) == (1, 1)
    assert re.search(advice, error)
    assert "hf_" not in error
    assert not (shelf / FOLDER[SPEECH] / MARKER).exists()


@pytest.mark.parametrize("variable", ["HUGGINGFACE_ACCESS_TOKEN", "HF_TOKEN"])
def test_gated_model_is_fetched_with_the_token(run, hub, variable):
    """The token is found under either name."""
    hub.gated = True
    assert run("--prefetch", SPEECH, **{variable: TOKEN})[0] == 0


def test_a_volume_that_is_not_there_is_said(run, shelf):
    """If no volume is mounted, nothing is created."""
    shelf.parent.rmdir()
    code, _, error = run("--prefetch", SPEECH)
    assert (code, error.count("\n")) == (1, 1)
    assert "attach a network volume" in error
    assert not shelf.parent.exists()


def test_a_command_that_does_nothing_is_wrong(capsys):
    """Without --prefetch and --check it says what to give and exits with 2."""
    with pytest.raises(SystemExit) as exit_:
        main([SPEECH])
    assert exit_.value.code == 2
    assert "give --prefetch, --check or both" in capsys.readouterr().err


def test_models_that_need_no_hub_are_passed_over(run, hub):
    """`embedded` ships with the project, and a path is on this machine already."""
    code, out, _ = run("--prefetch", MODEL_ID="embedded", DIARIZATION_MODEL_ID="/models/mine")
    assert (code, hub.requests) == (0, [])
    assert out.count("nothing to fetch") == 2


def test_baked_folder_is_found_as_the_image(run, shelf, tmp_path):
    """Models that `--to /models` puts into an image are found there."""
    assert run("--prefetch", SPEECH)[0] == 0
    image = Places(
        tmp_path,
        tmp_path,
        image=shelf,
        hub_cache=tmp_path,
        hub="http://127.0.0.1:9",
        volume=tmp_path,
    )
    assert find_speech_model(SPEECH, places=image).origin == "the image"


def test_file_that_changed_on_its_way_is_refused(run, hub, shelf):
    """A large file that differs from its sum on the hub is refused and fetched anew."""
    hub.damaged = True
    code, _, error = run("--prefetch", MODEL)
    assert (code, error.count("\n")) == (1, 1)
    assert "damaged on its way" in error
    hub.damaged = False
    assert run("--prefetch", "--check", MODEL)[0] == 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again, for at most a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
