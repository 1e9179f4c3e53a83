"""`.github/workflows`: what they run exists, what they use is pinned, and they may do no more than
they must.

GitHub itself is not there to ask: whether the steps work on it is not tested.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
NAMES = sorted(path.name for path in FOLDER.glob("*.yml"))
PINNED = re.compile(r"^\s*(?:- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
MAY_WRITE = {("release.yml", "release"): {"contents": "write"}}
"""Jobs that may do more than read the repository."""


def text(name: str) -> str:
    """A workflow as it is written."""
    return (FOLDER / name).read_text(encoding="utf-8")


def workflow(name: str) -> dict[Any, Any]:
    """A workflow as GitHub reads it; its `on` is True to YAML 1.1."""
    return dict(yaml.safe_load(text(name)))


def jobs() -> list[Any]:
    """Every job of every workflow."""
    return [
        pytest.param(name, job, id=f"{name}-{job}")
        for name in NAMES
        for job in workflow(name)["jobs"]
    ]


def steps(name: str) -> list[dict[str, Any]]:
    """All steps of a workflow."""
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", ())]


def test_there_are_two() -> None:
    """One that is added needs its permissions looked at, here too."""
    assert NAMES == ["release.yml", "tests.yml"]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_by_its_commit(name: str) -> None:
    """With the version in a comment; a workflow of this repository needs none."""
    lines = [line for line in text(name).splitlines() if re.match(r"^\s*(- )?uses:", line)]
    assert lines
    assert [
        line
        for line in lines
        if not PINNED.match(line) and "uses: ./.github/workflows/" not in line
    ] == []


def test_an_action_has_one_commit_everywhere() -> None:
    """No workflow is forgotten when one is brought up to date."""
    used = {
        tuple(use.split(" ")[0].split("@"))
        for name in NAMES
        for use in re.findall(r"uses: ([\w./-]+@.+)", text(name))
    }
    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_of_its_own_may_nothing(name: str) -> None:
    """Each job says what it needs."""
    assert workflow(name)["permissions"] == {}


@pytest.mark.parametrize(("name", "job"), jobs())
def test_a_job_may_read_the_repository_and_no_more(name: str, job: str) -> None:
    """Apart from the one that makes the release."""
    said = workflow(name)["jobs"][job]
    assert said["permissions"] == MAY_WRITE.get((name, job), {"contents": "read"})
    assert "uses" in said or said["timeout-minutes"] <= 120


@pytest.mark.parametrize("name", NAMES)
def test_no_checkout_leaves_its_token_behind(name: str) -> None:
    """For the steps that run code of others."""
    checkouts = [
        step for step in steps(name) if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", NAMES)
def test_no_script_has_an_expression_in_it(name: str) -> None:
    """A tag's name is text of others: it comes as a variable, never as a part of the script."""
    assert [step["run"] for step in steps(name) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_one_that_bash_reads(name: str) -> None:
    """Its syntax; it is not run."""
    for step in steps(name):
        if "run" in step:
            assert (
                subprocess.run(
                    ["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False
                ).returncode
                == 0
            ), step


def test_every_make_target_and_file_that_is_named_exists() -> None:
    """Those of both workflows."""
    written = "\n".join(map(text, NAMES))
    targets = set(
        re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    run = set(re.findall(r"run: make ([\w-]+)", written))
    assert run == {"check", "test", "test-page"} <= targets
    files = {
        *re.findall(r"(?:Dockerfile(?:\.[a-z]+)?)", written),
        *re.findall(r"\./(\.github/\S+)", written),
    }
    files |= set(re.findall(r"hashFiles\('([^']+)'\)", written))
    assert {file for file in files if not (ROOT / file).is_file()} == set()


def test_a_release_builds_all_four_images_from_the_same_base() -> None:
    """Which the first job looks up by digest, once."""
    release = workflow("release.yml")["jobs"]
    built = {one["role"]: one["file"] for one in release["images"]["strategy"]["matrix"]["include"]}
    assert built == {"single": "Dockerfile"} | {
        role: f"Dockerfile.{role}" for role in ("diarization", "transcription", "orchestrator")
    }
    (build,) = [
        step["with"]
        for step in release["images"]["steps"]
        if step.get("uses", "").startswith("docker/build-push-action@")
    ]
    assert (build["sbom"], build["provenance"], build["platforms"]) == (
        True,
        "mode=max",
        "linux/amd64",
    )
    given = dict(line.split("=", 1) for line in build["build-args"].splitlines())
    assert given["BASE_IMAGE"].startswith("${{")
    for file in built.values():
        declared = set(
            re.findall(r"^ARG (\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        )
        assert set(given) <= declared
        assert re.search(
            r"^ARG BASE_IMAGE=\S+$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE
        )


def test_an_image_gets_its_release_name_after_the_scan() -> None:
    """And nothing is built before the tests have passed."""
    release = workflow("release.yml")["jobs"]
    kinds = [
        step.get("uses", step.get("name", "")).split("@")[0] for step in release["images"]["steps"]
    ]
    assert (
        kinds.index("docker/build-push-action")
        < kinds.index("anchore/scan-action")
        < len(kinds) - 2
    )
    assert "imagetools create" in release["images"]["steps"][-2]["run"]
    assert set(release["images"]["needs"]) == {"tests", "base"}


def test_the_registry_is_the_repositorys_to_say() -> None:
    """No workflow names a host, and the secret is used in one place."""
    release = text("release.yml")
    assert "registry: ${{ vars.REGISTRY }}" in release
    assert release.count("secrets.") == 1
    assert not re.search(r"\b(?:ghcr|docker|quay|gcr)\.io\b", release)
