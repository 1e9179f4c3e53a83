"""A library that nobody calls is not imported, and one that somebody calls after all is the real
one.
"""

import importlib
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from core.engine.lazy_imports import deferred

PLOTS = """
import sys
sys.imported_by_test.append(__name__)
__version__ = "1.5"

SIZES = {"A4": (8.3, 11.7), "A5": (5.8, 8.3)}
UNIT = "inch"

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
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package `plots` with `plots.axes`, and the list of what of it has really been imported so
    far.
    """
    (tmp_path / "plot.py").touch()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/__init__.py").write_text(PLOTS)
    (tmp_path / "plots/axes.py").write_text(PLOTS)
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []
    monkeypatch.setattr(sys, "imported_by_test", names, raising=False)
    yield names
    for name in ("plot", "plots", "plots.axes"):
        sys.modules.pop(name, None)


def test_package_is_imported_at_its_first_use(imported):
    """As a whole, by its parts, and by the names of its modules."""
    with deferred("plots"):
        import plots
        from plots import axes, title
        from plots.axes import Figure
    assert imported == []
    assert title("a day") == "A Day"
    assert imported == ["plots"]
    assert axes.Figure("one").name == Figure("one").name == plots.Figure("one").name == "one"
    assert imported == ["plots", "plots.axes"]


def test_what_a_library_does_not_have_is_missed_as_ever(imported):
    """With the error that `hasattr` and a default of `getattr` wait for."""
    with deferred("plots"):
        import plots
        from plots import nothing
    assert not hasattr(plots, "nothing")
    with pytest.raises(AttributeError, match="module 'plots' has no attribute 'nothing'"):
        nothing()


@pytest.mark.parametrize("library", ["plots", "plots.axes"])
def test_no_stand_in_stays_where_others_import_from(imported, library):
    """Neither among the modules nor in a parent, also where the import fails."""
    with pytest.raises(ModuleNotFoundError), deferred(library):
        _ = [importlib.import_module(name) for name in ("plots.axes", "of_nobody")]
    assert library not in sys.modules
    assert "plots.axes" not in imported
    assert (
        importlib.import_module("plots.axes").title("x")
        == sys.modules["plots"].axes.title("x")
        == "X"
    )
    assert not any(
        type(finder).__module__ == "core.engine.lazy_imports" for finder in sys.meta_path
    )


def test_package_that_is_there_stays_as_it_is(imported):
    """Somebody uses it already."""
    import plots

    with deferred("plots"):
        import plots as again
        from plots import Figure
    assert again is plots
    assert Figure is plots.Figure


def test_what_is_not_installed_is_missed_as_ever(imported):
    """pyannote does without NeMo where there is none."""
    with pytest.raises(ModuleNotFoundError), deferred("plots", "of_nobody.part"):
        importlib.import_module("of_nobody.part")
    assert imported == []


def test_packages_of_a_similar_name_are_not_meant(imported):
    """`plot` is not `plots`."""
    with deferred("plot"):
        import plot
        import plots  # noqa: F401
    assert imported == ["plots"]
    assert "plot" not in sys.modules
    assert not hasattr(plot, "title")


def test_what_is_called_at_once_is_called_later(imported):
    """A decorator, on a function and on a method, and an object that a module makes when it is
    imported.
    """
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

    assert imported == []
    assert (say("so"), Speaker().say("no"), first.name) == ("Note: so", "He: no", "one")
    assert type(first.pages) is list


def test_later_means_once(imported):
    """What was made by a call is the same thing each time it is looked at."""
    with deferred("plots"):
        from plots import Figure

        pages = Figure().pages
        chosen = Figure.pages[1]
    Figure.pages.append(7)
    assert pages[2] == 7
    assert Figure("x").pages is Figure("y").pages
    assert chosen.bit_length() == 3


def test_stand_ins_may_stand_in_annotations_and_in_isinstance(imported):
    """NeMo's and torchmetrics' signatures are full of them."""
    with deferred("plots"):
        from plots import Figure

        def draw(one: Figure | None, other: Figure | None, *rest: "int | Figure") -> list[Figure]:
            return [one, other, *rest]

        assert draw(1, 2) == [1, 2]
        either = int | Figure
    assert imported == []
    assert either is not None
    assert not isinstance("text", Figure)
    assert isinstance(sys.modules["plots"].Figure(), Figure)
    assert issubclass(sys.modules["plots"].Figure, Figure)
    assert not issubclass(str, Figure)


def test_constants_are_what_they_are(imported):
    """Taken by name, and then looked into, compared, or written."""
    with deferred("plots"):
        from plots import SIZES, UNIT

    assert imported == []
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


def test_a_derived_class_needs_its_base_at_once(imported):
    """And then the rest of the library is real, too."""
    with deferred("plots"):
        import plots
        from plots import Figure

        class Photo(Figure):
            pass

        assert imported == ["plots"]
        assert importlib.import_module("plots.axes").title("x") == "X"
    assert issubclass(Photo, sys.modules["plots"].Figure)
    assert plots.title("x") == "X"


def test_a_truth_value_is_the_real_one(imported):
    """`if library.flag:` must not take the wrong branch."""
    with deferred("plots"):
        import plots

        assert [bool(plots.Figure.pages), bool(plots.title(""))] == [True, False]


def test_other_threads_import_what_they_ask_for(imported):
    """The weights are read on one while NeMo is imported."""
    with deferred("plots"), ThreadPoolExecutor(1) as pool:
        import plots

        theirs = pool.submit(importlib.import_module, "plots").result()
        assert pool.submit(lambda: theirs.title("a day")).result() == "A Day"
        assert pool.submit(lambda: plots.Figure("x").name).result() == "x"
    assert imported == ["plots"]


def test_the_version_is_that_of_the_distribution():
    """Libraries compare each other's, without importing much."""
    sys.modules.pop("stamina", None)
    with deferred("stamina"):
        import stamina

        assert isinstance(stamina, ModuleType)
        assert stamina.__version__.split(".")[0].isdecimal()
        assert not hasattr(stamina, "__file__")
    assert "stamina" not in sys.modules


def test_a_version_that_no_distribution_tells_is_the_modules_own(imported):
    """A package and its distribution can have different names."""
    with deferred("plots"):
        import plots

        assert plots.__version__ == "1.5"
    assert imported == ["plots"]


def modules_after(code: str) -> set[str]:
    """Which modules a fresh process has after some code."""
    script = textwrap.dedent(code) + "\nimport sys\nprint('|'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split("|"))


NEVER_CALLED = {
    "torch._dynamo",
    "torch._inductor",
    "scipy.signal",
    "matplotlib",
    "transformers",
    "pandas",
    "sympy",
}


def test_a_transcription_worker_starts_and_works_without_what_it_never_calls():
    """The speech model's import, load and first decode."""
    loaded = modules_after("""
        from pathlib import Path
        from core.speech.parakeet import ParakeetModel
        ParakeetModel(Path("models/embedded/speech.nemo"))
    """)
    assert "nemo.collections.asr.models.rnnt_bpe_models" in loaded
    assert (NEVER_CALLED | {"datasets", "onnx", "sklearn"}) & loaded == set()


def test_a_diarization_worker_starts_and_works_without_what_it_never_calls():
    """Speakers of a second of speech, found by a pipeline that was just loaded."""
    loaded = modules_after("""
        from handlers.runpod.worker import FITNESS_RECORDING
        from core.flows.load import load_diarization
        from core.settings import Settings
        load_diarization(Settings(diarization_model_id="embedded")).rehearse(FITNESS_RECORDING)
    """)
    assert "pyannote.audio.pipelines.speaker_diarization" in loaded
    assert (NEVER_CALLED | {"nemo"}) & loaded == set()
