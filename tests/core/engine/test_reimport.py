"""Modules of a failed import are forgotten, unless they refuse to be imported twice."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from core.engine.lazy_imports import imported
from core.engine.reimport import drop, forget_since


def output_of(code: str, folder: Path) -> list[str]:
    """Return the words that a fresh process prints, with this folder to import from."""
    script = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.split()


def test_new_modules_are_forgotten_and_old_ones_stay(imported_names, tmp_path):
    """A module is taken out of its package too, if the package stays."""
    (tmp_path / "new.py").touch()
    plots = importlib.import_module("plots")
    before = set(sys.modules)
    for name in ("new", "plots.axes"):
        importlib.import_module(name)
    forget_since(before)
    assert "new" not in sys.modules
    assert sys.modules["plots"] is plots
    assert plots.axes is sys.modules["plots.axes"]


def test_module_that_somebody_replaced_is_not_dropped(imported_names):
    """Only the very module is taken out."""
    axes = importlib.import_module("plots.axes")
    del sys.modules["plots.axes"]
    again = importlib.import_module("plots.axes")
    drop("plots.axes", axes)
    assert sys.modules["plots.axes"] is again
    assert sys.modules["plots"].axes is again
    drop("plots.axes", again)
    assert "plots.axes" not in sys.modules
    assert not hasattr(sys.modules["plots"], "axes")


def test_compiled_package_is_kept_with_what_it_imports(tmp_path):
    """NumPy refuses to be loaded twice, and Numba compiles with the llvmlite that it knows."""
    (tmp_path / "sums.py").write_text("import numba, strange, json.tool\n")
    (tmp_path / "strange.py").write_text("import sys\nsys.modules[__name__] = object()\n")
    words = output_of(
        """
        from core.engine.reimport import forget_since
        before = set(sys.modules)
        import sums
        first = dict(sys.modules)
        forget_since(before)
        kept = [sys.modules.get(name) is first[name]
                for name in ("numpy", "numba", "llvmlite", "llvmlite.ir", "json.tool")]
        print(all(kept), "sums" in sys.modules, "strange" in sys.modules)
        import sums
        print(sums is not first["sums"], sums.numba.njit(lambda number: number + 1)(1))
        """,
        tmp_path,
    )
    assert words == ["True", "False", "False", "True", "2"]


def test_half_imported_package_is_forgotten_although_it_has_a_compiled_module(
    imported_names, tmp_path
):
    """Its modules that were whole by then would bring the stand-in into the second try."""
    compiled = Path(importlib.util.find_spec("markupsafe._speedups").origin)
    (tmp_path / "fast").mkdir()
    shutil.copy(compiled, tmp_path / "fast")
    (tmp_path / "fast/__init__.py").write_text("from fast import _speedups, sizes, lines\n")
    (tmp_path / "fast/sizes.py").write_text("from plots import WIDTH\n")
    (tmp_path / "fast/lines.py").write_text("from fast.sizes import WIDTH\nLINE = WIDTH * 2\n")
    fast = imported("Fast", lambda: importlib.import_module("fast"), ["plots"])
    assert fast.lines.LINE == 420
    assert type(fast.sizes.WIDTH) is int
    assert fast._speedups is sys.modules["fast._speedups"]


def test_half_imported_library_of_compiled_modules_works_after_the_second_try(tmp_path):
    """SciPy dislikes a stand-in of NumPy's random numbers."""
    words = output_of(
        """
        import importlib, logging
        from core.engine.lazy_imports import imported
        logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
        stats = imported("SciPy", lambda: importlib.import_module("scipy.stats"), ["numpy.random"])
        print(stats.norm.cdf(0.0), stats.rankdata([3, 1, 2]).tolist() == [3, 1, 2])
        """,
        tmp_path,
    )
    assert words == ["WARNING", "0.5", "True"]
