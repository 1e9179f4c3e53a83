"""Work on several threads that succeeds or fails together."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from core.errors import Cancelled


def raise_cause(*branches: Future[Any]) -> None:
    """Raise the error of a branch that failed; that of a branch that was stopped is no cause."""
    errors = [error for branch in branches if (error := branch.exception()) is not None]
    causes = [error for error in errors if not isinstance(error, Cancelled)]
    for error in causes or errors:
        raise error
