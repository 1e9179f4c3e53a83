"""Undo an import that failed, so that it can be repeated from the start.

Python removes only the modules whose own code raised. Modules that they had imported by then stay
in `sys.modules`, some without their package, and hold what the failed try left in them.

Most modules can be dropped and imported again. Many compiled ones refuse that, so their package is
kept. What a kept package imports is kept too: a second import would define each class anew, and the
kept package would go on using the old one.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.machinery import ExtensionFileLoader
from types import FunctionType, ModuleType


def forget_since(before: Collection[str]) -> None:
    """Drop the modules that were imported since `sys.modules` had just these names.

    Keep packages that were there before, those of the standard library, those that have compiled
    modules and are whole, and all that these import.
    """
    there = {id(sys.modules.get(name)) for name in before}  # some have an alias that is new
    new = {
        name: module
        for name, module in tuple(sys.modules.items())
        if name not in before and module is not None and id(module) not in there
    }
    kept = _closure({_top(name) for name in before} | _fixed(new), _imports(new))
    for name, module in new.items():
        if _top(name) not in kept and not _is_compiled(name, new):
            drop(name, module)


def drop(name: str, module: object) -> None:
    """Take a module out of `sys.modules` and out of its package, if it is still there."""
    if sys.modules.get(name) is not module:
        return
    del sys.modules[name]
    package, _, child = name.rpartition(".")
    if package in sys.modules and _contents(sys.modules[package]).get(child) is module:
        delattr(sys.modules[package], child)


def _fixed(new: Mapping[str, object]) -> set[str]:
    """Name the packages of the standard library, and the whole ones with compiled modules."""
    torn = {_top(name) for name in new if not _has_package(name)}
    compiled = {_top(name) for name in new if _is_compiled(name, new)}
    return {name for name in map(_top, new) if name in sys.stdlib_module_names} | compiled - torn


def _imports(new: Mapping[str, object]) -> dict[str, set[str]]:
    """Map each new package to the new packages that its modules hold something of."""
    found: dict[str, set[str]] = {}
    for name, module in new.items():
        origins = {_top(origin) for origin in _origins(module) if origin in new}
        found.setdefault(_top(name), set()).update(origins)
    return found


def _closure(roots: Iterable[str], imports: Mapping[str, set[str]]) -> set[str]:
    """Add to the packages what they import, directly or not."""
    reached, todo = set[str](), set(roots)
    while todo:
        reached |= todo
        todo = set().union(*(imports.get(name, ()) for name in todo)) - reached
    return reached


def _origins(module: object) -> Iterator[str]:
    """Name the modules that the values in a module come from."""
    for value in tuple(_contents(module).values()):
        if issubclass(type(value), ModuleType):
            yield str(_contents(value).get("__name__"))
        else:
            owner = value if issubclass(type(value), (type, FunctionType)) else type(value)
            yield str(getattr(owner, "__module__", None))


def _contents(module: object) -> dict[str, object]:
    """Return a module's namespace. Some libraries put other objects into `sys.modules`."""
    contents: dict[str, object] = getattr(module, "__dict__", {})
    return contents


def _has_package(name: str) -> bool:
    package = name.rpartition(".")[0]
    return not package or package in sys.modules


def _is_compiled(name: str, modules: Mapping[str, object]) -> bool:
    """Tell whether a module is compiled, or made by a compiled one: then it has no loader."""
    module, package = modules.get(name), name.rpartition(".")[0]
    loader = getattr(_contents(module).get("__spec__"), "loader", None)
    if loader is None and isinstance(module, ModuleType):
        return not package or _is_compiled(package, modules)
    return isinstance(loader, ExtensionFileLoader)


def _top(name: str) -> str:
    return name.partition(".")[0]
