"""The images' weights stage copies a few files of core: fetching models needs no more."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from core.modelstore import COMMUNITY_1
from tests.core.modelstore.test_modelstore import REPOSITORIES, SPEECH
from tests.hub import Hub, serve

ROOT = Path(__file__).parents[3]
DOCKERFILES = {
    "single": "Dockerfile",
    "transcription": "Dockerfile.transcription",
    "diarization": "Dockerfile.diarization",
}


def stage(role: str) -> str:
    """Return the weights stage of a role's Dockerfile."""
    text = (ROOT / DOCKERFILES[role]).read_text()
    return text.partition(" AS weights\n")[2].partition("\nFROM ")[0]


def copied(text: str, folder: Path) -> Path:
    """Copy what the stage copies, and nothing else."""
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        *sources, target = line.split()
        for source in (ROOT / name for name in sources):
            if source.is_dir():
                skipped = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / target, ignore=skipped)
            else:
                (folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, folder / target)
    return folder


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever the import is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


IMPORTED = sorted(
    {name for path in (ROOT / "core" / "modelstore").glob("*.py") for name in imported(path)}
)


def test_all_roles_have_the_same_stage():
    """So a test of one is a test of all."""
    assert len({stage(role) for role in DOCKERFILES}) == 1


def test_the_files_of_the_stage_fetch_models_of_all_kinds(tmp_path):
    """The stage's command fetches and checks models with a copy of those files alone."""
    app = copied(stage("single"), tmp_path / "app")
    command = [sys.executable, "-m", "core.modelstore", "--prefetch", "--check"]
    with serve(Hub(REPOSITORIES)) as hub:
        ended = subprocess.run(
            [*command, SPEECH, COMMUNITY_1, "--to", str(tmp_path / "models")],
            cwd=app,
            env={"HF_ENDPOINT": hub.url, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(list((tmp_path / "models").iterdir())) == 2


def test_no_other_room_of_core_is_imported():
    """An import inside a function would break only the baking of an image."""
    own = ("core.modelstore", "core.errors", "core.settings")
    rooms = [name for name in IMPORTED if name.startswith("core.")]
    assert len(rooms) > 5
    assert [name for name in rooms if not name.startswith(own)] == []


@pytest.mark.parametrize("role", DOCKERFILES)
def test_the_role_s_lock_has_every_package_that_is_imported(role):
    """The stage installs nothing of its own: its packages are the role's."""
    packages = {name.partition(".")[0] for name in IMPORTED} - {"core"} - sys.stdlib_module_names
    lock = (ROOT / "requirements" / f"{role}.txt").read_text()
    locked = {name.lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    distributions = packages_distributions()
    assert {"filelock", "huggingface_hub"} <= packages
    for package in packages:
        assert {name.lower().replace("_", "-") for name in distributions[package]} <= locked
