"""What all tests share."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=200)
settings.load_profile("reproducible")


def pytest_report_header() -> str:
    """Say which versions were tested."""
    packages = ("torch", "nemo_toolkit", "pyannote.audio", "runpod", "numpy")
    return ", ".join(f"{package} {version(package)}" for package in packages)


LONG = ("tests/handlers/", "tests/core/flows/", "tests/emulator/", "tests/docs/")
"""Tests that start real workers or wait for many jobs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first: one of them would otherwise run alone at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
