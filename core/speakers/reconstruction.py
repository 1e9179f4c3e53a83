"""From clusters of local speakers to turns: what pyannote's `reconstruct` and `Binarize` do.

The results are pyannote's to the last bit. Windows are added up one by one, so that memory is that
of the frames rather than of windows × frames × speakers in float64, and frames are decided all at
once rather than one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.speakers.segmentation import Segmentation

_FRAMES_AT_ONCE = 65_536
"""Frames that are sorted at a time: 18 minutes."""

Region = tuple[float, float, int]
"""Start and end in seconds from the start of the waveform, and the number of the cluster."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The frames of a whole recording, and where each window's lie among them."""

    count: int
    firsts: npt.NDArray[np.int64]
    """(windows,): the number of each window's first frame."""
    middles_s: npt.NDArray[np.float64]
    """(count,): seconds."""

    @classmethod
    def of(cls, segmentation: Segmentation) -> Grid:
        """Lay the frames out as pyannote's `Inference.aggregate` does, in its order of rounding."""
        windows, duration_s = segmentation.windows, segmentation.frames.duration
        step_s = segmentation.frames.step

        def closest(time_s: Any) -> Any:
            return np.rint((time_s - 0.0 - 0.5 * duration_s) / step_s).astype(np.int64)

        starts_s = 0.0 + np.arange(windows.count) * windows.step_s
        end_s = 0.0 + windows.duration_s + (windows.count - 1) * windows.step_s
        count = int(closest(np.float64(end_s + 0.5 * duration_s))) + 1
        frames_s = 0.0 + np.arange(count) * step_s
        middles_s = 0.5 * (frames_s + (frames_s + duration_s))
        return cls(count, closest(starts_s + 0.5 * duration_s), middles_s)


def speaker_counts(segmentation: Segmentation, grid: Grid) -> npt.NDArray[np.int64]:
    """Return how many people speak in each frame: the mean of the windows that see it, rounded."""
    talking = segmentation.active.sum(axis=2, dtype=np.uint8)
    total, seen = np.zeros((2, grid.count), np.float32)
    length = talking.shape[1]
    for first, window in zip(grid.firsts, talking, strict=True):
        total[first : first + length] += window
        seen[first : first + length] += 1
    return np.rint(total / np.maximum(seen, 1e-12)).astype(np.int64)


def activations(
    segmentation: Segmentation, clusters: npt.NDArray[np.int8], grid: Grid
) -> npt.NDArray[np.float32]:
    """Return how strongly each cluster is active: (frames, clusters), summed over the windows.

    `clusters` is (windows, speakers); -2 is no cluster. Of several local speakers in one cluster,
    the strongest counts.
    """
    length = segmentation.scores.shape[1]
    total = np.zeros((grid.count, int(clusters.max()) + 1), np.float32)
    windows = zip(grid.firsts, clusters, segmentation.scores, strict=True)
    for first, own, scores in windows:
        for cluster in np.unique(own[own != -2]):
            strongest = scores[:, own == cluster].max(axis=1)
            total[first : first + length, cluster] += strongest
    return total


def regions(
    active: npt.NDArray[np.float32],
    counts: npt.NDArray[np.int64],
    grid: Grid,
    *,
    min_duration_off_s: float,
) -> list[Region]:
    """Return when each cluster speaks: in each frame the `counts` most active; sorted.

    Pauses shorter than `min_duration_off_s` are filled.
    """
    chosen = _chosen(active, counts)
    found = [
        (start, end, cluster)
        for cluster in range(chosen.shape[1])
        for start, end in _runs(chosen[:, cluster], grid.middles_s, min_duration_off_s)
    ]
    return sorted(found)


def _chosen(
    active: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return (frames, clusters), True for the `counts` most active of each frame.

    There are more columns than clusters if more people speak at once than there are clusters.
    """
    missing = max(0, int(counts.max()) - active.shape[1])
    if missing:
        active = np.pad(active, ((0, 0), (0, missing)))
    chosen = np.zeros(active.shape, np.bool_)
    places = np.arange(active.shape[1])
    for first in range(0, len(active), _FRAMES_AT_ONCE):
        rows = slice(first, first + _FRAMES_AT_ONCE)
        # pyannote's own sort, of single precision, for it decides between equals.
        order = np.argsort(-active[rows], axis=-1)
        np.put_along_axis(chosen[rows], order, places < counts[rows, None], axis=-1)
    return chosen


def _runs(
    speaking: npt.NDArray[np.bool_], middles_s: npt.NDArray[np.float64], min_off_s: float
) -> list[tuple[float, float]]:
    """Return the stretches in which a flag is set, from middle to middle of a frame.

    The last ends with the last frame, and is nothing if it begins there.
    """
    changes = np.flatnonzero(np.diff(speaking, prepend=False, append=False))
    changes = np.minimum(changes, len(speaking) - 1)
    starts_s, ends_s = middles_s[changes[::2]], middles_s[changes[1::2]]
    heard = starts_s < ends_s
    starts_s, ends_s = starts_s[heard], ends_s[heard]
    if min_off_s > 0:
        apart = starts_s[1:] - ends_s[:-1] >= min_off_s
        starts_s = starts_s[np.concatenate([[True], apart])[: len(starts_s)]]
        ends_s = ends_s[np.concatenate([apart, [True]])[: len(ends_s)]]
    return list(zip(starts_s.tolist(), ends_s.tolist(), strict=True))
