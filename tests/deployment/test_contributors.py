"""What contributors meet: hooks, forms and updates that name only what exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import core

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
FIELDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
MANIFESTS = {"pip": "pyproject.toml", "github-actions": ".github/workflows", "docker": "Dockerfile"}


def read(path: str | Path) -> Any:
    """A YAML file of the repository."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_every_hook_is_a_tool_of_ours() -> None:
    """No hook comes from elsewhere, and each tool is one that `make check` runs."""
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    checks = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ncheck:")[1].split("\n\n")[0]
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        program, *rest = shlex.split(hook["entry"])
        assert program.startswith(".venv/bin/")
        command = " ".join([program.replace(".venv/bin", "$(BIN)"), *rest[:1]])
        assert command in checks, hook["id"]


def test_updates_come_grouped_once_a_month() -> None:
    """For every kind of dependency that the repository has."""
    updates = {one["package-ecosystem"]: one for one in read(".github/dependabot.yml")["updates"]}
    assert set(updates) == set(MANIFESTS)
    for kind, update in updates.items():
        assert (ROOT / update["directory"].lstrip("/") / MANIFESTS[kind]).exists()
        assert update["schedule"] == {"interval": "monthly"}
        assert [group["patterns"] for group in update["groups"].values()] == [["*"]]


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_every_issue_form_has_what_github_asks_of_one(form: Path) -> None:
    """A name, a description, and fields of known kinds with ids of their own."""
    said = read(form)
    if form.stem == "config":
        assert said == {"blank_issues_enabled": True}
        return
    assert said["name"]
    assert said["description"]
    assert {field["type"] for field in said["body"]} <= FIELDS
    asked = [field for field in said["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked)
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field.get("validations", {}).get("required") for field in asked)


def test_the_bug_form_knows_every_role() -> None:
    """Roles as the workers are called."""
    fields = read(".github/ISSUE_TEMPLATE/bug.yml")["body"]
    (role,) = [field for field in fields if field.get("id") == "role"]
    programs = (ROOT / "handlers").glob("*.py")
    roles = {path.stem for path in programs if "def main(" in path.read_text("utf-8")}
    assert "orchestrator" in roles
    assert roles <= set(role["attributes"]["options"])


def test_every_command_of_the_table_exists() -> None:
    """Make targets and modules that CONTRIBUTING.md and SECURITY.md name."""
    pages = ("CONTRIBUTING.md", "SECURITY.md")
    text = "".join((ROOT / page).read_text("utf-8") for page in pages)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", text, re.MULTILINE)) <= targets
    modules = re.findall(r"-m ([\w.]+)", text)
    assert modules
    assert all((ROOT / f"{module.replace('.', '/')}.py").exists() for module in modules)
    assert (ROOT / ".ci" / "run").exists()


def test_the_package_carries_its_version_and_its_types(tmp_path: Path) -> None:
    """A wheel, built from the folders that the images copy."""
    for folder in ("core", "handlers"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    command = [sys.executable, "-W", "ignore", "-c", build]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    wheel = tmp_path / ended.stdout.splitlines()[-1]
    assert wheel.name.startswith(f"parakeet_workers-{core.__version__}-")
    assert {"core/py.typed", "handlers/py.typed", "handlers/fitness.flac"} <= set(
        zipfile.ZipFile(wheel).namelist()
    )
