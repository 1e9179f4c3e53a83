"""The server as a process whose flow obeys: python -m tests.handlers.openai.obeying"""

from __future__ import annotations

from typing import Any

from core.errors import ModelNotFound
from core.settings import Settings
from handlers.openai import __main__
from handlers.openai.roles import ROLES, Role
from tests.handlers.openai.served import Obedient


def load(settings: Settings) -> Any:
    """Return the flow, or fail as the model's name says."""
    if settings.model_id == "missing":
        raise ModelNotFound("missing is in none of the places")
    if settings.model_id == "buggy":
        raise KeyError("the quick brown secret")
    return Obedient()


if __name__ == "__main__":
    ROLES["single"] = Role(ROLES["single"].kind, load)
    __main__.main()
