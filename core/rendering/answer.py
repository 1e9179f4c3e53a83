"""What all renderers share: the shape of an answer, and how numbers and text are made fit for it."""

from __future__ import annotations

import math
import unicodedata

Answer = dict[str, object]
"""Plain JSON, ready for `json.dumps`."""


def seconds(time: float) -> float:
    """A time or length in seconds, as it is shown."""
    return round(time, 3)


def share(value: float | None) -> float | None:
    """A confidence as it is shown; None where there is none, or where a model gave no number."""
    return round(value, 3) if value is not None and math.isfinite(value) else None


def one_line(text: str) -> str:
    """The text with single blanks for all white space and without control characters."""
    return " ".join("".join(char for char in text if char.isspace() or unicodedata.category(char) not in ("Cc", "Cs")).split())
