"""Python's search for garbage, while a worker starts.

A start makes a million objects that stay. Python would look through them again and again, for a
tenth of the time, and find next to nothing.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Inside the `with`, do not look for garbage. It is a decorator too."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def never_in_what_exists() -> None:
    """From now on look for garbage in new objects alone.

    An old object is freed when nothing refers to it, but not if it is part of a circle. Call this
    after imports: what they make stays anyway, and every later search is shorter.
    """
    gc.freeze()
