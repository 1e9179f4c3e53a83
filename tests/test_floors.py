"""The floors of the blueprint, by reading the imports: nothing looks up, nothing heavy is loaded
before it is used.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core"

FLOORS = {
    "domain": 0,
    "errors": 0,
    "settings": 0,
    "transcript": 1,
    "wire": 1,
    "engine": 2,
    "media": 2,
    "modelstore": 2,
    "remote": 2,
    "speech": 3,
    "speakers": 3,
    "flows": 4,
}
ALLOWED = {
    0: {"pydantic", "pydantic_settings"},
    1: set[str](),
    2: {"numpy", "requests", "urllib3", "boto3", "botocore", "imageio_ffmpeg"},
    3: {"numpy", "anyio", "httpx2", "stamina"},
    4: {"numpy"},
}
"""Third-party packages that a module of the floor may import when it is itself imported; below are
also those of the floors below.
"""


def _sources() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def _module(path: Path) -> str:
    """The name below `core` that has a floor: the first part of the path."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        return (
            [base, *(f"{base}.{alias.name}" for alias in node.names)]
            if base.split(".")[0] == "core"
            else [base]
        )
    return []


def _imports(tree: ast.Module) -> Iterator[str]:
    """Every import, wherever it stands."""
    for node in ast.walk(tree):
        yield from _imported(node)


def _imports_on_import(tree: ast.Module) -> Iterator[str]:
    """Only those that run when the module is imported: none in functions, none that only a type
    checker sees.
    """
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield from _imported(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize(
    "path",
    [*_sources(), *sorted((ROOT / "handlers").rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_ships_in_images_never_imports_the_emulator(path: Path) -> None:
    """It is for development and tests."""
    assert "emulator" not in {name.split(".")[0] for name in _imports(_tree(path))}


def _floor(path: Path) -> int:
    return FLOORS[_module(path)]


PLACED = [
    pytest.param(path, id=str(path.relative_to(ROOT)))
    for path in _sources()
    if _module(path) in FLOORS
]


def test_every_module_of_core_has_a_floor() -> None:
    """A new module is placed before it is used."""
    assert {_module(path) for path in _sources()} - {"__init__"} <= set(FLOORS)


def _inner_imports(path: Path) -> set[str]:
    """The other modules of core that a module imports, wherever the import stands."""
    return {name.split(".")[1] for name in _imports(_tree(path)) if name.startswith("core.")} - {
        _module(path)
    }


@pytest.mark.parametrize("path", PLACED)
def test_a_module_imports_nothing_from_above(path: Path) -> None:
    """Its own floor and those below are what it knows of."""
    assert [name for name in _inner_imports(path) if FLOORS.get(name, 99) > _floor(path)] == []


def test_imports_run_one_way() -> None:
    """Also within a floor, and within a package: no module needs itself."""
    graph = {str(path): _needed_files(path) for path in _sources()}
    assert len([*TopologicalSorter(graph).static_order()]) == len(graph)


def _needed_files(path: Path) -> set[str]:
    names = {name for name in _imports(_tree(path)) if name.startswith("core.")}
    files = [ROOT.joinpath(*name.split(".")) for name in names]
    candidates = {
        candidate for file in files for candidate in (file.with_suffix(".py"), file / "__init__.py")
    }
    return {str(candidate) for candidate in candidates if candidate.exists()} - {str(path)}


@pytest.mark.parametrize("path", PLACED)
def test_a_module_imports_nothing_heavier_than_its_floor_allows(path: Path) -> None:
    """Torch, NeMo and pyannote only inside what needs them; meaning and words nothing but the
    standard library and pydantic.
    """
    allowed = set().union(
        *(packages for floor, packages in ALLOWED.items() if floor <= _floor(path))
    )
    allowed = allowed - {"pydantic", "pydantic_settings"} if _floor(path) == 1 else allowed
    outer = (
        {name.split(".")[0] for name in _imports_on_import(_tree(path))}
        - {"core", "__future__"}
        - sys.stdlib_module_names
    )
    assert outer <= allowed


@pytest.mark.parametrize("path", [path for path in PLACED if path.id != "core/settings.py"])
def test_only_settings_reads_the_environment(path: Path) -> None:
    """What a module needs is handed to it."""
    read = {"environ", "getenv", "environb"}
    names = {node.attr for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)}
    names |= {
        alias.name
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names & read == set()


@pytest.mark.parametrize(
    "module",
    ["core.transcript.assembly", "core.wire.render", "core.wire.job_input", "core.settings"],
)
def test_words_and_meaning_load_neither_numpy_nor_torch(module: str) -> None:
    """In a fresh interpreter: a worker without models starts light."""
    heavy = {"numpy", "torch", "nemo", "pyannote", "runpod", "boto3"}
    code = f"import sys, {module}; print(*{heavy!r} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def test_the_orchestrator_loads_nothing_heavy() -> None:
    """Its handler, its flow and the libraries of its client, in a fresh interpreter: no model, no
    array, no bucket, not even the SDK.
    """
    heavy = {"numpy", "torch", "nemo", "pyannote", "boto3", "botocore", "runpod", "requests"}
    code = f"""
import sys, handlers.orchestrator
from core.flows.orchestrated import load
from core.settings import Settings
load(Settings(transcription_endpoint_id="words", diarization_endpoint_id="turns",
runpod_api_key="key"))
print(*{heavy!r} & set(sys.modules))
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
