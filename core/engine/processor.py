"""CTranslate2 on a processor: where its memory comes from, and which instructions it uses."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# The numbers are those of glibc's malloc.h, which ctypes does not know.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST_BYTES = 256 << 20
"""More than any array of Whisper's encoder: the attention of large-v3 in one window has 180 MB."""
_KEPT_BYTES = 1 << 30
"""Free memory beyond this goes back to the system."""
_WIDE = "CT2_FORCE_CPU_ISA"
_WIDE_FLAGS = frozenset({"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"})
"""What CTranslate2 asks of a processor before it uses AVX-512."""


def make_ready() -> None:
    """Make CTranslate2 quick on a processor. Call it before the first model is loaded."""
    _keep_memory()
    use_wide_instructions()


def _keep_memory() -> None:
    """Let malloc use the memory of large arrays again, rather than return it each time.

    Else the system clears the memory of each array that is made: for Whisper's encoder that takes a
    quarter of the time. Arenas of threads are too small for such arrays, so there is only one.
    Other systems than Linux with glibc are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def use_wide_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Let CTranslate2 use AVX-512, which it never does by itself, if the processor has it.

    Whoever sets its variable otherwise is obeyed.
    """
    if cpuinfo.is_file() and _flags(cpuinfo.read_text()) >= _WIDE_FLAGS:
        os.environ.setdefault(_WIDE, "AVX512")


def _flags(cpuinfo: str) -> frozenset[str]:
    """Return the abilities of the first processor in the text of `/proc/cpuinfo`."""
    lines = (line for line in cpuinfo.splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").partition(":")[2].split())
