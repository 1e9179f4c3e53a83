"""Imports that wait until something uses them.

NeMo and pyannote import libraries that no worker calls: a compiler, plots, tables, metrics of other
fields. These take more than half of the time of the import. Inside `deferred(...)` importing one of
them returns a stand-in; its attributes, and the results of calling them, are stand-ins too. The
first use after the `with` imports the library and continues with the real thing.

A library can dislike a stand-in. `imported(...)` then repeats the import without any.

Python 3.15 has lazy imports of its own (PEP 810). Delete this module when 3.15 is the oldest Python
that is supported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import logging
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar, Union

from core.engine import garbage, reimport

LIGHTNING_EXTRAS = (
    "torch._dynamo",
    "torch._inductor",
    "scipy.signal",
    "scipy.stats",
    "matplotlib",
    "onnxruntime",
    "transformers",
    "pandas",
    "torchmetrics.functional.audio",
    "torchmetrics.functional.image",
    "torchmetrics.functional.text",
)
"""Imported by Lightning and torchmetrics, which NeMo and pyannote build on, but never called."""

LEFT_OUT = ("datasets", "matplotlib", "onnx", "pandas")
"""Imported as well, and not installed in the images: see `requirements/left-out.txt`."""

KNOWN: dict[str, dict[str, Any]] = {
    "cpuinfo": {"get_cpu_info": lambda: {"brand_raw": platform.machine()}},
    "numba.cuda": {"is_available": lambda: False},
}
"""What stand-ins of modules contain, because somebody asks for it during the import.

RunPod's SDK asks for the processor's name, for its debugging, and cpuinfo measures the clock's
frequency as well, for more than a second. NeMo asks numba for a GPU, with which it would compute
losses and mask features in training.
"""

_Loaded = TypeVar("_Loaded")

log = logging.getLogger("parakeet.imports")


def imported(
    name: str, load: Callable[[], _Loaded], libraries: Sequence[str], *, eager: bool = False
) -> _Loaded:
    """Return what `load` imports. Unless `eager`, stand-ins replace the libraries meanwhile.

    If that fails, whatever the reason, import again without stand-ins. Raises the error of this
    last try. `name` says in the log what is imported. What is left out of the images and not
    installed has a stand-in in any case.
    """
    if eager:
        return _imported(load)
    before = frozenset(sys.modules)
    try:
        return _imported(load, libraries)
    except Exception as error:
        log.warning(
            "%s does not import with stand-ins (%s): importing it again without, more slowly; "
            "EAGER_IMPORTS=true skips the first try",
            name,
            type(error).__name__,
        )
    reimport.forget_since(before)
    return _imported(load)


def _imported(load: Callable[[], _Loaded], libraries: Sequence[str] = ()) -> _Loaded:
    absent = [name for name in LEFT_OUT if not find_spec(name)]
    with deferred(*libraries, *absent):
        loaded = load()
    garbage.never_in_what_exists()
    return loaded


@contextlib.contextmanager
def deferred(*libraries: str) -> Iterator[None]:
    """Inside the `with`, import stand-ins for these packages and their modules on this thread.

    Packages that are already imported stay as they are. Importing what is not installed fails as
    usual, or at its first use if the images leave it out. Deriving a class from a stand-in imports
    the real one at once. After the `with` no stand-in is left in `sys.modules`.
    """
    finder = _Finder(
        [
            name
            for name in libraries
            if name not in sys.modules and (name in LEFT_OUT or find_spec(name.partition(".")[0]))
        ]
    )
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.close()


class _Finder(MetaPathFinder, Loader):
    """Makes the stand-ins of one `with` and removes them afterwards."""

    def __init__(self, libraries: Sequence[str]) -> None:
        self._libraries = set(libraries)
        self._thread = threading.get_ident()
        self._made: dict[str, ModuleType] = {}
        self._is_open = True

    def is_open(self) -> bool:
        """Tell whether the caller is inside the `with`."""
        return self._is_open and threading.get_ident() == self._thread

    def find_spec(self, fullname: str, *_: object, **__: object) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        if not self.is_open() or self._library_of(fullname) is None:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """See `Loader`."""
        module = self._made[spec.name] = _Module(spec.name, self)
        vars(module).update(KNOWN.get(spec.name, {}))
        return module

    def exec_module(self, module: ModuleType) -> None:
        """See `Loader`. A stand-in has no code to run."""

    def real(self, name: str) -> ModuleType:
        """Import the real module. From now on its whole library is imported as usual."""
        library = self._library_of(name)
        if library is not None:
            self._give_up(library)
        return importlib.import_module(name)

    def close(self) -> None:
        """Remove all stand-ins."""
        self._is_open = False
        for library in tuple(self._libraries):
            self._give_up(library)

    def _library_of(self, name: str) -> str | None:
        return next((library for library in self._libraries if _is_inside(name, library)), None)

    def _give_up(self, library: str) -> None:
        self._libraries.discard(library)
        for name, module in self._made.items():
            if _is_inside(name, library):
                reimport.drop(name, module)


def _is_inside(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


class _Module(ModuleType):
    """The stand-in of a module."""

    def __init__(self, name: str, finder: _Finder) -> None:
        super().__init__(name)
        self.__finder = finder

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                return importlib.metadata.version(self.__name__)
            return self.__get(name)
        if _is_special(name):
            raise AttributeError(name)
        if (module := f"{self.__name__}.{name}") in KNOWN and self.__finder.is_open():
            return importlib.import_module(module)
        return _now_or_later(self.__finder, lambda: self.__get(name))

    def __get(self, name: str) -> Any:
        module = self.__finder.real(self.__name__)
        with contextlib.suppress(ModuleNotFoundError):
            # `from package import module` also finds a module that the package does not import.
            return (
                getattr(module, name)
                if hasattr(module, name)
                else importlib.import_module(f"{self.__name__}.{name}")
            )
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _Deferred:
    """The stand-in of an attribute of such a module, or of the result of calling one.

    Arithmetic and ordering are not forwarded: they raise TypeError.
    """

    def __init__(self, finder: _Finder, make: Callable[[], Any]) -> None:
        self.__finder = finder
        self.__real = cache(make)

    def __getattr__(self, name: str) -> Any:
        if _is_special(name):
            raise AttributeError(name)
        return _now_or_later(self.__finder, lambda: getattr(self.__real(), name))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return _now_or_later(self.__finder, lambda: self.__real()(*arguments, **named))

    def __getitem__(self, key: Any) -> Any:
        return _now_or_later(self.__finder, lambda: self.__real()[key])

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        real = self.__real()
        return real.__get__(instance, owner) if hasattr(type(real), "__get__") else real

    def __mro_entries__(self, _: object) -> tuple[Any]:
        return (self.__real(),)

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007  `|` is what is being defined

    __ror__ = __or__

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.__real())

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, self.__real())

    def __eq__(self, other: object) -> bool:
        return self is other if self.__finder.is_open() else bool(self.__real() == other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return bool(self.__real())

    def __len__(self) -> int:
        return len(self.__real())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__real())

    def __contains__(self, item: object) -> bool:
        return item in self.__real()

    def __str__(self) -> str:
        return str(self.__real())


def _now_or_later(finder: _Finder, make: Callable[[], Any]) -> Any:
    return _Deferred(finder, make) if finder.is_open() else make()


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
