"""How much of each channel is heard on the others, through the room or the wire."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from core.media.channels import likeness

_MAX_LAG = 5
"""Frames, 100 ms: an echo that comes later is a conversation's, not a leak's."""
_WINDOW = 50
"""Frames that are compared together: a second."""
_ALIKE = 0.9
"""In a window in which the loudness of two channels goes together like this, one is the other."""
_LOUDER = 2.0
_ACTIVE = 0.1
"""Somebody speaks in windows that have this share of the level of the loudest ones."""
_LEAST_SHARE, _LEAST_WINDOWS = 0.1, 3
"""A leak is always there: it shows in many of the windows in which nobody else speaks."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What of one channel is heard on another."""

    lag_frames: int = 0
    """How much later it is heard."""
    gain: float = 0.0
    """How loud it is there, as a share of its own level; 0 if nothing leaks."""


def leaks(levels: NDArray[np.float32]) -> dict[tuple[int, int], Leak]:
    """Return for each two channels what leaks into the first from the second.

    `levels` is the root mean square of frames of 20 ms, shape (channels, frames).
    """
    pairs = permutations(range(len(levels)), 2)
    return {pair: _leak(levels[pair[0]], levels[pair[1]]) for pair in pairs}


def _leak(heard: NDArray[np.float32], origin: NDArray[np.float32]) -> Leak:
    lag = max(range(_MAX_LAG + 1), key=lambda lag: likeness(*_aligned(heard, origin, lag)))
    own, others = map(_windows, _aligned(heard, origin, lag))
    if not len(others):
        return Leak()
    loudness = others.mean(axis=1)
    is_active = loudness > _ACTIVE * np.percentile(loudness, 95)
    alone = is_active & (loudness >= _LOUDER * own.mean(axis=1))
    together = alone & (_likeness(own, others) >= _ALIKE)
    if together.sum() < max(_LEAST_WINDOWS, _LEAST_SHARE * alone.sum()):
        return Leak(lag)
    return Leak(lag, float(np.median(own[together].mean(axis=1) / loudness[together])))


def _aligned(
    heard: NDArray[np.float32], origin: NDArray[np.float32], lag: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return heard[lag:], origin[: len(origin) - lag]


def _windows(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut into whole windows, shape (windows, frames)."""
    return levels[: len(levels) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the correlation of each row with the other's, -1..1."""
    one, other = (rows - rows.mean(axis=1, keepdims=True) for rows in (one, other))
    products = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    squares = np.einsum("ij,ij->i", one, one) * np.einsum("ij,ij->i", other, other)
    found: NDArray[np.float64] = products / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
    return found
