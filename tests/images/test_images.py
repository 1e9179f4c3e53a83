"""What is in the images, what they weigh, and how soon they are built anew."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import hub
from tests.images.build import GPU_ROLES, MB, ROLES, build
from tests.images.engine import ROOT, Engine, EngineError
from tests.images.platform import LOCKED, Platform

pytestmark = pytest.mark.images

CONTEXT = ("core", "handlers", "models/embedded", "requirements", "LICENSE", ".dockerignore")
ORCHESTRATOR_MAX_BYTES = 250 * MB
BASE_MAX_BYTES = 150 * MB
GPU_MAX_RATIO = 1.35
REBUILD_MAX_S = 20
CODE = "/app"

WEIGH = """
import importlib.metadata, json, os, pathlib
def weight(folder):
    files = (path for path in pathlib.Path(folder).rglob('*') if not path.is_dir())
    return sum(path.lstat().st_size for path in files)
files = {
    pathlib.Path(found.locate_file(file)).resolve()
    for found in importlib.metadata.distributions() for file in found.files or ()
}
installed = [path for path in files if path.suffix != '.pyc' and path.is_file()]
print(json.dumps({
    'dependencies': sum(path.stat().st_size for path in installed),
    'bytecode': sum(path.stat().st_size for path in pathlib.Path('/opt/venv').rglob('*.pyc')),
    'venv': weight('/opt/venv'),
    'models': weight('/app/models') if os.path.exists('/app/models') else 0,
    'code': weight('/app/core') + weight('/app/handlers'),
}))
"""
COMPILED = """
import importlib, os, sys
module, *imports = sys.argv[1:]
importlib.import_module(module)
for name in imports:
    module, _, function = name.partition(':')
    getattr(importlib.import_module(module), function)(eager=True)
specs = [module.__spec__ for module in sys.modules.values() if getattr(module, '__spec__', None)]
print(sorted(spec.name for spec in specs if spec.cached and not os.path.exists(spec.cached)))
"""


def inside(engine: Engine, image: str, program: str, *arguments: str) -> str:
    """Run a Python program in an image; returns what it prints."""
    return engine.do(
        "run", "--rm", "--network", "none", *LOCKED, image, "python", "-c", program, *arguments
    )


def above_base(engine: Engine, image: str, base: str) -> int:
    """Bytes that an image has on top of its base."""
    return int(engine.image(image)["Size"] - engine.image(base)["Size"])


def test_the_orchestrator_is_small(engine: Engine, images: dict[str, str], base: str) -> None:
    """It installs nothing that models need."""
    assert engine.image(base)["Size"] <= BASE_MAX_BYTES
    assert above_base(engine, images["orchestrator"], base) <= ORCHESTRATOR_MAX_BYTES


@pytest.mark.parametrize("role", GPU_ROLES)
def test_a_gpu_image_weighs_what_its_dependencies_weigh(
    engine: Engine, images: dict[str, str], base: str, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a third more at most; where the rest goes is printed, and nearly nothing is unaccounted
    for.
    """
    weights = json.loads(inside(engine, images[role], WEIGH))
    whole = above_base(engine, images[role], base)
    rest = whole - weights["venv"] - weights["models"] - weights["code"]
    with capsys.disabled():
        said = ", ".join(
            f"{name} {weight / MB:.0f}" for name, weight in {**weights, "rest": rest}.items()
        )
        print(f"\n{role}: {whole / MB:.0f} MB above its base; {said}")
    assert whole <= GPU_MAX_RATIO * weights["dependencies"]
    assert weights["venv"] - weights["dependencies"] - weights["bytecode"] <= 0.02 * whole
    assert abs(rest) <= 0.02 * whole


def test_the_gpu_images_share_their_heavy_layers(engine: Engine, images: dict[str, str]) -> None:
    """Of each, at least 85 % of the bytes are layers that all three have: an engine or a registry
    keeps them once.
    """
    layers = {role: engine.image(images[role])["RootFS"]["Layers"] for role in GPU_ROLES}
    first = next(iter(layers.values()))
    common = sum(1 for digests in zip(*layers.values(), strict=False) if len(set(digests)) == 1)
    assert common < len(first)
    for role in GPU_ROLES:
        sizes = [
            parse_size(line)
            for line in engine.do(
                "history", "--human=false", "--format", "{{.Size}}", images[role]
            ).split()
        ]
        shared = [size for size in reversed(sizes) if size][:common]
        assert sum(shared) >= 0.85 * sum(sizes)


def parse_size(text: str) -> int:
    """Bytes, as `history` prints them."""
    return int(float(text))


@pytest.mark.parametrize("role", ROLES)
def test_an_image_says_what_it_is_and_how_it_is_run(
    engine: Engine, images: dict[str, str], role: str
) -> None:
    """Its user, its command, its labels; nobody is told what it does."""
    config = engine.image(images[role])["Config"]
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == ["python", "-m", f"handlers.{role}"]
    assert not config.get("Entrypoint")
    assert config["Healthcheck"]["Test"] == ["NONE"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"parakeet-{role}"
    assert {"org.opencontainers.image.version", "org.opencontainers.image.revision"} <= config[
        "Labels"
    ].keys()
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert "HF_HUB_OFFLINE" not in environment
    if role in GPU_ROLES:
        assert (
            environment["PYANNOTE_METRICS_ENABLED"],
            environment["HF_HUB_DISABLE_TELEMETRY"],
        ) == ("0", "1")
        assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"


@pytest.mark.parametrize("role", ROLES)
def test_nothing_has_to_be_compiled_when_a_worker_starts(
    engine: Engine, images: dict[str, str], role: str
) -> None:
    """Of Python's own modules, the libraries and ours: with a read-only root it would be done at
    each start.
    """
    nemo, pyannote = "core.speech.parakeet:import_nemo", "core.speakers.loading:import_pyannote"
    heavy = {"transcription": [nemo], "diarization": [pyannote], "single": [pyannote, nemo]}
    # pyannote looks for ffmpeg's shared libraries at its import and warns without them; it is given
    # waveforms here, never files.
    assert (
        inside(
            engine, images[role], COMPILED, f"handlers.{role}", *heavy.get(role, ())
        ).splitlines()[-1]
        == "[]"
    )


@pytest.mark.parametrize("role", ROLES)
def test_an_image_holds_what_its_role_needs_and_no_more(
    engine: Engine, images: dict[str, str], role: str
) -> None:
    """No tests, no tools, no emulator, no installer; models in those that run some."""
    listed = inside(
        engine,
        images[role],
        "import os; print(*sorted(os.listdir('/app')), *os.listdir('/opt/venv/bin'), sep='\\n')",
    ).split()
    assert {"core", "handlers", "LICENSE"} <= set(listed)
    assert ("models" in listed) == (role in GPU_ROLES)
    assert not {
        "tests",
        "tools",
        "emulator",
        "bench",
        "pip",
        "uv",
        "Makefile",
        "requirements",
    } & set(listed)


def test_the_context_is_small(engine: Engine, base: str, tmp_path: Path) -> None:
    """What the engine is sent of this working tree: 5 MB, and the embedded models."""
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCOPY . /context\n")
    engine.build(tmp_path / "Dockerfile", "parakeet-test/context")
    program = (
        "from pathlib import Path\n"
        "files = (p for p in Path('/context').rglob('*') if p.is_file())\n"
        "print(*(f'{p.stat().st_size} {p}' for p in files), sep='\\n')"
    )
    listed = engine.do(
        "run", "--rm", "--network", "none", "parakeet-test/context", "python3", "-c", program
    )
    engine.do("rmi", "parakeet-test/context")
    sizes = {path: int(size) for size, path in (line.split(" ", 1) for line in listed.splitlines())}
    assert sum(sizes.values()) < 40 * MB
    assert (
        sum(
            size for path, size in sizes.items() if not path.startswith("/context/models/embedded/")
        )
        < 5 * MB
    )
    assert not any("__pycache__" in path or "/.git" in path for path in sizes)


@pytest.fixture(scope="module")
def copy(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the context, to change things in."""
    assert images
    folder = tmp_path_factory.mktemp("context")
    for name in (*CONTEXT, *(path.name for path in ROOT.glob("Dockerfile*"))):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return folder


@pytest.mark.parametrize("role", ROLES)
def test_a_change_of_the_code_is_an_image_in_seconds(
    engine: Engine, base: str, copy: Path, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the layer of the code is made anew."""
    with (copy / "core" / "errors.py").open("a") as file:
        file.write(f"CHANGED_FOR = {role!r}\n")
    built = build(engine, role, base, copy, name=f"parakeet-test/changed-{role}")
    try:
        with capsys.disabled():
            print(f"\n{role}: {built.seconds:.1f} s after a change of the code")
        assert built.seconds <= REBUILD_MAX_S
        assert (
            inside(engine, built.tag, "from core import errors; print(errors.CHANGED_FOR)").strip()
            == role
        )
    finally:
        engine.do("rmi", built.tag)


TOKEN = "hf_" + "MarkerThatMustNotStayAnywhere"[::-1]
GATED = "pyannote/speaker-diarization-community-1"


@dataclass(frozen=True)
class Baked:
    """An image with weights in it."""

    tag: str
    options: tuple[str, ...]
    """What it was built with, besides the base."""


@pytest.fixture(scope="module")
def baked(engine: Engine, base: str, copy: Path) -> Iterator[Baked]:
    """The diarization image with a model from a hub that shows it to the bearer of the token alone;
    the hub is gone by now.
    """
    files = {
        str(path.relative_to(EMBEDDED_PIPELINE)): path.read_bytes()
        for path in EMBEDDED_PIPELINE.rglob("*")
        if path.is_file()
    }
    secret = copy.parent / "token"
    secret.write_text(TOKEN)
    with hub.serve(hub.Hub({GATED: files}, gated=True, accepted=TOKEN)) as served:
        arguments = (
            "--build-arg",
            f"BAKE_MODELS={GATED}@{hub.COMMIT}",
            "--build-arg",
            f"HF_ENDPOINT={served.url}",
        )
        options = (*arguments, "--secret", f"id=hf_token,src={secret}")
        name = build(
            engine, "diarization", base, copy, name="parakeet-test/baked", options=options
        ).tag
        assert any(authorization == f"Bearer {TOKEN}" for _, _, authorization in served.requests)
    yield Baked(name, options)
    engine.do("rmi", name)


EMBEDDED_PIPELINE = ROOT / "models" / "embedded" / "diarization"


def test_a_baked_image_needs_no_hub(baked: Baked, running: Platform) -> None:
    """The worker finds its model in the image, by the id that the settings name by default."""
    with running.worker("diarization", baked.tag, DIARIZATION_MODEL_ID=GATED) as worker:
        running.wait_until_ready("diarization", worker)
        assert f"speaker model {GATED}: the image" in worker.logs()


def test_a_change_of_the_code_does_not_fetch_the_weights_again(
    baked: Baked, engine: Engine, base: str, copy: Path
) -> None:
    """The hub need not answer for it, and the layer of the weights is the same."""
    with (copy / "core" / "merging.py").open("a") as file:
        file.write("CHANGED = True\n")
    changed = build(
        engine, "diarization", base, copy, name="parakeet-test/baked-changed", options=baked.options
    ).tag
    try:
        before, after = (engine.image(tag)["RootFS"]["Layers"] for tag in (baked.tag, changed))
        assert (before[:-1], len(before)) == (after[:-1], len(after))
        assert before[-1] != after[-1]
    finally:
        engine.do("rmi", changed)


def test_no_layer_holds_a_secret(baked: Baked, engine: Engine) -> None:
    """Neither a file of any layer nor the image's description and history hold the token that the
    build was given.
    """
    searched = 0
    with engine.stream("save", baked.tag) as saved:
        assert saved.stdout is not None
        with tarfile.open(fileobj=saved.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile():
                    searched += search(archive.extractfile(member), member.name)
    assert saved.returncode == 0
    assert searched >= 0.9 * engine.image(baked.tag)["Size"]


def search(file: Any, name: str) -> int:
    """Search a file for the token, block by block; returns its size."""
    needle, size, tail = TOKEN.encode(), 0, b""
    while block := file.read(1 << 24):
        assert needle not in tail + block, name
        size, tail = size + len(block), block[-len(needle) :]
    return size


def test_a_model_that_the_token_does_not_open_ends_the_build(
    engine: Engine, base: str, copy: Path
) -> None:
    """With the sentence that says what to do; an image without the weights that were asked for is
    not made.
    """
    files: Mapping[str, bytes] = {"config.yaml": b"x"}
    with hub.serve(hub.Hub({GATED: files}, gated=True)) as served:
        options = (
            "--build-arg",
            f"BAKE_MODELS={GATED}@{hub.COMMIT}",
            "--build-arg",
            f"HF_ENDPOINT={served.url}",
        )
        with pytest.raises(EngineError, match="is gated: accept its conditions"):
            build(engine, "diarization", base, copy, name="parakeet-test/refused", options=options)
    assert not engine.has("parakeet-test/refused")
