"""A package that can be deferred, and a list of what of it was really imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PLOTS = """
import sys
sys.imported_by_test.append(__name__)
__version__ = "1.5"

SIZES = {"A4": (8.3, 11.7), "A5": (5.8, 8.3)}
UNIT = "inch"
WIDTH = 210

class Figure:
    pages = [3, 5]
    def __init__(self, name="none"):
        self.name = name

def title(text):
    return text.title()

def titled(text):
    def decorate(function):
        return lambda *arguments: title(text) + ": " + function(*arguments)
    return decorate
"""


@pytest.fixture
def imported_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Make a package `plots` with a module `plots.axes`, and return which of them ran so far.

    Every module that the test imports is forgotten after it.
    """
    (tmp_path / "plot.py").touch()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/__init__.py").write_text(PLOTS)
    (tmp_path / "plots/axes.py").write_text(PLOTS)
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []
    monkeypatch.setattr(sys, "imported_by_test", names, raising=False)
    yield names
    for name, module in tuple(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
