"""A vector for each local speaker of each window: pyannote's, with a third of its work.

pyannote runs the whole network once for each speaker of a window, on the same samples. Only the
last step, the pooling, differs: it weighs the frames by when the speaker is active. So frames are
computed once here and pooled for all speakers, and windows in which nobody speaks are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from core.media.audio import SAMPLE_RATE
from core.speakers.networks import FrameNetwork
from core.speakers.recording_frames import RecordingFrames, window_frames
from core.speakers.segmentation import Done, Segmentation
from core.speakers.windows import Indices, Windows, batches

Embeddings = npt.NDArray[np.float32]
"""(windows, speakers, dimension)."""


class Masks:
    """Which frames of a window belong to the vector of a speaker.

    With `exclude_overlap` these are the frames that nobody else speaks in, unless they are too few
    for the network: the rule of pyannote's `SpeakerDiarization.get_embeddings`.
    """

    def __init__(self, segmentation: Segmentation, *, least_samples: int | None) -> None:
        """Make masks from a segmentation.

        `least_samples` is the least that the network takes; None keeps the overlapped frames.
        """
        self._active = segmentation.active
        self._least_frames: int | None = None
        if least_samples is not None:
            samples = segmentation.windows.duration_s * SAMPLE_RATE
            self._least_frames = math.ceil(self._active.shape[1] * least_samples / samples)

    @property
    def speakers(self) -> int:
        """Local speakers of a window."""
        return int(self._active.shape[2])

    @property
    def frames(self) -> int:
        """Frames of a mask."""
        return int(self._active.shape[1])

    def spoken(self) -> Indices:
        """Return the windows in which somebody speaks."""
        return np.flatnonzero(self._active.any(axis=(1, 2)))

    def of(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the masks of some windows: (len(indices), speakers, frames), 0 or 1."""
        active = self._active[indices]
        if self._least_frames is not None:
            clean = active * (active.sum(axis=2, keepdims=True) < 2)
            enough = clean.sum(axis=1, keepdims=True) > self._least_frames
            active = np.where(enough, clean, active)
        return active.transpose(0, 2, 1).astype(np.float32)


def embed_windows(
    network: FrameNetwork, windows: Windows, masks: Masks, *, batch_size: int, done: Done
) -> Embeddings:
    """Return the vectors of all windows. At most one batch of frames is held at a time.

    Windows in which nobody speaks get the vector of nobody, as from pyannote. It must be finite:
    pyannote makes the score of such a slot the lowest of all scores less one, and beside a NaN that
    would be the lowest valid score, which can win. Raises what torch raises, and what `done` does.
    """
    import torch

    nobody, spoken = network.of_nobody(), masks.spoken()
    found = np.tile(nobody, (windows.count, masks.speakers, 1))
    frames_of = window_frames(network, windows)
    done(0, len(spoken))
    for number, indices in enumerate(batches(spoken, batch_size)):
        weights = np.zeros((batch_size, masks.speakers, masks.frames), np.float32)
        weights[: len(indices)] = masks.of(indices)
        with torch.inference_mode():
            frames = frames_of(indices, batch_size)
            vectors = network.embed(frames, torch.from_numpy(weights).to(network.device))
        found[indices] = vectors[: len(indices)].cpu().numpy()
        done(number * batch_size + len(indices), len(spoken))
    return found


def embed_recording(
    network: FrameNetwork,
    frames: RecordingFrames,
    windows: Windows,
    masks: Masks,
    *,
    block_s: float,
    done: Done,
) -> Embeddings:
    """Return the vectors of all windows, pooled from frames that the windows share.

    `block_s` is how many seconds go through the network at once. Windows in which nobody speaks get
    the vector of nobody. Raises what torch raises, and what `done` does.
    """
    import torch

    spoken = masks.spoken()
    found = np.tile(network.of_nobody(), (windows.count, masks.speakers, 1))
    block = max(1, round(block_s * SAMPLE_RATE / frames.hop))
    ready = 0
    done(0, len(spoken))
    with torch.inference_mode():
        for pieces in _shared(frames, _firsts(frames, windows, spoken), block):
            indices = spoken[ready : ready + len(pieces)]
            weights = torch.from_numpy(masks.of(indices)).to(network.device)
            found[indices] = network.embed(pieces, weights).cpu().numpy()
            ready += len(pieces)
            done(ready, len(spoken))
    return found


def _firsts(frames: RecordingFrames, windows: Windows, indices: Indices) -> Indices:
    """Return the number of the first frame of each window, to the nearest."""
    last = frames.count - frames.per_window
    return np.array(
        [min(last, round(windows.start(int(index)) / frames.hop)) for index in indices], np.int64
    )


def _shared(frames: RecordingFrames, firsts: Indices, block: int) -> Iterator[Any]:
    """Yield the frames of windows, in order, as tensors (some windows, …, frames of a window).

    Read block after block, and pass over what no window sees.
    """
    import torch

    held, end, ready = None, 0, 0
    while ready < len(firsts):
        if firsts[ready] >= end:
            held, end = None, int(firsts[ready])
        read = frames.read(end, min(block, frames.count - end))
        held = read if held is None else torch.cat([held, read], dim=-1)
        end += read.shape[-1]
        start = end - held.shape[-1]
        whole = int(np.searchsorted(firsts, end - frames.per_window, "right"))
        places = [slice(int(first) - start, None) for first in firsts[ready:whole]]
        if places:
            yield torch.stack([held[..., place][..., : frames.per_window] for place in places])
        ready = whole
        if ready < len(firsts):
            held = held[..., max(0, int(firsts[ready]) - start) :]
