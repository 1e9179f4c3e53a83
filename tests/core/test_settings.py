"""Settings: the environment read once, secrets masked, wrong values refused by the variable's
name.
"""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.errors import SettingsError
from core.settings import Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Settings.model_fields, "hf_token"):
        monkeypatch.delenv(name.upper(), raising=False)


def test_with_nothing_set_there_are_the_published_defaults() -> None:
    """Those that the README promises."""
    settings = Settings.from_environment()
    assert settings.model_id == "nvidia/parakeet-tdt-0.6b-v2"
    assert settings.diarization_model_id == "pyannote/speaker-diarization-community-1"
    assert (settings.chunk_duration, settings.max_audio_duration, settings.worker_concurrency) == (
        500,
        10_800,
        1,
    )
    assert settings.hub_token is None


def test_variables_are_read_by_their_names_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers as numbers, blanks around a name dropped."""
    monkeypatch.setenv("MODEL_ID", " embedded ")
    monkeypatch.setenv("MAX_AUDIO_DURATION", "3600")
    settings = Settings.from_environment()
    assert (settings.model_id, settings.max_audio_duration) == ("embedded", 3600)


def test_diarization_is_exact_unless_it_is_asked_to_be_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In any spelling; there is nothing else to ask for."""
    assert Settings.from_environment().diarization_speed == "exact"
    monkeypatch.setenv("DIARIZATION_SPEED", " Fast")
    assert Settings.from_environment().diarization_speed == "fast"
    monkeypatch.setenv("DIARIZATION_SPEED", "turbo")
    with pytest.raises(SettingsError, match="DIARIZATION_SPEED: Input should be 'exact' or 'fast'"):
        Settings.from_environment()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that sends every field sends many empty ones."""
    monkeypatch.setenv("MODEL_ID", "")
    monkeypatch.setenv("CHUNK_DURATION", "")
    assert Settings.from_environment() == Settings()


@pytest.mark.parametrize("text", ["calls,hearings", " calls , hearings ,", ",calls,,hearings"])
def test_buckets_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Blanks and empty parts do not count."""
    monkeypatch.setenv("S3_ALLOWED_BUCKETS", text)
    assert Settings.from_environment().s3_allowed_buckets == ("calls", "hearings")


@pytest.mark.parametrize(
    ("text", "private", "open_ports"),
    [
        ("", "", (80, 443)),
        ("443, 8443", "", (443, 8443)),
        (" ANY ", "", None),
        ("", "true", None),
        ("443", "true", None),
    ],
)
def test_ports_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, private: str, open_ports: tuple[int, ...] | None
) -> None:
    """`any` opens all, and so does the switch for development."""
    monkeypatch.setenv("ALLOWED_PORTS", text)
    monkeypatch.setenv("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", private)
    assert Settings.from_environment().open_ports == open_ports


@pytest.mark.parametrize("name", ["HUGGINGFACE_ACCESS_TOKEN", "HF_TOKEN"])
def test_the_hub_token_has_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Ours, and the one that Hugging Face's own tools read."""
    monkeypatch.setenv(name, "hf_geheim")
    assert Settings.from_environment().hub_token == "hf_geheim"


def test_secrets_are_masked_wherever_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In repr, str and JSON."""
    for name in ("HF_TOKEN", "S3_ACCESS_KEY", "S3_SECRET_KEY", "RUNPOD_API_KEY"):
        monkeypatch.setenv(name, "geheim")
    settings = Settings.from_environment()
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()


SENT = ("HUGGINGFACE_ACCESS_TOKEN", "HF_TOKEN", "RUNPOD_API_KEY", "S3_ACCESS_KEY")
KEYS = (*SENT, "S3_SECRET_KEY")


@pytest.mark.parametrize("name", [*KEYS, "S3_BUCKET", "S3_ENDPOINT"])
def test_what_cannot_be_seen_around_a_key_is_not_part_of_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A newline, as `echo` adds one, blanks, and marks that a paste brings along."""
    monkeypatch.setenv(name, "\ufeff geheim\u200b\t\r\n")
    settings = Settings.from_environment()
    field = "huggingface_access_token" if name == "HF_TOKEN" else name.lower()
    value = getattr(settings, field)
    assert (value.get_secret_value() if name in KEYS else value) == "geheim"


def test_a_key_that_is_only_signed_with_may_be_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3 stores have it."""
    monkeypatch.setenv("S3_SECRET_KEY", "ge heimö\n")
    secret = Settings.from_environment().s3_secret_key
    assert secret is not None
    assert secret.get_secret_value() == "ge heimö"


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("key", ["ge heim", "geheim\nis", "gehe\u200bim", "gehäm", "\n"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    """By the name that was set."""
    monkeypatch.setenv(name, key)
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment()
    assert str(refused.value) == f"{name}: give ASCII letters, digits and signs, without blanks"


def test_not_even_the_libraries_own_error_shows_a_key() -> None:
    """It would hold what was given."""
    with pytest.raises(ValidationError) as refused:
        Settings(runpod_api_key="ge heim")  # type: ignore[arg-type]
    assert "heim" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHUNK_DURATION", "long"),
        ("CHUNK_DURATION", "1"),
        ("S3_ALLOWED_BUCKETS", "s3://calls"),
        ("S3_ALLOWED_BUCKETS", "calls/2026"),
        ("S3_ALLOWED_BUCKETS", "calls, UPPER"),
        ("S3_ALLOWED_BUCKETS", "*"),
        *(("ALLOWED_PORTS", ports) for ports in ("0", "65536", "https", "443;80", "443,", "-1")),
        ("CHUNK_DURATION", "inf"),
        ("MAX_AUDIO_DURATION", "0"),
        ("MAX_AUDIO_DURATION", "inf"),
        ("MAX_AUDIO_DURATION", "nan"),
        ("MAX_AUDIO_BYTES", "2 GB"),
        ("MAX_AUDIO_BYTES", "-1"),
        ("DOWNLOAD_TIMEOUT", "-5"),
        ("WORKER_CONCURRENCY", "0"),
        ("WORKER_CONCURRENCY", "1.5"),
        ("MODEL_ID", "  "),
        ("TRANSCRIPTION_FANOUT", "0"),
        ("DIARIZATION_FANOUT", "0"),
        ("JOB_TIMEOUT", "0"),
        ("JOB_TIMEOUT", "1000000"),
        ("DIARIZATION_ENDPOINT_ID", "my endpoint"),
        ("DIARIZATION_ENDPOINT_ID", "../other"),
        ("TRANSCRIPTION_ENDPOINT_ID", "https://user:word@example.com/v2/abc"),
        ("TRANSCRIPTION_ENDPOINT_ID", "https://example.com/v2/abc?key=1"),
        ("TRANSCRIPTION_ENDPOINT_ID", "ftp://example.com/v2/abc"),
        ("RUNPOD_ENDPOINT_BASE_URL", "api.runpod.ai/v2"),
        ("RUNPOD_ENDPOINT_BASE_URL", "https:///v2"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What it is called, and what it should be."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment()
    assert str(refused.value).startswith(f"{name}: ")
    assert "\n" not in str(refused.value)
    assert "Value error" not in str(refused.value)


def test_an_endpoint_is_an_id_or_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slash at the end of a URL is dropped."""
    monkeypatch.setenv("DIARIZATION_ENDPOINT_ID", " abc-123 ")
    monkeypatch.setenv("TRANSCRIPTION_ENDPOINT_ID", "http://127.0.0.1:8000/v2/words/")
    monkeypatch.setenv("RUNPOD_ENDPOINT_BASE_URL", "http://127.0.0.1:8000/v2/")
    settings = Settings.from_environment()
    assert settings.diarization_endpoint_id == "abc-123"
    assert settings.transcription_endpoint_id == "http://127.0.0.1:8000/v2/words"
    assert settings.runpod_endpoint_base_url == "http://127.0.0.1:8000/v2"


def test_settings_do_not_change() -> None:
    """What was read at start holds."""
    settings = Settings.from_environment()
    with pytest.raises(ValidationError):
        settings.model_id = "another"
