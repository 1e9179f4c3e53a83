"""The floors of core: the contracts of pyproject.toml, and what a light worker loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"numpy", "torch", "nemo", "pyannote", "boto3", "botocore", "runpod", "requests"}


def _loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter and return which of the heavy packages it loaded."""
    report = f"{code}\nimport sys; print(*{HEAVY!r} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_a_module_imports_from_below_its_own_floor_alone() -> None:
    """Every contract of import-linter is kept."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module",
    ["core.transcript.assembly", "core.wire.render", "core.wire.job_input", "core.settings"],
)
def test_words_and_their_forms_load_neither_numpy_nor_torch(module: str) -> None:
    """What every role needs starts light."""
    assert _loaded(f"import {module}") == set()


def test_the_orchestrator_loads_nothing_heavy() -> None:
    """Its handler, its flow and its client: no model, no array, no bucket, not even the SDK."""
    code = """
import handlers.orchestrator
from core.flows.orchestrated import load
from core.settings import Settings
load(Settings(transcription_endpoint_id="a", diarization_endpoint_id="b", runpod_api_key="key"))
"""
    assert _loaded(code) == set()


def test_a_server_in_front_of_endpoints_loads_nothing_heavy() -> None:
    """With FLOW=orchestrated it runs on a small CPU."""
    code = """
from handlers.openai import __main__
from handlers.openai.app import App
from handlers.openai.roles import ROLES
from handlers.openai.settings import ServerSettings
from core.settings import Settings
settings = Settings(transcription_endpoint_id="a", diarization_endpoint_id="b", runpod_api_key="k")
App(settings, ServerSettings(flow="orchestrated")).use(ROLES["orchestrated"].load(settings))
"""
    assert _loaded(code) == set()


def test_a_role_loads_no_model_library_before_its_model() -> None:
    """NeMo, pyannote and torch wait until `load` is called: a wrong setting fails at once."""
    code = "import handlers.single, core.flows.load"
    assert _loaded(code) & {"torch", "nemo", "pyannote"} == set()
