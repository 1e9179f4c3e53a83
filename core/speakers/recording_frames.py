"""Frames of an embedding network, computed once for the whole recording.

Overlapping windows share their frames but for two things: a window's features are centred by its
own mean, and at its edges the convolutions see zeros. Here the mean is that of all windows around
a frame, and there are no edges but the recording's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from core.media.audio import SAMPLE_RATE
from core.speakers.networks import FrameNetwork, ResNet, XVector
from core.speakers.windows import Indices, Windows

_AHEAD = 3000
"""Features that are computed at once, at least: 30 s of them."""


class RecordingFrames(Protocol):
    """Frames of one recording, to be read in order."""

    hop: int
    """Samples from one frame to the next."""
    count: int
    """Frames of all windows together."""
    per_window: int
    """Frames of a window."""

    def read(self, first: int, count: int) -> Any:
        """Return frames as a float32 tensor (…, count). `first` never goes back."""
        ...


def recording_frames(network: FrameNetwork, windows: Windows) -> RecordingFrames | None:
    """Return the frames of a recording; None if the network can only see windows.

    An x-vector network on SincNet normalises each window by its whole content.
    """
    if isinstance(network, ResNet) and network.model.hparams.fbank_centering_span is None:
        return ResNetFrames(network, windows)
    if isinstance(network, XVector) and hasattr(network.model, "mfcc"):
        return XVectorFrames(network, windows)
    return None


class XVectorFrames:
    """Frames of an x-vector network on MFCC."""

    def __init__(self, network: XVector, windows: Windows) -> None:
        model = network.model
        self._network, self._windows = network, windows
        self._reach = model.receptive_field_size(1)
        self.hop = model.receptive_field_size(2) - self._reach
        self.per_window = model.num_frames(windows.size)
        self.count = model.num_frames(windows.end)
        self._margin = 2  # the MFCC of a piece mirror it at its edges

    def read(self, first: int, count: int) -> Any:
        """See `RecordingFrames`."""
        before = min(first, self._margin)
        start, frames = first - before, before + count + self._margin
        piece = self._windows.piece(start * self.hop, (frames - 1) * self.hop + self._reach)
        found = self._network.frames(piece[None, None].to(self._network.device))
        return found[0, ..., before : before + count]


class ResNetFrames:
    """Frames of WeSpeaker's ResNet."""

    def __init__(self, network: ResNet, windows: Windows) -> None:
        self._network = network
        self._features = CentredFeatures(network, windows)
        self._stride, self._margin = network.stride, -(-network.reach // network.stride)
        self.hop = self._features.hop * self._stride
        self.count = -(-self._features.count // self._stride)
        self.per_window = network.model.num_frames(windows.size)

    def read(self, first: int, count: int) -> Any:
        """See `RecordingFrames`."""
        before = min(first, self._margin)
        start, stop = first - before, first + count + self._margin
        features = self._features.read(start * self._stride, stop * self._stride)
        found = self._network.trunk(features[None])
        return found[0, ..., before : before + count]


class Features:
    """Filterbank features of a recording, not centred, read in order and each computed once."""

    def __init__(self, network: ResNet, windows: Windows) -> None:
        import torch

        parameters = network.model.hparams
        self.hop = round(parameters.frame_shift * SAMPLE_RATE / 1000)
        self._width = round(parameters.frame_length * SAMPLE_RATE / 1000)
        self.per_window = 1 + (windows.size - self._width) // self.hop
        self.starts = np.array([windows.start(i) // self.hop for i in range(windows.count)])
        """The first features of the windows."""
        self.count = int(self.starts[-1]) + self.per_window
        self._network, self._windows = network, windows
        self._first = 0
        self._held = torch.zeros(0, parameters.num_mel_bins, device=network.device)

    def read(self, start: int, stop: int, *, keep: int | None = None) -> Any:
        """Return the features [start, stop): (frames, mels). Those before `keep` are let go."""
        import torch

        first = start if keep is None else min(keep, start)
        self._held, self._first = self._held[max(0, first - self._first) :], first
        begin = self._first + len(self._held)
        if begin < stop:
            end = min(self.count, max(stop, begin + _AHEAD))
            size = (end - begin - 1) * self.hop + self._width
            piece = self._windows.piece(begin * self.hop, size).to(self._network.device)
            self._held = torch.cat([self._held, self._network.features(piece)])
        return self._held[start - self._first : stop - self._first]


class WindowFrames:
    """Frames of single windows, each centred by its own mean, from features computed once."""

    def __init__(self, network: ResNet, windows: Windows) -> None:
        self._network, self._features = network, Features(network, windows)

    def of(self, indices: Indices, batch: int) -> Any:
        """Return the frames of windows in order: (batch, …, frames); rows without one are empty."""
        import torch

        starts = self._features.starts[indices]
        length = self._features.per_window
        rows = [self._features.read(int(start), int(start) + length) for start in starts]
        features = torch.stack(rows)
        features -= features.mean(dim=1, keepdim=True)
        missing = batch - len(rows)
        return self._network.trunk(torch.nn.functional.pad(features, (0, 0, 0, 0, 0, missing)))


def window_frames(network: FrameNetwork, windows: Windows) -> Callable[[Indices, int], Any]:
    """Return what makes frames of some windows, given their numbers and the size of the batch."""
    if isinstance(network, ResNet) and network.model.hparams.fbank_centering_span is None:
        hop = Features(network, windows).hop
        if all(windows.start(index) % hop == 0 for index in range(windows.count)):
            return WindowFrames(network, windows).of
    return lambda indices, batch: network.frames(windows.cut(indices, batch).to(network.device))


class CentredFeatures:
    """Filterbank features, less the mean of the windows around each.

    The offset of a frame is the mean of the means of all windows that see it. Of all offsets this
    one is nearest to the windows' own, as the sum of squares, and where one window alone sees a
    frame it is that window's.
    """

    def __init__(self, network: ResNet, windows: Windows) -> None:
        import torch

        self._features = features = Features(network, windows)
        self.hop, self.count = features.hop, features.count
        mels = network.model.hparams.num_mel_bins
        self._sums = [torch.zeros(mels, dtype=torch.float64, device=network.device)]
        """The sum of the means of the first n windows, for each n."""

    def read(self, start: int, stop: int) -> Any:
        """Return the frames [start, stop), those of them that the windows reach: (frames, mels)."""
        starts, length = self._features.starts, self._features.per_window
        stop = min(stop, self.count)
        for window in range(len(self._sums) - 1, int(np.searchsorted(starts, stop - 1, "right"))):
            first = int(starts[window])
            mean = self._features.read(first, first + length, keep=start).mean(dim=0)
            self._sums.append(self._sums[-1] + mean)
        places = np.arange(start, stop)
        after = np.searchsorted(starts, places, "right")
        before = np.searchsorted(starts + length, places, "right")
        before = np.minimum(before, after - 1)  # between two windows that do not meet
        next_window = min(len(self._sums), len(starts)) - 1
        keep = min(start, int(starts[next_window]))
        return self._features.read(start, stop, keep=keep) - self._offsets(before, after)

    def _offsets(self, before: Any, after: Any) -> Any:
        import torch

        sums = torch.stack(self._sums[before.min() : after.max() + 1])
        first, last = (
            torch.from_numpy(ends - before.min()).to(sums.device) for ends in (before, after)
        )
        return ((sums[last] - sums[first]) / (last - first)[:, None]).float()
