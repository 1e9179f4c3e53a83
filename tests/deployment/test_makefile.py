"""The Makefile: what it offers, and how it ends on a Python that is too old."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(MAKEFILE.split(".PHONY:")[1].splitlines()[0].split())


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder, whatever this process's own make has set."""
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder with what the Makefile needs before anything is installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").touch()
    return tmp_path


def test_make_alone_prints_every_target_and_installs_nothing(fresh: Path) -> None:
    """Someone who tries `make` learns what there is, and what the first target costs."""
    ended = make(fresh)
    assert ended.returncode == 0
    assert "8.9 GB" in ended.stdout
    assert set(re.findall(r"^  ([\w-]+) +\S", ended.stdout, re.MULTILINE)) == TARGETS
    assert not (fresh / ".venv").exists()


def test_one_names_the_tests_to_run(fresh: Path) -> None:
    """`make test ONE=…` runs those alone; without it all tests run."""
    one = make(fresh, "--dry-run", "test", "ONE=tests/core/media").stdout
    whole = make(fresh, "--dry-run", "test").stdout
    assert one.rstrip().endswith("pytest tests/core/media")
    assert whole.rstrip().endswith("pytest -n 3 --dist loadfile --no-loadscope-reorder")


def test_coverage_has_its_floor_when_it_is_asked_for(fresh: Path) -> None:
    """`make test COVERAGE=1` measures what all tests cover, and fails below the floor."""
    covered = make(fresh, "--dry-run", "test", "COVERAGE=1").stdout
    assert "--cov --cov-report=term" in covered
    assert "--include='core/*' --fail-under=90" in covered


def test_an_environment_of_an_older_python_is_made_anew(fresh: Path) -> None:
    """Whoever names a newer Python after that error need not know about `.venv`."""
    old, new = fresh / ".venv" / "bin" / "python", fresh / "python3.12"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\nexit 1\n")
    new.write_text('#!/bin/sh\ntest "$1" = -c && exit 0\necho "$@" >asked\nexit 1\n')
    for program in (old, new):
        program.chmod(0o755)
    assert make(fresh, "demo", f"PYTHON={new}").returncode != 0
    assert (fresh / "asked").read_text() == "-m venv --clear .venv\n"


@pytest.mark.parametrize("has_environment", [False, True], ids=["fresh", "with an old .venv"])
def test_a_python_that_is_too_old_ends_in_one_line(fresh: Path, has_environment: bool) -> None:
    """The line says what is needed; nothing is installed."""
    old = fresh / "python3.10"
    pretend = "import sys; sys.version_info = (3, 10, 12); sys.version = '3.10.12 (main)'; "
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}exec(sys.argv[1])" "$2"\n')
    old.chmod(0o755)
    if has_environment:
        (fresh / ".venv" / "bin").mkdir(parents=True)
        (fresh / ".venv" / "bin" / "python").symlink_to(old)
    before = sorted(fresh.rglob("*"))
    ended = make(fresh, "demo", f"PYTHON={old}")
    assert ended.returncode != 0
    said, makes_own = ended.stderr.splitlines()
    assert said.startswith("Python 3.11 or later is needed and this is 3.10.12; ")
    assert makes_own.startswith("make: ***")
    assert ended.stdout == ""
    assert sorted(fresh.rglob("*")) == before
