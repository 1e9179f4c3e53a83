"""What goes wrong with one of several known speakers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from core.errors import Cancelled, WorkerError


@contextlib.contextmanager
def about(index: int, field: str) -> Iterator[None]:
    """Say of errors which known speaker they are about; that of a cancelled job is about none."""
    try:
        yield
    except Cancelled:
        raise
    except WorkerError as error:
        error.args = (f"known_speakers.{index}.{field}: {error}",)
        raise
