"""What RunPod's Hub reads, `.runpod/hub.json` and `tests.json`: of the Hub's form, and in step with
the settings and the requests.

The models below are the tables of RunPod's page «Runpod Hub publishing guide», strict, so that a
misspelled field is noticed here and not in a listing.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.media import audio
from core.media import fetch as sources
from core.settings import Settings
from core.wire.job_input import SingleInput, parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".runpod"
POOLS = Literal[
    "AMPERE_16",
    "AMPERE_24",
    "ADA_24",
    "AMPERE_48",
    "ADA_48_PRO",
    "AMPERE_80",
    "ADA_80_PRO",
    "HOPPER_141",
]
GPUS = {
    "NVIDIA RTX A4000": "AMPERE_16",
    "NVIDIA L4": "AMPERE_24",
    "NVIDIA GeForce RTX 4090": "ADA_24",
}
"""Some of the page «GPU types», and the pools that they are in."""
TORCH_CUDA = (12, 8)
"""What torch's wheel is built for; an older driver does not run NeMo's CUDA graphs."""
NOT_OF_THE_HUB = {
    "temp_dir",  # the image's
    "runpod_allow_private_download_urls", "eager_imports",  # for development and for trouble
    # the orchestrator's
    "diarization_endpoint_id", "transcription_endpoint_id", "runpod_api_key",
    "runpod_endpoint_base_url",
    "transcription_fanout", "diarization_fanout", "job_timeout",
}  # fmt: skip
Value = str | int | float | bool
Version = Annotated[str, Field(pattern=r"^\d+\.\d+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Option(_Strict):
    """One of several values."""

    label: str
    value: str


class Input(_Strict):
    """A field of the form that deploys the listing."""

    name: str
    type: Literal["string", "number", "boolean", "huggingface"]
    description: str
    default: Value | None = None
    required: bool = False
    advanced: bool = False
    options: list[Option] | None = None
    min: float | None = None
    max: float | None = None
    trueValue: str | None = None  # noqa: N815  the Hub's
    falseValue: str | None = None  # noqa: N815

    @model_validator(mode="after")
    def _default_is_of_its_type(self) -> Input:
        kind: Any = {"number": (int, float), "boolean": bool}.get(self.type, str)
        assert self.default is None or (
            isinstance(self.default, kind)
            and isinstance(self.default, bool) == (self.type == "boolean")
        )
        assert self.min is None or self.type == "number"
        return self


class Variable(_Strict):
    """An environment variable: fixed, or asked for."""

    key: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    value: str | None = None
    input: Input | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Variable:
        assert (self.value is None) != (self.input is None)
        return self


class Preset(_Strict):
    """Defaults of another kind."""

    name: str
    defaults: dict[str, Value]


class Configuration(_Strict):
    """How the listing is deployed."""

    runsOn: Literal["GPU"]  # noqa: N815
    containerDiskInGb: int  # noqa: N815
    gpuCount: int  # noqa: N815
    gpuIds: str  # noqa: N815
    allowedCudaVersions: list[Version]  # noqa: N815
    presets: list[Preset] = []
    env: list[Variable] = []


class Listing(_Strict):
    """hub.json."""

    title: Annotated[str, Field(max_length=60)]
    description: Annotated[str, Field(max_length=200)]
    type: Literal["serverless"]
    category: Literal["audio", "embedding", "language", "video", "image"]
    iconUrl: str | None = None  # noqa: N815
    config: Configuration


class Fixed(_Strict):
    """An environment variable of the tests."""

    key: str
    value: str


class Case(_Strict):
    """A job that RunPod runs for a release; it passes if the endpoint answers at all."""

    name: Annotated[str, Field(pattern=r"^\w+$")]
    input: dict[str, Any]
    timeout: Annotated[int, Field(ge=1000, le=600_000)]
    """Milliseconds."""


class Machine(_Strict):
    """Where they run."""

    gpuTypeId: str  # noqa: N815
    gpuCount: int  # noqa: N815
    env: list[Fixed] = []
    allowedCudaVersions: list[Version]  # noqa: N815


class Cases(_Strict):
    """tests.json."""

    tests: Annotated[list[Case], Field(min_length=1)]
    config: Machine


LISTING = Listing.model_validate_json((FOLDER / "hub.json").read_bytes())
CASES = Cases.model_validate_json((FOLDER / "tests.json").read_bytes())
INPUTS = {
    variable.key: variable.input for variable in LISTING.config.env if variable.input is not None
}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_a_misspelled_field_of_the_listing_is_refused() -> None:
    """The form above can fail."""
    listing = json.loads((FOLDER / "hub.json").read_text())
    with pytest.raises(ValidationError):
        Listing.model_validate(listing | {"categroy": "audio"})


def test_the_form_asks_for_every_setting_of_the_single_worker() -> None:
    """And for nothing that the worker does not read."""
    assert len(INPUTS) == len(LISTING.config.env)
    assert set(INPUTS) == {
        name.upper() for name in Settings.model_fields if name not in NOT_OF_THE_HUB
    }


@pytest.mark.parametrize("name", INPUTS)
def test_a_default_of_the_form_is_that_of_the_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left as it is, the form changes nothing; a limit of the form is one that the settings
    take.
    """
    asked, default = INPUTS[name], getattr(Settings(), name.lower())
    assert asked.default == (",".join(map(str, default)) if isinstance(default, tuple) else default)
    for edge in (asked.min, asked.max):
        if edge is not None:
            monkeypatch.setenv(name, str(int(edge)))
            Settings.from_environment()


def test_secrets_have_no_default_and_are_told_how_to_be_kept() -> None:
    """The form has no kind of field that hides what is typed."""
    secret = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    } & set(INPUTS)
    assert all(INPUTS[name].default is None for name in secret)
    told = {name for name in secret if "RUNPOD_SECRET" in INPUTS[name].description}
    assert secret - told == {"S3_ACCESS_KEY"}  # a name rather than a secret


def test_presets_set_what_the_form_asks_for() -> None:
    """One for each Parakeet whose languages are known, and for the two best of Whisper's sizes."""
    assert [preset.defaults for preset in LISTING.config.presets] == [
        {"MODEL_ID": "nvidia/parakeet-tdt-0.6b-v2"},
        {"MODEL_ID": "nvidia/parakeet-tdt-0.6b-v3"},
        {"MODEL_ID": "openai/whisper-large-v3-turbo"},
        {"MODEL_ID": "openai/whisper-large-v3"},
    ]
    assert all(set(preset.defaults) <= set(INPUTS) for preset in LISTING.config.presets)


def test_the_pools_have_16_to_24_gb_and_exist() -> None:
    """As RunPod calls them."""
    pools = LISTING.config.gpuIds.split(",")
    assert set(pools) <= set(get_args(POOLS))
    assert {pool.rsplit("_", 1)[1] for pool in pools} <= {"16", "24"}
    assert GPUS[CASES.config.gpuTypeId] in pools


def test_every_cuda_version_can_run_the_torch_build() -> None:
    """That of the lock, and its bindings: the oldest one listed is theirs."""
    lock = (ROOT / "requirements" / "single.txt").read_text(encoding="utf-8")
    (bindings,) = re.findall(r"^cuda-bindings==(\d+\.\d+)", lock, re.MULTILINE)
    assert _version(bindings)[0] == TORCH_CUDA[0]
    (runtime,) = re.findall(r"^nvidia-cuda-runtime-cu12==(\d+\.\d+)", lock, re.MULTILINE)
    assert _version(runtime) == TORCH_CUDA
    for versions in (LISTING.config.allowedCudaVersions, CASES.config.allowedCudaVersions):
        assert min(map(_version, versions)) == TORCH_CUDA
        assert versions == sorted(set(versions), key=_version)


def test_the_disk_holds_what_a_worker_downloads() -> None:
    """Models and the largest recording, as it came and decoded, several times over."""
    settings = Settings()
    recording_gb = (settings.max_audio_bytes + settings.max_audio_duration * 16_000 * 4) / 1e9
    assert LISTING.config.containerDiskInGb >= 10 + 3 * recording_gb


# the Hub's tests


@pytest.mark.parametrize("case", CASES.tests, ids=lambda case: case.name)
def test_every_job_is_a_request_with_real_speech_in_it(case: Case, tmp_path: Path) -> None:
    """The recording of the fitness check, whole; decoded by the worker's own code it has sound in
    it.
    """
    request = parse(SingleInput, case.input)
    assert (
        base64.b64decode(case.input["audio_base64"])
        == (ROOT / "handlers" / "fitness.flac").read_bytes()
    )
    recording = sources.fetch(request.recording.source, tmp_path, settings=Settings())
    heard = audio.Stream(recording, max_duration_s=60).read()
    assert 1 < heard.duration < 5
    assert abs(heard.samples).max() > 0.05


def test_the_jobs_together_go_both_ways() -> None:
    """With speakers and without; the request as a whole is far below what the platform takes."""
    requests = [parse(SingleInput, case.input) for case in CASES.tests]
    assert {request.diarize for request in requests} == {True, False}
    assert len((FOLDER / "tests.json").read_bytes()) < 1_000_000


def test_the_tests_need_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speech model is the listing's own and open; the speaker model, gated there, is the one in
    the image.
    """
    given = {variable.key: variable.value for variable in CASES.config.env}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert (settings.model_id, settings.diarization_model_id) == (
        Settings.model_fields["model_id"].default,
        "embedded",
    )
    assert settings.hub_token is None


def test_the_handler_that_the_hub_looks_for_starts_the_single_worker(tmp_path: Path) -> None:
    """For real: up to the wrong setting that ends it."""
    ast.parse((FOLDER / "handler.py").read_text())
    ended = subprocess.run(
        [sys.executable, str(FOLDER / "handler.py")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "CHUNK_DURATION": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("invalid_settings: CHUNK_DURATION")
