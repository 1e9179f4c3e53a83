"""A library that nobody uses is not imported. One that is used after all is the real one."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from core.engine import lazy_imports
from core.engine.lazy_imports import deferred


def test_package_is_imported_at_its_first_use(imported_names):
    """So are its modules, and each only when something of its own is used."""
    with deferred("plots"):
        import plots
        from plots import axes, title
        from plots.axes import Figure
    assert imported_names == []
    assert title("a day") == "A Day"
    assert imported_names == ["plots"]
    assert axes.Figure("one").name == Figure("one").name == plots.Figure("one").name == "one"
    assert imported_names == ["plots", "plots.axes"]


def test_missing_attribute_is_an_attribute_error(imported_names):
    """`hasattr` and a default of `getattr` rely on it."""
    with deferred("plots"):
        import plots
        from plots import nothing
    assert not hasattr(plots, "nothing")
    with pytest.raises(AttributeError, match="module 'plots' has no attribute 'nothing'"):
        nothing()


def test_what_the_images_leave_out_is_missed_at_its_first_use(imported_names, monkeypatch):
    """The error names the package."""
    monkeypatch.setattr(lazy_imports, "LEFT_OUT", ("tables",))
    with deferred("tables"):
        from tables.frames import Frame
    assert "tables" not in sys.modules
    with pytest.raises(ModuleNotFoundError, match="No module named 'tables'"):
        Frame()


@pytest.mark.parametrize("library", ["plots", "plots.axes"])
def test_no_stand_in_is_left_behind(imported_names, library):
    """Neither `sys.modules` nor a package keeps one, even if the import fails."""
    with pytest.raises(ModuleNotFoundError), deferred(library):
        _ = [importlib.import_module(name) for name in ("plots.axes", "of_nobody")]
    assert library not in sys.modules
    assert "plots.axes" not in imported_names
    axes = importlib.import_module("plots.axes")
    assert axes.title("x") == sys.modules["plots"].axes.title("x") == "X"
    assert not any(
        type(finder).__module__ == "core.engine.lazy_imports" for finder in sys.meta_path
    )


def test_package_that_is_already_imported_stays_as_it_is(imported_names):
    """Somebody uses it already."""
    import plots

    with deferred("plots"):
        import plots as again
        from plots import Figure
    assert again is plots
    assert Figure is plots.Figure


def test_package_that_is_not_installed_cannot_be_imported(imported_names):
    """pyannote does without NeMo if there is none."""
    with pytest.raises(ModuleNotFoundError), deferred("plots", "of_nobody.part"):
        importlib.import_module("of_nobody.part")
    assert imported_names == []


def test_package_of_a_similar_name_is_not_deferred(imported_names):
    """`plot` is not `plots`."""
    with deferred("plot"):
        import plot
        import plots  # noqa: F401
    assert imported_names == ["plots"]
    assert "plot" not in sys.modules
    assert not hasattr(plot, "title")


def test_what_is_called_during_the_import_is_called_later(imported_names):
    """Decorators of functions and methods, and objects that a module makes when it is imported."""
    with deferred("plots"):
        from plots import Figure, titled

        first = Figure("one")

        @titled("note")
        def say(text):
            return text

        class Speaker:
            @titled("he")
            def say(self, text):
                return text

    assert imported_names == []
    assert (say("so"), Speaker().say("no"), first.name) == ("Note: so", "He: no", "one")
    assert type(first.pages) is list


def test_result_of_a_call_is_always_the_same_object(imported_names):
    """It is made once, at its first use."""
    with deferred("plots"):
        from plots import Figure

        pages = Figure().pages
        chosen = Figure.pages[1]
    Figure.pages.append(7)
    assert pages[2] == 7
    assert Figure("x").pages is Figure("y").pages
    assert chosen.bit_length() == 3


def test_stand_in_is_a_type_for_annotations_and_isinstance(imported_names):
    """NeMo's and torchmetrics' signatures are full of them."""
    with deferred("plots"):
        from plots import Figure

        def draw(one: Figure | None, other: Figure | None, *rest: "int | Figure") -> list[Figure]:
            return [one, other, *rest]

        assert draw(1, 2) == [1, 2]
        either = int | Figure
    assert imported_names == []
    assert either is not None
    assert not isinstance("text", Figure)
    assert isinstance(sys.modules["plots"].Figure(), Figure)
    assert issubclass(sys.modules["plots"].Figure, Figure)
    assert not issubclass(str, Figure)


def test_constant_is_looked_into_compared_and_written(imported_names):
    """Arithmetic is the exception: it fails at once, and `imported` imports again."""
    with deferred("plots"):
        from plots import SIZES, UNIT

    assert imported_names == []
    assert UNIT == "inch"
    assert f"{UNIT}" == str(UNIT) == "inch"
    assert (list(SIZES), len(SIZES), "A4" in SIZES, "A9" in SIZES, SIZES["A4"]) == (
        ["A4", "A5"],
        2,
        True,
        False,
        (8.3, 11.7),
    )
    with pytest.raises(TypeError):
        UNIT + "es"


def test_truth_value_is_the_real_one_at_once(imported_names):
    """`if library.flag:` must not take the wrong branch."""
    with deferred("plots"):
        import plots

        assert [bool(plots.Figure.pages), bool(plots.title(""))] == [True, False]


def test_derived_class_imports_its_library_at_once(imported_names):
    """From then on the rest of the library is real too."""
    with deferred("plots"):
        import plots
        from plots import Figure

        class Photo(Figure):
            pass

        assert imported_names == ["plots"]
        assert importlib.import_module("plots.axes").title("x") == "X"
    assert issubclass(Photo, sys.modules["plots"].Figure)
    assert plots.title("x") == "X"


def test_other_threads_import_the_real_thing(imported_names):
    """One of them reads the weights while NeMo is imported."""
    with deferred("plots"), ThreadPoolExecutor(1) as pool:
        import plots

        theirs = pool.submit(importlib.import_module, "plots").result()
        assert pool.submit(lambda: theirs.title("a day")).result() == "A Day"
        assert pool.submit(lambda: plots.Figure("x").name).result() == "x"
    assert imported_names == ["plots"]


def test_what_is_known_is_answered_without_the_library(imported_names, monkeypatch):
    """A question during the import does not load it; afterwards it answers for itself."""
    monkeypatch.setattr(lazy_imports, "KNOWN", {"plots.axes": {"title": lambda _: "known"}})
    with deferred("plots"):
        from plots import axes

        assert (axes.title("x"), importlib.import_module("plots.axes").title("x")) == (
            "known",
            "known",
        )
    assert imported_names == []
    assert importlib.import_module("plots.axes").title("x") == axes.Figure("X").name == "X"


def test_version_is_the_distributions(imported_names):
    """Libraries compare each other's versions: that must not import them."""
    sys.modules.pop("stamina", None)
    with deferred("stamina"):
        import stamina

        assert isinstance(stamina, ModuleType)
        assert stamina.__version__.split(".")[0].isdecimal()
        assert not hasattr(stamina, "__file__")
    assert "stamina" not in sys.modules


def test_version_is_the_modules_own_if_no_distribution_has_its_name(imported_names):
    """A package and its distribution can have different names."""
    with deferred("plots"):
        import plots

        assert plots.__version__ == "1.5"
    assert imported_names == ["plots"]
