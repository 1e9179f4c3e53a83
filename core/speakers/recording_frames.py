"""Frames of an embedding network, computed once for the whole recording.

Overlapping windows share their frames but for two things: a window's features are centred by its
own mean, and at its edges the convolutions see zeros. Here the mean is that of all windows around
a frame, and there are no edges but the recording's own.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from core.media.audio import SAMPLE_RATE
from core.speakers.networks import FrameNetwork, ResNet, XVector
from core.speakers.windows import Windows


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


class CentredFeatures:
    """Filterbank features, less the mean of the windows around each.

    The offset of a frame is the mean of the means of all windows that see it. Of all offsets this
    one is nearest to the windows' own, as the sum of squares, and where one window alone sees a
    frame it is that window's.
    """

    def __init__(self, network: ResNet, windows: Windows) -> None:
        import torch

        self.hop = round(network.model.hparams.frame_shift * SAMPLE_RATE / 1000)
        self._width = round(network.model.hparams.frame_length * SAMPLE_RATE / 1000)
        self._network, self._windows = network, windows
        self._length = 1 + (windows.size - self._width) // self.hop
        self._starts = np.array([windows.start(i) // self.hop for i in range(windows.count)])
        self.count = int(self._starts[-1]) + self._length
        mels = network.model.hparams.num_mel_bins
        self._sums = [torch.zeros(mels, dtype=torch.float64, device=network.device)]
        """The sum of the means of the first n windows, for each n."""
        self._first, self._raw = 0, self._sums[0].new_zeros(0, mels, dtype=torch.float32)

    def read(self, start: int, stop: int) -> Any:
        """Return the frames [start, stop), those of them that the windows reach: (frames, mels)."""
        stop = min(stop, self.count)
        seen_by = int(np.searchsorted(self._starts, stop - 1, "right"))
        self._extend(start, int(self._starts[seen_by - 1]) + self._length)
        for window in range(len(self._sums) - 1, seen_by):
            self._add_mean(window)
        places = np.arange(start, stop)
        after = np.searchsorted(self._starts, places, "right")
        before = np.searchsorted(self._starts + self._length, places, "right")
        before = np.minimum(before, after - 1)  # between two windows that do not meet
        raw = self._raw[start - self._first : stop - self._first]
        return raw - self._offsets(before, after)

    def _offsets(self, before: Any, after: Any) -> Any:
        import torch

        sums = torch.stack(self._sums[before.min() : after.max() + 1])
        first, last = (
            torch.from_numpy(ends - before.min()).to(sums.device) for ends in (before, after)
        )
        return ((sums[last] - sums[first]) / (last - first)[:, None]).float()

    def _extend(self, start: int, stop: int) -> None:
        """Hold the raw features from `start`, or from the next window's mean on, to `stop`."""
        import torch

        keep = min(start, int(self._starts[min(len(self._sums), len(self._starts)) - 1]))
        self._raw, self._first = self._raw[keep - self._first :], keep
        begin = self._first + len(self._raw)
        if begin < stop:
            size = (stop - begin - 1) * self.hop + self._width
            piece = self._windows.piece(begin * self.hop, size).to(self._network.device)
            self._raw = torch.cat([self._raw, self._network.features(piece)])

    def _add_mean(self, window: int) -> None:
        start = int(self._starts[window]) - self._first
        mean = self._raw[start : start + self._length].mean(dim=0)
        self._sums.append(self._sums[-1] + mean)
