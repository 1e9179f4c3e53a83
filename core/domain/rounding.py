"""How exact the numbers in answers are.

Whatever is derived from them is derived from the rounded ones.
"""

from __future__ import annotations

import math


def seconds(time: float) -> float:
    """Return a time or length in seconds with the three decimals that answers show."""
    return round(time, 3)


def confidence(value: float | None) -> float | None:
    """Return a confidence, 0..1, with three decimals; None if there is none or the model gave no
    finite number.
    """
    return round(value, 3) if value is not None and math.isfinite(value) else None
