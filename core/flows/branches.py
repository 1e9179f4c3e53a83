"""Work on several threads that succeeds or fails together."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from core.errors import Cancelled, WorkerError


def raise_cause(*branches: Future[Any]) -> None:
    """Raise the error of a branch that failed, if one did.

    That of a branch that was stopped is no cause; one after which the process can no longer be
    trusted hides behind no other.
    """
    errors = [error for branch in branches if (error := branch.exception()) is not None]
    causes = [error for error in errors if not isinstance(error, Cancelled)]
    for error in sorted(causes, key=breaks_process, reverse=True) or errors:
        raise error


def breaks_process(error: BaseException | None) -> bool:
    """Tell whether the process can no longer be trusted after an error."""
    return isinstance(error, WorkerError) and error.refresh_worker
