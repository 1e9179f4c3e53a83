"""The environment, read once at start into one frozen object.

Nothing else in `core` looks for settings there.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingsError

MAX_CONCURRENCY = 64
"""The most jobs that one worker may take at a time."""

BEAM_SIZE = 5
"""That of openai/whisper and faster-whisper."""

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""AWS's naming rules for general purpose buckets."""
USUAL_PORTS = (80, 443)
"""Those of http and https."""
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")
"""Unicode's categories of control and format characters, and of separators."""
Failures = Literal["error", "output"]
"""How a failed job answers."""

LogFormat = Literal["text", "json"]
"""The form of the log's lines."""

CudaGraphs = Literal["off", "on"]
"""Whether a TDT or RNNT decoder runs as CUDA graphs."""
SpeechPrecision = Literal["auto", "float32", "bfloat16"]
"""The precision of the speech model's weights; `auto` is bfloat16 on GPUs that compute in it."""
DiarizationSpeed = Literal["exact", "fast"]
"""Whether turns are pyannote's own, or found several times faster."""


def _trimmed(value: object) -> object:
    """Drop what cannot be seen at both ends: white space, and marks such as U+FEFF."""
    if not isinstance(value, str):
        return value
    seen = [
        index for index, char in enumerate(value) if unicodedata.category(char) not in _INVISIBLE
    ]
    return value[seen[0] : seen[-1] + 1] if seen else ""


def _sendable(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("give ASCII letters, digits and signs, without blanks")
    return key


_Name = Annotated[str, StringConstraints(min_length=1), BeforeValidator(_trimmed)]
Key = Annotated[SecretStr, BeforeValidator(_trimmed), AfterValidator(_sendable)]
"""A key that HTTP headers can carry; a file or a paste often adds a newline to it."""
_Secret = Annotated[SecretStr, BeforeValidator(_trimmed)]
"""A key that is signed with, not sent: it may be anything."""


def _plain_url(value: str) -> str:
    """Refuse a user, query or fragment: a path is appended to the URL, and it may be logged."""
    if not re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", value):
        raise ValueError(
            "give a URL such as https://api.runpod.ai/v2, without user, query or fragment"
        )
    return value.rstrip("/")


def _endpoint(value: str) -> str:
    return value if re.fullmatch(r"[A-Za-z0-9_-]+", value) else _plain_url(value)


def _sdk_switch(value: object) -> bool:
    """Read a switch as the RunPod SDK does: anything else is False, and nothing is an error."""
    return str(value).strip().lower() in ("1", "true", "yes")


def _listed(value: object) -> object:
    """Split what is separated by commas."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _bucket(name: str) -> str:
    if not BUCKET_NAME.fullmatch(name):
        raise ValueError("give names of buckets, separated by commas, without s3:// or a path")
    return name


_Buckets = Annotated[
    tuple[Annotated[str, AfterValidator(_bucket)], ...] | None, NoDecode, BeforeValidator(_listed)
]


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _ports(value: object) -> object:
    """Read numbers separated by commas; `any` is None."""
    if not isinstance(value, str):
        return value
    ports = [part.strip().lower() for part in value.split(",")]
    if ports == ["any"]:
        return None
    if not all(re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65_536 for port in ports):
        raise ValueError("give numbers of ports, separated by commas, or any")
    return tuple(int(port) for port in ports)


_Ports = Annotated[tuple[int, ...] | None, NoDecode, BeforeValidator(_ports)]
_Switch = Annotated[bool, BeforeValidator(_sdk_switch)]
_Url = Annotated[_Name, AfterValidator(_plain_url)]
_Endpoint = Annotated[_Name, AfterValidator(_endpoint)]


class Environment(BaseSettings):
    """Settings named like their variables, in lower case. Empty variables count as not set."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_ignore_empty=True,
        extra="ignore",
        case_sensitive=False,
        hide_input_in_errors=True,
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment.

        Raise SettingsError with one line that names the variable and what it should be.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            variable = cls._variable(str(first["loc"][0]))
            raise SettingsError(
                f"{variable}: {first['msg'].removeprefix('Value error, ')}"
            ) from None

    @classmethod
    def _variable(cls, name: str) -> str:
        """Return the variable that set a field, of those that may: pydantic names the first."""
        alias = cls.model_fields[name].validation_alias
        names = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [name]
        return next((one.upper() for one in names if os.environ.get(one.upper())), name.upper())


class Settings(Environment):
    """The operator's settings."""

    model_id: _Name = "nvidia/parakeet-tdt-0.6b-v2"
    """Speech model: a Hugging Face id, a folder, a `.nemo` file, or `embedded`."""
    diarization_model_id: _Name = "pyannote/speaker-diarization-community-1"
    """Speaker model: a Hugging Face id, a folder, or `embedded`."""
    speech_precision: Annotated[SpeechPrecision, BeforeValidator(_lower)] = "auto"
    """The precision of Parakeet's weights."""
    cuda_graphs: Annotated[CudaGraphs, BeforeValidator(_lower)] = "off"
    """`on` decodes faster on a GPU, and can end the process on some recordings."""
    beam_size: int = Field(default=BEAM_SIZE, ge=1, le=20)
    """Texts that Whisper's search keeps at a time; fewer are faster and make more errors."""
    diarization_speed: Annotated[DiarizationSpeed, BeforeValidator(_lower)] = "exact"
    """`fast` finds speakers several times faster, and nearly as well."""
    known_speaker_threshold: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """How alike a voice must be to a known speaker's to get the name, as a cosine; None leaves it
    to the speaker model.
    """
    known_speaker_margin: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """How much less alike the second best name must be; None leaves it to the speaker model."""
    huggingface_access_token: Key | None = Field(
        default=None, validation_alias=AliasChoices("huggingface_access_token", "hf_token")
    )

    chunk_duration: float = Field(default=500, ge=60, le=86_400, allow_inf_nan=False)
    """The most seconds of audio that transcription holds in one piece."""
    temp_dir: Path = Path("/tmp/parakeet")  # noqa: S108  one private folder per job is made in it
    max_audio_duration: float = Field(default=10_800, gt=0, allow_inf_nan=False)
    """Seconds; longer recordings are refused."""
    max_audio_bytes: int = Field(default=2_147_483_648, gt=0)
    """Larger files are refused."""
    download_timeout: float = Field(default=600, gt=0, allow_inf_nan=False)
    """Seconds for the whole download."""
    runpod_allow_private_download_urls: _Switch = False
    """The RunPod SDK's switch: let URLs lead to private addresses, for development only.

    Every port is open then; metadata services stay blocked.
    """
    allowed_ports: _Ports = USUAL_PORTS
    """The ports that callers' URLs may name; None means any."""
    worker_concurrency: int = Field(default=1, ge=1, le=MAX_CONCURRENCY)
    """Jobs that one worker takes at a time."""
    failures: Annotated[Failures, BeforeValidator(_lower)] = "error"
    """Where the error of a failed job is: beside the output, as the platform has it, or in it."""
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = "text"
    """`json`: each line of the log is a JSON object."""
    eager_imports: bool = False
    """Import NeMo and pyannote with all their libraries, also those that no worker calls."""

    s3_access_key: Key | None = None
    s3_secret_key: _Secret | None = None
    s3_endpoint: _Name | None = None
    s3_bucket: _Name | None = None
    s3_allowed_buckets: _Buckets = None
    """The buckets that callers may name, besides `s3_bucket`. With neither, any is read that the
    key can read.
    """
    s3_output_buckets: _Buckets = None
    """The buckets that callers may have answers put into; none if it is not set."""

    diarization_endpoint_id: _Endpoint | None = None
    """The id or URL of the endpoint that runs the diarization worker."""
    transcription_endpoint_id: _Endpoint | None = None
    """The id or URL of the endpoint that runs the transcription worker."""
    runpod_api_key: Key | None = None
    """The key for both endpoints."""
    runpod_endpoint_base_url: _Url = "https://api.runpod.ai/v2"
    """The part of an endpoint's URL before its id."""
    transcription_fanout: int = Field(default=1, ge=1, le=64)
    """Parts that the orchestrator makes of one recording, a transcription job for each."""
    diarization_fanout: int = Field(default=1, ge=1, le=64)
    """The most parts that the orchestrator makes of one recording for diarization, a job for each.
    """
    job_timeout: float = Field(default=3600, gt=0, le=604_800, allow_inf_nan=False)
    """Seconds that an orchestrated job may take, time in queues included."""

    @property
    def open_ports(self) -> tuple[int, ...] | None:
        """`allowed_ports`; None, any, if private addresses are open too."""
        return None if self.runpod_allow_private_download_urls else self.allowed_ports

    @property
    def hub_token(self) -> str | None:
        """The Hugging Face token in clear text, for the hub alone."""
        return (
            self.huggingface_access_token.get_secret_value()
            if self.huggingface_access_token
            else None
        )
