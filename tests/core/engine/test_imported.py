"""An import that fails with stand-ins is repeated without them."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest

from core.engine import lazy_imports
from core.engine.lazy_imports import imported

RAN = "import sys\nsys.imported_by_test.append(__name__)\n"
PAPER = RAN + "from plots import WIDTH\n"
FRAMES = RAN + "from plots import WIDTH\nimport plots.axes\n"
INK = RAN + "from frames import WIDTH\nLINE = WIDTH * 2\n"


@pytest.fixture
def drawing(imported_names: list[str], tmp_path: Path) -> list[str]:
    """Make a package that dislikes stand-ins: it multiplies a constant while it is imported.

    By then its module `drawing.paper` and the module `frames` are imported, and hold the constant.
    """
    (tmp_path / "drawing").mkdir()
    (tmp_path / "drawing/__init__.py").write_text(
        RAN + "from drawing import paper\nfrom drawing.ink import LINE\n"
    )
    (tmp_path / "drawing/paper.py").write_text(PAPER)
    (tmp_path / "drawing/ink.py").write_text(INK)
    (tmp_path / "frames.py").write_text(FRAMES)
    return imported_names


def load_drawing() -> ModuleType:
    """Import the package."""
    return importlib.import_module("drawing")


def test_import_that_dislikes_stand_ins_is_repeated_without(drawing, caplog):
    """Nothing of the first try is left: every module runs anew and has the real constant."""
    package = imported("Drawing", load_drawing, ["plots"])
    assert package.LINE == 420
    assert package is sys.modules["drawing"]
    assert package.paper is sys.modules["drawing.paper"]
    assert type(package.paper.WIDTH) is type(sys.modules["frames"].WIDTH) is int
    first = ["drawing", "drawing.paper", "drawing.ink", "frames"]
    assert drawing == [
        *first,
        "drawing",
        "drawing.paper",
        "plots",
        "drawing.ink",
        "frames",
        "plots.axes",
    ]


def test_repeated_import_is_logged_in_one_line(drawing, caplog):
    """The line names the library, the error's type and the setting that saves the first try."""
    imported("Drawing", load_drawing, ["plots"])
    (record,) = [one for one in caplog.records if "Drawing" in one.getMessage()]
    assert record.levelno == logging.WARNING
    for part in ("Drawing", "(TypeError)", "EAGER_IMPORTS"):
        assert part in record.getMessage()
    assert record.exc_info is None


def test_import_that_likes_stand_ins_happens_once(imported_names, caplog):
    """What was deferred is still not imported, and nothing is logged."""
    package = imported("Plots", lambda: importlib.import_module("plots"), ["plots"])
    assert imported_names == []
    assert package.title("a day") == "A Day"
    assert caplog.records == []


def test_eager_import_has_no_stand_ins(drawing, caplog):
    """Everything is imported at once, in its own order, and there is nothing to repeat."""
    assert imported("Drawing", load_drawing, ["plots"], eager=True).LINE == 420
    assert drawing == ["drawing", "drawing.paper", "plots", "drawing.ink", "frames", "plots.axes"]
    assert caplog.records == []


@pytest.mark.parametrize("eager", [True, False])
def test_what_the_images_leave_out_is_not_needed_for_an_import(
    imported_names, tmp_path, monkeypatch, eager
):
    """It has a stand-in whatever the settings say, and the import is not repeated."""
    monkeypatch.setattr(lazy_imports, "LEFT_OUT", ("tables", "plots"))
    (tmp_path / "paper.py").write_text(RAN + "from tables import Frame\nimport plots\n")
    package = imported("Paper", lambda: importlib.import_module("paper"), (), eager=eager)
    assert imported_names == ["paper", "plots"]
    with pytest.raises(ModuleNotFoundError, match="No module named 'tables'"):
        package.Frame()


def test_import_that_fails_without_stand_ins_too_is_an_error(imported_names, tmp_path):
    """The error is that of the second try alone."""
    (tmp_path / "broken.py").write_text(
        RAN + "raise LookupError(sys.imported_by_test.count('broken'))"
    )
    with pytest.raises(LookupError) as caught:
        imported("Broken", lambda: importlib.import_module("broken"), ["plots"])
    assert caught.value.args == (2,)
    assert caught.value.__context__ is None


def test_modules_that_were_there_before_stay(drawing, tmp_path):
    """Others use them already, and so does the second try."""
    frames = importlib.import_module("frames")
    imported("Drawing", load_drawing, ["plots"])
    assert sys.modules["frames"] is frames
    assert drawing.count("frames") == drawing.count("plots") == 1
