"""The limits that the decoder puts on itself before it looks at a stranger's file."""

from __future__ import annotations

import contextlib
import os
import resource

_MAX_MEMORY_BYTES = 1 << 30
_NOBODY = 65_534


def enter(*, look_cpu_s: int, cpu_s: int) -> None:
    """Return up whatever decoding does not need; there is no way back.

    With no descriptor left to open, nothing can be read but what is open already: no file, no
    socket, no `/proc` of the worker. Another user cannot look into the worker's memory either.
    """
    # Beyond the soft limit a process gets SIGXCPU, so SIGKILL never means processor time.
    _limit(resource.RLIMIT_CPU, cpu_s + 1)
    _limit_cpu(min(look_cpu_s, cpu_s))
    _limit(resource.RLIMIT_DATA, _MAX_MEMORY_BYTES)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE):
        _limit(kind, 0)
    _become_nobody()
    _limit(resource.RLIMIT_NPROC, 0)


def allow(cpu_s: int) -> None:
    """Move the limit of processor time, which counts from the start of the process."""
    _limit_cpu(cpu_s)


def _become_nobody() -> None:
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):  # root of a container that may not change users
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _limit_cpu(seconds: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))


def _limit(kind: int, value: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # not on this system
        resource.setrlimit(kind, (value, value))
