"""docs/settings.md against the code."""

from __future__ import annotations

import re
from pathlib import Path

from core.settings import Environment, Settings
from handlers.openai.settings import ServerSettings

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
    """The tables name every variable that is read, and the default that it has."""
    kinds: tuple[type[Environment], ...] = (Settings, ServerSettings)
    for settings in (kind() for kind in kinds):
        for name, field in type(settings).model_fields.items():
            assert documented()[name.upper()] == written(getattr(settings, name)), field


def test_no_variable_is_documented_that_nothing_reads() -> None:
    """Apart from the SDK's own and the token's second name, the tables name only what is read."""
    fields = {**Settings.model_fields, **ServerSettings.model_fields}
    known = {name.upper() for name in fields} | {"HF_TOKEN", "RUNPOD_LOG_LEVEL"}
    assert set(documented()) == known
