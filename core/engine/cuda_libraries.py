"""NVIDIA's libraries as wheels bring them, for engines that leave it to the system to find them."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from pathlib import Path

_CUBLAS = ("libcublasLt.so.12", "libcublas.so.12")
"""In the order in which they need each other."""


def load_cublas() -> None:
    """Load the cuBLAS of the wheel `nvidia-cublas-cu12`, if it is there.

    CTranslate2 asks the dynamic loader for `libcublas.so.12` by its name alone, and the loader
    knows no wheels. It does return what is loaded already: by this, or by torch, whose wheels need
    the same one.
    """
    with contextlib.suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec("nvidia.cublas")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for name in _CUBLAS:
                library = Path(folder) / "lib" / name
                if library.is_file():
                    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
