"""What the Dockerfiles say, and the locks that their shared layers are made of.

No engine is needed.
"""

from __future__ import annotations

import itertools
import re
import runpy

import pytest

from handlers.openai.settings import ServerSettings
from tests.images.build import GPU_ROLES, ROLES, dockerfile
from tests.images.engine import ROOT

TEXTS = {role: dockerfile(role).read_text() for role in ROLES}
MARK = "# ---- the mark"
SHARED = runpy.run_path(str(ROOT / "requirements" / "shared.py"))
LEFT_OUT = SHARED["left_out"]()
LOCKS = {role: (ROOT / "requirements" / f"{role}.txt").read_text() for role in GPU_ROLES}


def test_the_gpu_images_have_the_same_steps_down_to_the_mark() -> None:
    """Word for word but the title: only so are their heavy layers the same."""
    heads = {
        role: text.partition(MARK)[0].splitlines()[1:]
        for role, text in TEXTS.items()
        if role in GPU_ROLES
    }
    assert all(len(head) > 20 for head in heads.values())
    for one, other in itertools.pairwise(heads.values()):
        assert one == other


@pytest.mark.parametrize("role", ROLES)
def test_python_is_process_1_and_the_user_is_nobody_special(role: str) -> None:
    """The exec form starts no shell, which would keep signals from the worker."""
    assert f'CMD ["python", "-m", "handlers.{role}"]' in TEXTS[role]
    assert re.findall(r"^USER (.+)$", TEXTS[role], re.MULTILINE) == ["10001:10001"]
    assert "HEALTHCHECK NONE" in TEXTS[role]
    assert "ENTRYPOINT" not in TEXTS[role]


@pytest.mark.parametrize("role", ROLES)
def test_the_base_can_be_exchanged_and_nothing_else_comes_from_a_registry(role: str) -> None:
    """No frontend, no second base: `FROM` names the base, a stage, or the stage in front."""
    assert "ARG BASE_IMAGE=python:3.12-slim-bookworm" in TEXTS[role]
    assert "# syntax=" not in TEXTS[role]
    assert set(re.findall(r"^FROM (\S+)", TEXTS[role], re.MULTILINE)) <= {
        "${BASE_IMAGE}",
        "dependencies",
        "worker",
        "${FRONT}",
    }


@pytest.mark.parametrize("role", ROLES)
def test_all_that_is_installed_is_pinned_by_hash(role: str) -> None:
    """By pip, that brings uv, and by uv."""
    installs = [step for step in re.split(r"\n(?=[A-Z]+ )", TEXTS[role]) if " pip install" in step]
    assert installs
    assert all("--require-hashes" in step for step in installs)


def test_the_code_comes_last() -> None:
    """So that a change of it leaves all layers that weigh anything."""
    for text in TEXTS.values():
        layers = re.findall(
            r"^(?:RUN|COPY) .*$", text.rpartition("FROM dependencies AS worker\n")[2], re.MULTILINE
        )
        assert layers[-1] == "COPY --from=code /app ."


@pytest.mark.parametrize("role", ROLES)
def test_the_worker_is_in_front_unless_somebody_asks_for_the_server(role: str) -> None:
    """The last stage adds nothing to the one that FRONT names; the role whose flow has no words
    has no server.
    """
    text = TEXTS[role]
    assert "ARG FRONT=worker\n" in text.partition("FROM ")[0]
    assert text.endswith("\nFROM ${FRONT}\n")
    server = text.partition("FROM worker AS openai\n")[2].splitlines()
    assert bool(server) == (role != "diarization")
    flows = {"single": "single", "transcription": "transcription", "orchestrator": "orchestrated"}
    if server:
        flow = "".join(line.removeprefix("ENV FLOW=") for line in server if "FLOW" in line)
        assert (flow or ServerSettings().flow) == flows[role]
        assert 'CMD ["python", "-m", "handlers.openai", "--host", "0.0.0.0"]' in server


def test_the_shared_locks_are_what_all_locks_have() -> None:
    """Each requirement with its hashes stands in every lock as it is; torch and CUDA on their
    own.
    """
    heavy, others = SHARED["split"](list(LOCKS.values()))
    for requirement in heavy + others:
        assert all(requirement in lock for lock in LOCKS.values())
        assert "--hash=sha256:" in requirement
    names = [requirement.partition("==")[0] for requirement in heavy]
    assert {"torch", "torchaudio", "triton", "nvidia-cudnn-cu12"} <= set(names)
    assert all(name.startswith(("torch", "triton", "nvidia-")) for name in names)
    assert len(others) > 100


def test_a_requirement_that_one_lock_has_otherwise_is_not_shared() -> None:
    """Another version, another marker or another hash: it is left to the role's own layer."""
    linux = "b==1 ; sys_platform == 'linux' \\\n    --hash=sha256:bb"
    pinned = f"a==1 \\\n    --hash=sha256:aa\n{linux}\ntorch==2 \\\n    --hash=sha256:cc\n"
    assert SHARED["split"]([pinned, pinned]) == (
        ["torch==2 \\\n    --hash=sha256:cc"],
        ["a==1 \\\n    --hash=sha256:aa", linux],
    )
    for other in (pinned.replace("a==1", "a==2"), pinned.replace("sha256:aa", "sha256:ab")):
        assert [requirement[0] for requirement in SHARED["split"]([pinned, other])[1]] == ["b"]
    assert [
        requirement[0]
        for requirement in SHARED["split"]([pinned, pinned.replace("linux", "win32")])[1]
    ] == ["a"]


def _split_for(monkeypatch, folder, *speech: str) -> dict[str, str]:
    """Return the locks of an image as its first steps make them."""
    for lock in (ROOT / "requirements").glob("*.txt"):
        (folder / lock.name).write_text(lock.read_text())
    monkeypatch.chdir(folder)
    SHARED["main"](*speech)
    return {lock.stem: lock.read_text() for lock in folder.glob("*.txt")}


def test_whisper_images_hold_no_nemo_and_transcription_no_torch(monkeypatch, tmp_path) -> None:
    """Their shared layers are what their own two locks have in common."""
    locks = _split_for(monkeypatch, tmp_path, "whisper")
    for role in ("single", "transcription"):
        names = _names(locks[role])
        assert {"faster-whisper", "ctranslate2", "nvidia-cublas-cu12"} <= names
        assert "nemo-toolkit" not in names
        assert ("torch" in names) is (role == "single")
    shared = SHARED["requirements"](locks["torch"]) + SHARED["requirements"](locks["shared"])
    for role in ("single", "transcription"):
        assert set(shared) <= set(SHARED["requirements"](locks[role]))
    assert len(shared) > 80


def test_the_default_engine_is_parakeet(monkeypatch, tmp_path) -> None:
    """The locks lose what is left out alone; an unknown engine fails the build with a sentence."""
    for speech in ((), ("parakeet",)):
        locks = _split_for(monkeypatch, tmp_path, *speech)
        for role in GPU_ROLES:
            assert _names(LOCKS[role]) - _names(locks[role]) == _names(LOCKS[role]) & LEFT_OUT
            assert set(SHARED["requirements"](locks[role])) <= set(
                SHARED["requirements"](LOCKS[role])
            )
    with pytest.raises(SystemExit, match="SPEECH=vosk: parakeet and whisper are possible"):
        SHARED["main"]("vosk")


def test_what_is_left_out_is_in_a_lock_and_told_with_its_reason() -> None:
    """A name that no lock has is a mistake, or no longer needed."""
    assert set.union(*map(_names, LOCKS.values())) >= LEFT_OUT
    lines = (ROOT / "requirements" / "left-out.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[a-z0-9-]+ +# .+", line) for line in lines)
    assert len(LEFT_OUT) > 10


def _names(lock: str) -> set[str]:
    """Return the names of the packages in a lock."""
    return {one.partition("==")[0] for one in SHARED["requirements"](lock)}


def test_engines_agree_on_the_versions_of_what_both_need() -> None:
    """So that a worker behaves alike, whichever engine it has."""
    for role in ("single", "transcription"):
        whisper = (ROOT / "requirements" / f"{role}-whisper.txt").read_text()
        ours, theirs = (
            {one.split()[0] for one in SHARED["requirements"](lock)}
            for lock in (whisper, LOCKS[role])
        )
        known = _names(LOCKS[role])
        assert {one for one in ours - theirs if one.partition("==")[0] in known} == set()
