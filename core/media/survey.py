"""A first look at all channels of a recording: how loud each is, and which are worth hearing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.domain.timeline import Span
from core.media.audio import SAMPLE_RATE, Stream
from core.media.channels import Channels, likeness
from core.media.leaks import Leak, leaks

_FRAME = SAMPLE_RATE // 50
_FRAMES_PER_S = SAMPLE_RATE / _FRAME
_SILENT = 10 ** (-70 / 20)
"""No frame of a wire that nothing is connected to is louder."""
_COPY = 0.995
"""Channels whose loudness goes together like this hold the same sound."""
_AROUND_S = 0.5
"""A word alone is too short to compare by."""

Levels = NDArray[np.float32]
"""Root mean square of frames of 20 ms, shape (channels, frames)."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How loud the channels of a range of a recording are."""

    levels: Levels
    start_s: float
    """Seconds from the start of the file to the first frame."""
    _leaks: dict[tuple[int, int], Leak] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_leaks", leaks(self.levels))

    def silent(self) -> list[int]:
        """Return the channels on which there is nothing; they count from 0."""
        peaks = self.levels.max(axis=1, initial=0.0)
        return [channel for channel, peak in enumerate(peaks) if peak < _SILENT]

    def copies(self) -> dict[int, int]:
        """Return the channels that hold the sound of a louder one or an earlier one, and which."""
        silent = self.silent()
        energies = np.square(self.levels).sum(axis=1).round(3)
        order = sorted(
            (channel for channel in range(len(self.levels)) if channel not in silent),
            key=lambda channel: -float(energies[channel]),
        )
        found: dict[int, int] = {}
        for at, channel in enumerate(order):
            for original in order[:at]:
                alike = likeness(self.levels[channel], self.levels[original]) >= _COPY
                if original not in found and alike:
                    found[channel] = original
                    break
        return found

    def level(self, channel: int, span: Span) -> float:
        """Return the root mean square of a stretch, 0..1."""
        frames = self.levels[channel, self._frames(span)]
        return float(np.sqrt(np.square(frames).mean())) if frames.size else 0.0

    def likeness(self, channel: int, other: int, span: Span) -> float:
        """Return how far the loudness of two channels goes together around a stretch, -1..1."""
        around = Span(span.start - _AROUND_S, span.end + _AROUND_S)
        lag_s = self._leaks[channel, other].lag_frames / _FRAMES_PER_S
        late = self._frames(Span(around.start + lag_s, around.end + lag_s))
        own, others = self.levels[channel, late], self.levels[other, self._frames(around)]
        count = min(len(own), len(others))
        return likeness(own[:count], others[:count])

    def leaked(self, channel: int, other: int, span: Span) -> float:
        """Return the level that another channel brings with it on this one in a stretch, 0..1, with
        the noise that is always here; 0 if no leak was found.
        """
        gain = self._leaks[channel, other].gain
        return self._brought(gain, channel, other, span) if gain else 0.0

    def leaked_at_most(self, channel: int, other: int, span: Span) -> float:
        """Return the same for the greatest leak that may have escaped notice."""
        return self._brought(self._leaks[channel, other].most, channel, other, span)

    def _brought(self, gain: float, channel: int, other: int, span: Span) -> float:
        noise = self._leaks[channel, other].noise
        return math.hypot(gain * self.source(channel, other, span), noise)

    def source(self, channel: int, other: int, span: Span) -> float:
        """Return another channel's level when it made what is heard here in a stretch."""
        lag_s = self._leaks[channel, other].lag_frames / _FRAMES_PER_S
        return self.level(other, Span(span.start - lag_s, span.end - lag_s))

    def _frames(self, span: Span) -> slice:
        begin = max(0, math.floor((span.start - self.start_s) * _FRAMES_PER_S))
        end = math.ceil((span.end - self.start_s) * _FRAMES_PER_S)
        return slice(begin, max(begin + 1, end))


def survey(stream: Stream) -> Survey:
    """Decode a recording to look at its channels. Raise what the iteration of a stream raises."""
    count = stream.channels
    frames = [_levels(block) for block in _blocks(stream.stretches(), count)]
    return Survey(np.concatenate(frames, axis=1), stream.start)


def _blocks(stretches: Iterator[Channels], count: int) -> Iterator[Channels]:
    """Yield the stretches as whole frames, each with as many channels as the track has."""
    rest: Channels = np.empty((count, 0), np.float32)
    for channels in stretches:
        fitted = np.zeros((count, channels.shape[1]), np.float32)
        fitted[: len(channels)] = channels[:count]
        held = np.concatenate([rest, fitted], axis=1)
        whole = held.shape[1] // _FRAME * _FRAME
        yield held[:, :whole]
        rest = held[:, whole:]
    yield rest


def _levels(block: Channels) -> Levels:
    """Return the root mean square of each frame; the last one may be shorter."""
    padded = np.pad(block, ((0, 0), (0, -block.shape[1] % _FRAME)))
    frames = padded.reshape(len(block), -1, _FRAME)
    levels: Levels = np.sqrt(np.square(frames).mean(axis=2))
    return levels
