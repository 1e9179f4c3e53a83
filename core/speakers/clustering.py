"""How many speakers are found, and how many the caller asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.domain.request import SpeakerCount

MOST_SPEAKERS = 100
"""The most speakers that are told apart, as many as `diarization_segments` may have.

pyannote fails on more than 128: it numbers them in eight bits.
"""


class Clustering:
    """A clustering of pyannote that applies bounds only if its own count lies outside them.

    The results are pyannote's, with three differences. There are at most `MOST_SPEAKERS`.
    `overruled` records that the model's own count was replaced: pyannote then clusters anew with
    plain k-means, which is less certain, and does not say so. And k-means is never asked for more
    speakers than there are pieces of clean speech, on which it would fail.
    """

    def __init__(self, clustering: Any) -> None:
        self._clustering = clustering
        self.expects_num_clusters = clustering.expects_num_clusters
        self.overruled: int | None = None
        """The number of speakers that the model found in the last run, if the bounds excluded it.
        """

    def __call__(
        self, *, num_clusters: int | None, min_clusters: int, max_clusters: float, **inputs: Any
    ) -> Any:
        """Cluster. For arguments and result see pyannote's `BaseClustering.__call__`."""
        self.overruled = None
        if self.expects_num_clusters:
            return self._clustering(
                num_clusters=num_clusters,
                min_clusters=min_clusters,
                max_clusters=max_clusters,
                **inputs,
            )
        free = self._clustering(
            num_clusters=None, min_clusters=1, max_clusters=MOST_SPEAKERS, **inputs
        )
        count = len(free[2])
        if min_clusters <= count <= max_clusters:
            return free
        self.overruled = count
        asked = min(MOST_SPEAKERS, min_clusters if count < min_clusters else int(max_clusters))
        return self._force(min(self._usable(inputs), asked), inputs, free)

    def _usable(self, inputs: dict[str, Any]) -> int:
        """Count the pieces of speech that are clean enough to be clustered."""
        embeddings, *_ = self._clustering.filter_embeddings(
            inputs["embeddings"], segmentations=inputs["segmentations"]
        )
        return len(embeddings)

    def _force(self, count: int, inputs: dict[str, Any], free: Any) -> Any:
        """Cluster to this count, unless it is none or that of `free`."""
        if count in {0, len(free[2])}:
            return free
        return self._clustering(
            num_clusters=count, min_clusters=count, max_clusters=count, **inputs
        )


def count_warnings(asked: SpeakerCount, count: int, overruled: int | None) -> Iterator[str]:
    """Warn if the count is not the one that was asked for, or not the model's own."""
    at_least, at_most = asked.exact or asked.at_least or 1, asked.exact or asked.at_most or count
    if count and not at_least <= count <= at_most:
        wanted = at_least if count < at_least else at_most
        yield f"{_speakers(count)} could be told apart, although {wanted} were asked for"
    elif count == MOST_SPEAKERS and overruled is None:
        yield f"the model tells at most {_speakers(count)} apart, and may have heard more"
    elif count and overruled is not None and overruled != count:
        yield (
            f"the model finds {_speakers(overruled)} by itself and was made to find {count}, "
            "as asked; the labels are less certain"
        )


def _speakers(count: int) -> str:
    return "1 speaker" if count == 1 else f"{count} speakers"
