"""From several channels to one, so that nobody is lost.

Channels are microphones unless the file says that they are loudspeakers. Of two channels the mean
is taken, or half their difference while one is upside down. Of more, each counts by the share that
it has in the sound of the moment, so that whoever speaks alone is as loud as on the channel.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.media.decoder.protocol import OUTPUT_RATE
from core.media.pieces import Mono

Channels = NDArray[np.float32]
"""float32, shape (channels, samples)."""
WINDOW = OUTPUT_RATE // 4
"""Samples that are judged together."""
STRETCH = 32 * WINDOW
"""Samples that are mixed together."""

_UPSIDE_DOWN = 0.1
"""Two channels cancel each other where their sum has less than this share of their difference's
energy.
"""
_QUIET = 1e-3
"""What has less than this share of a stretch's loudest window tells nothing about the wires."""
_LEAST_RUN = 4
"""Windows for which a polarity must hold, so that room and music do not switch it."""
_CORRELATED = 0.5
_MASK_LIES = 0.03
"""If the mean has less than this share of a channel, the names of loudspeakers are not true."""
_NOTHING = 1e-20

_WEIGHTS = {"FC": 1.0, "FL": 0.707, "FR": 0.707, "LFE": 0.0, "LFE2": 0.0}
"""Loudspeakers in the mean; every other one has the weight of a surround one."""
_SURROUND = 0.5


class Mix(Protocol):
    """Makes one channel of several, stretch by stretch."""

    def use(self, speakers: tuple[str, ...]) -> None:
        """Take note of the channels' names; none for microphones."""
        ...

    def mix(self, channels: Channels) -> Mono:
        """Return one channel for a stretch."""
        ...


class Picked:
    """One of the channels, by itself.

    While the recording has fewer channels, everybody is on the first.
    """

    def __init__(self, channel: int) -> None:
        self._channel = channel

    def use(self, speakers: tuple[str, ...]) -> None:
        """See `Mix`."""

    def mix(self, channels: Channels) -> Mono:
        """See `Mix`."""
        if self._channel < len(channels):
            return np.asarray(channels[self._channel], np.float32)
        return np.zeros(channels.shape[1], np.float32)


class Mixer:
    """Mixes everybody; what it learnt about the wires goes on."""

    def __init__(self) -> None:
        self._speakers: tuple[str, ...] = ()
        self._is_upside_down = False
        self._signs: NDArray[np.float32] = np.empty(0, np.float32)

    def use(self, speakers: tuple[str, ...]) -> None:
        """See `Mix`."""
        self._speakers = speakers

    def mix(self, channels: Channels) -> Mono:
        """See `Mix`."""
        if len(channels) == 1:
            return np.asarray(channels[0], np.float32)
        if len(channels) == 2:
            return self._pair(channels)
        if len(self._speakers) == len(channels):
            mean = _weights(self._speakers) @ channels
            if _energy(mean) >= _MASK_LIES * max(map(_energy, channels)):
                return np.asarray(mean, np.float32)
        return self.share(channels)

    def _pair(self, channels: Channels) -> Mono:
        mean: Mono = np.float32(0.5) * (channels[0] + channels[1])
        difference = np.float32(0.5) * (channels[0] - channels[1])
        upside_down = self._upside_down(_energies(mean), _energies(difference))
        if not upside_down.any():
            return mean
        share = _ramps(upside_down.astype(np.float32), len(mean))
        return np.asarray(mean + share * (difference - mean), np.float32)

    def _upside_down(
        self, mean: NDArray[np.float32], difference: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Say for each window whether the channels cancel each other."""
        whole = mean + difference
        is_loud = whole > max(_QUIET * float(whole.max(initial=0.0)), _NOTHING)
        loud = np.flatnonzero(is_loud)
        found = _long_runs(mean[loud] < _UPSIDE_DOWN * difference[loud], self._is_upside_down)
        states = np.empty(len(mean), np.bool_)
        for index in range(len(mean)):
            # In a pause it stays as it was.
            at = int(np.searchsorted(loud, index, side="right")) - 1
            states[index] = found[at] if at >= 0 else self._before(found)
        self._is_upside_down = bool(states[-1]) if len(states) else self._is_upside_down
        return states

    def _before(self, found: NDArray[np.bool_]) -> bool:
        return bool(found[0]) if len(found) else self._is_upside_down

    def share(self, channels: Channels) -> Mono:
        """Mix microphones by their shares in the sound."""
        self._find_signs(channels)
        energies = np.stack([_energies(channel) for channel in channels])
        # A window opens a channel for its neighbours too: a word begins before its loudest part.
        padded = np.pad(energies, ((0, 0), (1, 1)), mode="edge")
        wide = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:]) + _NOTHING
        shares = self._signs[:, None] * wide / wide.sum(axis=0)
        mixed = np.zeros(channels.shape[1], np.float32)
        for channel, weights in zip(channels, shares.astype(np.float32), strict=True):
            mixed += _ramps(weights, len(mixed)) * channel
        return mixed

    def _find_signs(self, channels: Channels) -> None:
        """Turn the channels that are upside down, as seen from the loudest one."""
        if len(self._signs) != len(channels):
            self._signs = np.ones(len(channels), np.float32)
        energies = np.array([_energy(channel) for channel in channels])
        loudest = int(energies.argmax())
        products = np.array([float(channel @ channels[loudest]) for channel in channels])
        correlation = products / (np.sqrt(energies * energies[loudest]) + _NOTHING)
        turned = np.sign(correlation) * self._signs[loudest]
        is_sure = np.abs(correlation) > _CORRELATED
        self._signs = np.where(is_sure, turned, self._signs).astype(np.float32)


def _long_runs(states: NDArray[np.bool_], before: bool) -> NDArray[np.bool_]:
    """Let short runs keep the state before them."""
    smoothed, begin = states.copy(), 0
    for end in [*(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]:
        if end - begin < min(_LEAST_RUN, len(states)):
            smoothed[begin:end] = before
        elif end > begin:
            before = bool(states[begin])
        begin = end
    return smoothed


def _weights(speakers: tuple[str, ...]) -> NDArray[np.float32]:
    weights = np.array([_WEIGHTS.get(name, _SURROUND) for name in speakers], np.float32)
    return weights / max(1.0, float(weights.sum()))


def _energy(samples: Mono) -> float:
    return float(samples @ samples)


def _energies(samples: Mono) -> NDArray[np.float32]:
    """Energy of each window; the last one may be shorter."""
    whole = len(samples) // WINDOW * WINDOW
    windows = samples[:whole].reshape(-1, WINDOW)
    energies = np.einsum("ij,ij->i", windows, windows)
    rest = samples[whole:]
    return np.append(energies, np.float32(_energy(rest))) if len(rest) else energies


def _ramps(values: NDArray[np.float32], count: int) -> Mono:
    """Go from the middle of each window to the middle of the next in a straight line."""
    middles = (np.arange(len(values)) + 0.5) * WINDOW
    return np.interp(np.arange(count), middles, values).astype(np.float32)


def likeness(one: Mono, other: Mono) -> float:
    """Return the correlation of two rows of loudness, -1..1; 0 if one of them is steady."""
    if not len(one):
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0 else 0.0
