"""The overlapping windows in which pyannote's models look at a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.media.audio import SAMPLE_RATE, Samples

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one length at equal steps, from the start of the recording to past its end.

    They lie as those of pyannote's `Inference.slide`: the last one is there if samples are left,
    and zeros follow these.
    """

    count: int
    duration_s: float
    step_s: float
    samples: Samples
    """float32 (n,) in -1..1, 16 kHz: the whole recording, not copied."""

    @classmethod
    def over(cls, samples: Samples, duration_s: float, step_s: float) -> Windows:
        """Lay windows over a recording that is not empty."""
        size, step = round(duration_s * SAMPLE_RATE), round(step_s * SAMPLE_RATE)
        beyond = max(0, len(samples) - size)
        return cls(1 + -(-beyond // step), duration_s, step_s, samples)

    @property
    def size(self) -> int:
        """Samples in a window."""
        return round(self.duration_s * SAMPLE_RATE)

    @property
    def end(self) -> int:
        """The sample after the last window."""
        return self.start(self.count - 1) + self.size

    def start(self, index: int) -> int:
        """Return the first sample of a window."""
        return round(index * self.step_s * SAMPLE_RATE)

    def cut(self, indices: Indices, batch: int) -> Any:
        """Return windows as a torch tensor (batch, 1, size), with zeros past the recording.

        Rows that no index is given for are zeros too: batches of one shape are what convolutions
        plan their memory for once (pyannote issue 1963).
        """
        import torch

        rows = torch.zeros((batch, 1, self.size))
        for row, index in zip(rows, indices, strict=False):
            row[0] = self.piece(self.start(int(index)), self.size)
        return rows

    def piece(self, start: int, size: int) -> Any:
        """Return samples as a torch tensor (size,), with zeros past the recording."""
        import torch

        found = torch.from_numpy(self.samples[start : start + size])
        return torch.nn.functional.pad(found, (0, size - len(found)))

    def sliding(self) -> Any:
        """Return the windows as pyannote's `SlidingWindow`."""
        from pyannote.core import SlidingWindow

        return SlidingWindow(start=0.0, duration=self.duration_s, step=self.step_s)


def batches(indices: Indices, size: int) -> Iterator[Indices]:
    """Divide indices into runs of at most `size`."""
    for first in range(0, len(indices), size):
        yield indices[first : first + size]
