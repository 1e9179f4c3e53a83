"""CTranslate2 on a processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.engine import processor

_FAULTS = """
import resource
import threading
import numpy as np
from core.engine import processor

processor.make_ready()

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20, np.float64)  # 128 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

counted = []
thread = threading.Thread(target=lambda: counted.extend([pages(), pages()]))
thread.start()
thread.join()
print(*counted)
"""


def test_memory_of_large_arrays_is_used_again():
    """The system gives the pages of the first array, and none for the second."""
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    first, second = map(int, done.stdout.split())
    assert second < first / 10


@pytest.mark.parametrize(
    ("has", "used"),
    [("avx2 avx512f avx512cd avx512vl avx512bw avx512dq", "AVX512"), ("avx2 avx512f", None)],
)
def test_wide_instructions_are_used_if_the_processor_has_all(tmp_path, monkeypatch, has, used):
    """CTranslate2 refuses to run on one that lacks any of them."""
    monkeypatch.setenv("CT2_FORCE_CPU_ISA", "")  # so that it is as before after the test
    monkeypatch.delenv("CT2_FORCE_CPU_ISA")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {has}\n\nprocessor\t: 1\n")
    processor.use_wide_instructions(cpuinfo)
    assert os.environ.get("CT2_FORCE_CPU_ISA") == used


def test_wish_for_other_instructions_is_kept(tmp_path, monkeypatch):
    """Whoever sets CTranslate2's own variable knows why."""
    monkeypatch.setenv("CT2_FORCE_CPU_ISA", "GENERIC")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: avx512f avx512cd avx512vl avx512bw avx512dq\n")
    processor.use_wide_instructions(cpuinfo)
    assert os.environ["CT2_FORCE_CPU_ISA"] == "GENERIC"
