"""One vector for each cluster, of speech in which nobody else speaks.

It is made of the vectors that the clustering had, so it costs next to nothing: the mean of those of
clean speech, each of length 1 and weighed by how much of it is the cluster's alone in the end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.domain import rounding
from core.media.audio import SAMPLE_RATE
from core.speakers.embedding import Embeddings
from core.speakers.reconstruction import Grid
from core.speakers.segmentation import Segmentation

_TELLING_S = 1.0
"""Vectors of less speech differ from each other as much as two people's."""


@dataclass(frozen=True, slots=True)
class ClusterVoice:
    """The voice of a cluster."""

    vector: npt.NDArray[np.float64]
    """(dimension,), of length 1."""
    seconds: float
    """How much speech it is made of."""

    @property
    def rounded(self) -> tuple[float, ...]:
        """The vector as answers show it."""
        return tuple(rounding.component(float(number)) for number in self.vector)


class CleanSpeech:
    """The frames in which one local speaker speaks alone."""

    def __init__(
        self, segmentation: Segmentation, *, least_samples: int, excludes_overlap: bool
    ) -> None:
        """Take a segmentation, and how vectors were made of it.

        `least_samples` is the least that the network takes. With `excludes_overlap`, vectors are of
        clean frames alone if these are more than that; without, of all.
        """
        active = segmentation.active
        self._segmentation = segmentation
        self._frames = active * (active.sum(axis=2, keepdims=True) < 2)
        self._frame_s = segmentation.frames.step
        counts = self._frames.sum(axis=1, dtype=np.int64)
        samples = segmentation.windows.duration_s * SAMPLE_RATE
        usable = counts * samples > least_samples * active.shape[1]
        if not excludes_overlap:
            usable &= counts == active.sum(axis=1)
        self.counts = np.where(usable, counts, 0)
        """(windows, speakers): the clean frames behind each vector; 0 if it is of others too."""

    def first(self, most_s: float) -> Segmentation:
        """Return the segmentation without the windows that follow so many seconds of clean speech.

        The windows must not overlap.
        """
        heard_s = np.cumsum(self._frames.sum(axis=(1, 2), dtype=np.int64)) * self._frame_s
        count = 1 + int(np.searchsorted(heard_s[:-1], most_s))
        whole = self._segmentation
        windows = replace(whole.windows, count=count)
        return replace(
            whole, windows=windows, active=whole.active[:count], scores=whole.scores[:count]
        )

    def unlike_s(self, embeddings: Embeddings, least_cosine: float) -> float:
        """Return how many seconds of clean speech sound less like the most typical vector than
        `least_cosine`.

        `embeddings` is (windows, speakers, dimension). The segmentation may split one person in two
        within a window, and cannot tell whether two windows have the same one: the sound can.
        """
        lengths = np.linalg.norm(embeddings, axis=2)
        seconds = self.counts * self._frame_s
        own = (seconds >= _TELLING_S) & np.isfinite(lengths) & (lengths > 0)
        weights, vectors = seconds[own], embeddings[own] / lengths[own][:, None]
        if not len(weights):
            return 0.0
        cosines = vectors @ vectors.T
        typical = int((cosines @ weights).argmax())
        return float(weights[cosines[typical] < least_cosine].sum())

    def voices(
        self,
        embeddings: Embeddings,
        clusters: npt.NDArray[np.int8],
        grid: Grid,
        alone: npt.NDArray[np.int64],
    ) -> dict[int, ClusterVoice]:
        """Return the voice of each cluster that has clean speech.

        `embeddings` is (windows, speakers, dimension), `clusters` (windows, speakers), and `alone`
        what `speaks_alone` returns.
        """
        lengths = np.linalg.norm(embeddings, axis=2)
        is_usable = (self.counts > 0) & np.isfinite(lengths) & (lengths > 0)
        found = {}
        for cluster in np.unique(clusters[is_usable & (clusters >= 0)]).tolist():
            own = is_usable & (clusters == cluster)
            weights, seconds = self._agreed(own, grid, alone == cluster)
            mean = (weights[own] / lengths[own]) @ embeddings[own].astype(np.float64)
            if length := float(np.linalg.norm(mean)):
                found[cluster] = ClusterVoice(mean / length, seconds)
        return found

    def _agreed(
        self, own: npt.NDArray[np.bool_], grid: Grid, alone: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64], float]:
        """Return how many clean frames of some local speakers lie where all windows together say
        that their cluster speaks alone, (windows, speakers), and the seconds that these cover.
        """
        weights, heard = np.zeros(own.shape, np.int64), np.zeros(grid.count, np.bool_)
        length = self._frames.shape[1]
        for window in np.flatnonzero(own.any(axis=1)):
            place = slice(grid.firsts[window], grid.firsts[window] + length)
            agreed = self._frames[window][:, own[window]].astype(np.bool_) & alone[place, None]
            weights[window, own[window]] = agreed.sum(axis=0)
            heard[place] |= agreed.any(axis=1)
        return weights, float(heard.sum() * self._frame_s)


def speaks_alone(
    active: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the cluster that speaks alone in each frame: (frames,); -1 is none.

    `active` is (frames, clusters), how strongly each is active, and `counts` (frames,), how many
    people speak.
    """
    loudest: npt.NDArray[np.int64] = active.argmax(axis=1)
    return np.where(counts == 1, loudest, -1)


def network_id(model: Any) -> str:
    """Return what tells an embedding network from all others: its class, and a sum of its weights.

    Two folders with the same network have one id, whatever they are called.
    """
    import torch

    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"{type(model).__name__}-{digest.hexdigest()[:12]}"
