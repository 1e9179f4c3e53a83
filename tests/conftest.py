"""What all tests share."""

from __future__ import annotations

from importlib.metadata import version

from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=200)
settings.load_profile("reproducible")


def pytest_report_header() -> str:
    """Say which versions were tested."""
    packages = ("torch", "nemo_toolkit", "pyannote.audio", "runpod", "numpy")
    return ", ".join(f"{package} {version(package)}" for package in packages)
