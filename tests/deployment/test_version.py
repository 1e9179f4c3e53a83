"""The version: one place, and a release refuses a tag that differs from it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import core

ROOT = Path(__file__).parents[2]
RELEASE = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())


def check_tag(tag: str) -> subprocess.CompletedProcess[str]:
    """Run the release's own script on a tag."""
    (step,) = [
        step
        for step in RELEASE["jobs"]["base"]["steps"]
        if step.get("name") == "Is the tag the version?"
    ]
    assert step["env"] == {"TAG": "${{ github.ref_name }}"}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TAG": tag},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_version_is_a_plain_one_that_the_changelog_has() -> None:
    """Three numbers; the newest numbered section of CHANGELOG.md is about it."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", core.__version__)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)[0] == core.__version__


def test_the_package_takes_its_version_from_core() -> None:
    """pyproject.toml names the place and has no version of its own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "core.__version__"}}


def test_the_version_can_be_read_with_nothing_installed() -> None:
    """As the release does, and the images, which copy folders."""
    script = "import core; print(core.__version__)"
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path = ['.'] + sys.path; {script}",
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == core.__version__


def test_a_tag_that_is_the_version_passes() -> None:
    """With a `v` in front."""
    assert check_tag(f"v{core.__version__}").returncode == 0


@pytest.mark.parametrize("tag", ["v9.9.9", core.__version__, f"v{core.__version__}rc1", "v", ""])
def test_a_tag_that_differs_is_refused(tag: str) -> None:
    """With a line that names both."""
    ended = check_tag(tag)
    assert ended.returncode == 1
    assert (
        ended.stdout == f"::error::the tag is {tag}, but core.__version__ is {core.__version__}\n"
    )


def test_nothing_is_built_for_a_tag_that_is_refused() -> None:
    """The images and the release wait for the job that looks at the tag."""
    assert "base" in RELEASE["jobs"]["images"]["needs"]
    assert {"base", "images"} <= set(RELEASE["jobs"]["release"]["needs"])
