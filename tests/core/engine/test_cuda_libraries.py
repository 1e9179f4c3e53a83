"""NVIDIA's libraries are found in their wheels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ASKED = """
import ctypes
from core.engine.cuda_libraries import load_cublas
load_cublas()
ctypes.CDLL("libcublas.so.12")
print("found")
"""


def test_cublas_is_found_by_its_name_once_it_is_loaded():
    """As CTranslate2 asks for it: no path, and nobody set LD_LIBRARY_PATH."""
    done = subprocess.run(
        [sys.executable, "-c", _ASKED],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "found\n", done.stderr
