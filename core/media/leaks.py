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
_FOLLOWS = 0.2
"""A channel hears another if its loudness goes together with the other's like this, over all
windows in which the other speaks alone: in each by itself a steady noise would hide it.

On 22 calls of `bench.channels` (40 s, seeds 500 to 521) two people without a leak came to 0.11 at
most, and with one of -20 dB to 0.29 or more; in 2 of 44 channels too little was heard alone.
"""
_FLOOR_PERCENT = 20
"""Of a channel's frames so many are no louder than its noise: people pause."""
_LOUDER = 2.0
_ACTIVE = 0.1
"""Somebody speaks in windows that have this share of the level of the loudest ones."""
_LEAST_WINDOWS = 5
_LOUD = 0.3
"""The same for frames: in the others the noise of the channel tells nothing about the leak."""
_GAIN_PERCENT = 40
"""Of the frames in which the other is loud so many show no more than the leak, even while somebody
speaks here too: words have gaps.
"""
_MOST_PERCENT = 75
"""A leak that comes and goes, or is too faint to be found, shows in the loudest quarter of the
frames; somebody who now and then says the same at once does not.
"""


@dataclass(frozen=True, slots=True)
class Leak:
    """What of one channel is heard on another."""

    lag_frames: int = 0
    """How much later it is heard."""
    gain: float = 0.0
    """How loud it is there, as a share of its own level; 0 if no leak was found."""
    most: float = 1.0
    """The same for the greatest leak that may have escaped notice."""
    noise: float = 0.0
    """The level of what is always there."""


def leaks(levels: NDArray[np.float32]) -> dict[tuple[int, int], Leak]:
    """Return for each two channels what leaks into the first from the second.

    `levels` is the root mean square of frames of 20 ms, shape (channels, frames).
    """
    if not levels.shape[1]:
        return {pair: Leak() for pair in permutations(range(len(levels)), 2)}
    noises = np.percentile(levels, _FLOOR_PERCENT, axis=1).tolist()
    return {
        (heard, origin): _leak(levels[heard], levels[origin], noises[heard])
        for heard, origin in permutations(range(len(levels)), 2)
    }


def _leak(heard: NDArray[np.float32], origin: NDArray[np.float32], noise: float) -> Leak:
    """Find the delay at which both go together best while the other speaks alone."""
    own = _windows(heard[_MAX_LAG:])
    late = [_windows(origin[_MAX_LAG - lag :])[: len(own)] for lag in range(_MAX_LAG + 1)]
    alone = np.all([_speaks_alone(own, others) for others in late], axis=0)
    alike = [_likeness(own[alone], others[alone]) for others in late]
    lag = max(range(len(late)), key=alike.__getitem__)
    is_told = alone.sum() >= _LEAST_WINDOWS
    is_found = is_told and alike[lag] >= _FOLLOWS
    if not is_found:
        lag = max(range(len(late)), key=lambda lag: likeness(own.ravel(), late[lag].ravel()))
    at = alone if is_told else np.ones_like(alone)
    gains = _gains(own[at], late[lag][at], noise)
    if not gains.size:
        return Leak(lag, noise=noise)
    gain, most = np.percentile(gains, (_GAIN_PERCENT, _MOST_PERCENT)).tolist()
    return Leak(lag, gain if is_found else 0.0, most, noise)


def _speaks_alone(own: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell in which windows the other speaks, and clearly louder than whatever is here."""
    if not len(others):
        return np.zeros(0, np.bool_)
    loudness = _level(others)
    is_active = loudness > _ACTIVE * np.percentile(loudness, 95)
    alone: NDArray[np.bool_] = is_active & (loudness >= _LOUDER * _level(own))
    return alone


def _gains(
    own: NDArray[np.float32], others: NDArray[np.float32], noise: float
) -> NDArray[np.float32]:
    """Return for each frame in which the other is loud what of its level is here, beyond noise."""
    if not others.size:
        return np.zeros(0, np.float32)
    loud = others > _LOUD * np.percentile(others, 95)
    energy = np.maximum(np.square(own[loud]) - noise**2, 0)
    return np.asarray(np.sqrt(energy) / others[loud], np.float32)


def _windows(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut into whole windows, shape (windows, frames)."""
    return levels[: len(levels) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)


def _level(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square of each window."""
    level: NDArray[np.float32] = np.sqrt(np.square(windows).mean(axis=1))
    return level


def _likeness(own: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Return how the loudness within windows goes together, over all of them, -1..1."""
    centred = (rows - rows.mean(axis=1, keepdims=True) for rows in (own, others))
    return likeness(*(rows.ravel() for rows in centred))
