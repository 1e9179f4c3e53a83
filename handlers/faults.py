"""Faults of our own: what a caller and the log are told of an exception that nobody expected."""

from __future__ import annotations

from pathlib import Path

from core.errors import InternalError


def internal_error(error: BaseException) -> InternalError:
    """Return what a caller is told of an unmapped exception: its type alone."""
    kind = type(error).__name__
    return InternalError(f"the worker failed ({kind}); try again, and report it if it stays")


def where(error: BaseException) -> str:
    """Return the type of the error and the line that raised it, without message or path."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    file = Path(place.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{place.tb_lineno}"
