"""build-docker.sh: what it would do, and what it refuses. No engine is needed."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.images.engine import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40
PINNED = {"MODEL_REVISION": COMMIT, "DIARIZATION_MODEL_REVISION": OTHER_COMMIT}
_OURS = ("MODEL", "DIARIZATION", "HF_", "HUGGINGFACE", "BASE_IMAGE", "DOCKER")


def script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it, with these variables and none of its own besides."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.run(
        [str(ROOT / "build-docker.sh"), *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def planned(*arguments: str, **environment: str) -> list[list[str]]:
    """The commands that it says it would run."""
    done = script(*arguments, "--dry-run", **environment)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line.removeprefix("+ ")) for line in done.stdout.splitlines()]


def option(command: list[str], name: str) -> list[str]:
    """The values of an option."""
    return [value for before, value in itertools.pairwise(command) if before == name]


def test_all_roles_are_built_each_from_its_file() -> None:
    """And named after the user, the role and the tag."""
    commands = planned("--username", "me", "--all", "--tag", "1.2")
    assert [(*option(command, "--file"), *option(command, "--tag")) for command in commands] == [
        ("Dockerfile", "me/parakeet-single:1.2"),
        ("Dockerfile.diarization", "me/parakeet-diarization:1.2"),
        ("Dockerfile.transcription", "me/parakeet-transcription:1.2"),
        ("Dockerfile.orchestrator", "me/parakeet-orchestrator:1.2"),
    ]
    assert all(option(command, "--platform") == ["linux/amd64"] for command in commands)
    assert all("VERSION=1.2" in option(command, "--build-arg") for command in commands)
    assert all((ROOT / option(command, "--file")[0]).is_file() for command in commands)


def test_roles_can_be_named_in_any_order_and_twice() -> None:
    """Each is built once."""
    commands = planned(
        "--orchestrator", "--username", "registry.example.com/me", "--single", "--orchestrator"
    )
    assert [option(command, "--tag") for command in commands] == [
        ["registry.example.com/me/parakeet-orchestrator:latest"],
        ["registry.example.com/me/parakeet-single:latest"],
    ]


def test_what_is_built_is_pushed_if_asked() -> None:
    """Right after it was built."""
    build, push = planned("--username", "me", "--single", "--push")
    assert build[1] == "build"
    assert push[1:] == ["push", "me/parakeet-single:latest"]


def test_nothing_is_baked_unless_asked() -> None:
    """Whatever the environment says."""
    for command in planned("--username", "me", "--all", HF_TOKEN="hf_x", **PINNED):
        assert not option(command, "--secret")
        assert not any("BAKE" in argument for argument in option(command, "--build-arg"))


def test_each_role_is_baked_with_its_own_weights_at_a_commit() -> None:
    """The orchestrator with none."""
    baked = [
        next((argument for argument in option(command, "--build-arg") if "BAKE" in argument), None)
        for command in planned(
            "--username", "me", "--all", "--bake", MODEL_ID="nvidia/other", **PINNED
        )
    ]
    community = f"pyannote/speaker-diarization-community-1@{OTHER_COMMIT}"
    assert baked == [
        f"BAKE_MODELS=nvidia/other@{COMMIT} {community}",
        f"BAKE_MODELS={community}",
        f"BAKE_MODELS=nvidia/other@{COMMIT}",
        None,
    ]


def test_an_id_may_bring_its_commit() -> None:
    """As a worker's `MODEL_ID` may."""
    (command,) = planned(
        "--username", "me", "--transcription", "--bake", MODEL_ID=f"nvidia/other@{COMMIT}"
    )
    assert f"BAKE_MODELS=nvidia/other@{COMMIT}" in option(command, "--build-arg")


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGINGFACE_ACCESS_TOKEN"])
def test_the_token_is_a_build_secret_and_is_not_printed(variable: str) -> None:
    """Neither as an argument nor in what the script says."""
    done = script(
        "--username", "me", "--single", "--bake", "--dry-run", **PINNED, **{variable: "hf_marker"}
    )
    assert "id=hf_token" in done.stdout
    assert "hf_marker" not in done.stdout + done.stderr


def test_another_base_and_another_client_can_be_named() -> None:
    """By the environment."""
    (command,) = planned("--username", "me", "--single", BASE_IMAGE="mine:1", DOCKER="/opt/docker")
    assert command[0] == "/opt/docker"
    assert "BASE_IMAGE=mine:1" in option(command, "--build-arg")


def test_whisper_images_have_names_of_their_own() -> None:
    """Of the roles that have a speech model; the others are what they always are."""
    commands = planned("--username", "me", "--all", "--speech", "whisper", "--push")
    built = [command for command in commands if command[1] == "build"]
    assert [
        (option(command, "--tag"), "SPEECH=whisper" in option(command, "--build-arg"))
        for command in built
    ] == [
        (["me/parakeet-single-whisper:latest"], True),
        (["me/parakeet-diarization:latest"], False),
        (["me/parakeet-transcription-whisper:latest"], True),
        (["me/parakeet-orchestrator:latest"], False),
    ]
    assert [command[2:] for command in commands if command[1] == "push"] == [
        option(command, "--tag") for command in built
    ]


def test_whisper_is_baked_from_its_conversion() -> None:
    """The default is the fastest of the large ones."""
    (command,) = planned(
        "--username", "me", "--transcription", "--speech", "whisper", "--bake", **PINNED
    )
    turbo = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
    assert f"BAKE_MODELS={turbo}@{COMMIT}" in option(command, "--build-arg")


REFUSED = {
    "speech": (
        ("--username", "me", "--single", "--speech", "vosk"),
        {},
        "--speech vosk: parakeet and whisper are possible",
    ),
    "nothing": ((), {}, "--username is missing"),
    "no-role": (("--username", "me"), {}, "name a role, or --all"),
    "no-value": (("--username", "--all"), {}, "--username needs a value"),
    "no-last-value": (("--username", "me", "--all", "--tag"), {}, "--tag needs a value"),
    "upper-case": (("--username", "Me", "--all"), {}, "--username Me: lower-case"),
    "injection": (("--username", "me", "--all", "--tag", "a;b"), {}, "--tag a;b: letters"),
    "platform": (
        ("--username", "me", "--all", "--platform", "windows"),
        {},
        "--platform windows: linux/amd64",
    ),
    "unknown": (("--username", "me", "--everything"), {}, "unknown argument --everything"),
    "unpinned": (
        ("--username", "me", "--single", "--bake"),
        {},
        "set MODEL_REVISION to the commit",
    ),
    "half-pinned": (
        ("--username", "me", "--single", "--bake"),
        {"MODEL_REVISION": COMMIT},
        "set DIARIZATION_MODEL_REVISION",
    ),
    "branch": (
        ("--username", "me", "--transcription", "--bake"),
        {"MODEL_REVISION": "main"},
        "set MODEL_REVISION",
    ),
    "two-commits": (
        ("--username", "me", "--transcription", "--bake"),
        {"MODEL_ID": f"a/b@{OTHER_COMMIT}", "MODEL_REVISION": COMMIT},
        "MODEL_ID and MODEL_REVISION name two revisions",
    ),
    "no-commit": (
        ("--username", "me", "--transcription", "--bake"),
        {"MODEL_ID": "a/b@main"},
        "set MODEL_REVISION to the commit of a/b",
    ),
    "no-id": (
        ("--username", "me", "--transcription", "--bake"),
        {"MODEL_ID": "a b", "MODEL_REVISION": COMMIT},
        "MODEL_ID=a b is no",
    ),
}


@pytest.mark.parametrize(("arguments", "environment", "said"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_argument_is_refused_in_one_line(
    arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    """Exit code 2, before anything is done."""
    done = script(*arguments, **environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_build_that_fails_ends_it_and_the_token_is_gone(tmp_path: Path) -> None:
    """With the client's exit code; later images are not tried, and the file with the token, which
    nobody else could read, is removed.
    """
    client = tmp_path / "client"
    client.write_text(
        '#!/bin/sh\nfor a; do case $a in *src=*) f=${a#*src=}; stat -c %a "$f"; cat "$f"; echo; '
        'echo "$f";; esac; done\nexit 3\n'
    )
    client.chmod(0o755)
    done = script(
        "--username",
        "me",
        "--single",
        "--diarization",
        "--bake",
        DOCKER=str(client),
        HF_TOKEN="hf_marker",
        **PINNED,
    )
    assert done.returncode == 3
    _, mode, token, file = done.stdout.splitlines()
    assert (mode, token) == ("600", "hf_marker")
    assert not Path(file).exists()
