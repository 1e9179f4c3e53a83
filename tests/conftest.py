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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start real workers come first: the longest of all would else run alone at the
    end.
    """
    items.sort(key=lambda item: not item.nodeid.startswith("tests/handlers/"))
