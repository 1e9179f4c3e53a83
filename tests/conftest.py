"""What all tests share."""

from __future__ import annotations

import logging
import signal
from importlib.metadata import version

import pytest
from hypothesis import settings

# A script that starts the tests in the background has interrupts ignored, and so would the programs
# that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=200)
settings.load_profile("reproducible")

LEVELS = {name: logging.getLogger(name).level for name in ("", "parakeet", "httpx2", "stamina")}


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> None:
    """Commands and libraries that ran in this process before the test have made them quiet.

    NeMo changes the levels of all handlers, pytest's among them.
    """
    logging.disable(logging.NOTSET)
    for handler in logging.root.handlers:
        handler.setLevel(logging.NOTSET)
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def pytest_report_header() -> str:
    """Say which versions were tested."""
    packages = ("torch", "nemo_toolkit", "pyannote.audio", "runpod", "numpy")
    return ", ".join(f"{package} {version(package)}" for package in packages)


LONG = ("tests/handlers/", "tests/core/flows/", "tests/emulator/", "tests/docs/")
"""Tests that start real workers or wait for many jobs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first: one of them would otherwise run alone at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
