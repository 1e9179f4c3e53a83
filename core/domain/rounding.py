"""The precision of the numbers in answers.

Derive everything from the rounded numbers.
"""

from __future__ import annotations

import math


def seconds(time: float) -> float:
    """Return a time or length in seconds with the three decimals that answers show."""
    return round(time, 3)


def confidence(value: float | None) -> float | None:
    """Return a confidence, 0..1, with three decimals; None if it is missing or not finite."""
    return round(value, 3) if value is not None and math.isfinite(value) else None


def share(value: float) -> float:
    """Return a share, 0..1, with three decimals."""
    return round(value, 3)


def component(value: float) -> float:
    """Return a number of a voice's vector with five decimals: a cosine of two is off by less than
    0.001.
    """
    return round(value, 5)
