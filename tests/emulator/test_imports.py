"""The dependencies of the emulator's modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import emulator

FOLDER = Path(emulator.__file__).parent
OURS = {"core", "handlers", "training", "bench", "examples", "tests"}


def modules() -> dict[str, Path]:
    """Return all modules by their names."""
    return {_name(path): path for path in FOLDER.rglob("*.py")}


def _name(path: Path) -> str:
    parts = ("emulator", *path.relative_to(FOLDER).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Yield every import, including those in functions and those for type checkers alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Neither directly nor by way of others, not even for a type checker."""
    known = modules()
    graph = {name: known.keys() & set(imports(path)) for name, path in known.items()}
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("emulator.exchange") < order.index("emulator.endpoint")


def test_nothing_else_of_this_project_is_imported() -> None:
    """The emulator knows RunPod, not what runs there."""
    found = {name.split(".")[0] for path in modules().values() for name in imports(path)}
    assert "emulator" in found
    assert not found & OURS
