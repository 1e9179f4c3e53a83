"""docs/settings.md against the code."""

from __future__ import annotations

import re
from pathlib import Path

from core.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()


def documented() -> dict[str, str]:
    """Variable → default as written, for every row of the table."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", PAGE, re.MULTILINE)[1:]
    return {
        name: default.strip("`")
        for names, default in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def written(default: object) -> str:
    """Return a default as the table and an environment variable have it."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None else re.sub(r"\.0$", "", str(default))


def test_every_setting_is_documented_with_its_default() -> None:
    """The table names every variable that Settings reads, and the default that Settings has."""
    settings = Settings()
    for name, field in Settings.model_fields.items():
        default = getattr(settings, name)
        assert documented()[name.upper()] == written(default), field


def test_no_variable_is_documented_that_nothing_reads() -> None:
    """Apart from the SDK's own and the token's second name, the table names only what Settings
    has.
    """
    known = {name.upper() for name in Settings.model_fields} | {
        "HF_TOKEN",
        "RUNPOD_LOG_LEVEL",
    }
    assert set(documented()) == known
