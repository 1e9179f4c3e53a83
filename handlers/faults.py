"""Faults of our own: what a caller and the log are told of an exception that nobody expected."""

from __future__ import annotations

from pathlib import Path

from core.errors import InternalError


def internal_error(error: BaseException) -> InternalError:
    """Return what a caller is told of an unmapped exception: its type, or the library it lacks."""
    if isinstance(error, ModuleNotFoundError):
        return InternalError(f"the worker lacks the library {error.name}; report it")
    kind = type(error).__name__
    return InternalError(f"the worker failed ({kind}); try again, and report it if it stays")


def where(error: BaseException) -> str:
    """Return the type of the error, or the missing library, and the line that raised it.

    A message or a path could tell more than a log should have.
    """
    lacking = f" {error.name}" if isinstance(error, ModuleNotFoundError) else ""
    kind = type(error).__name__ + lacking
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return kind
    file = Path(place.tb_frame.f_code.co_filename).name
    return f"{kind} at {file}:{place.tb_lineno}"
