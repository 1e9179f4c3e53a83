"""The caller's bounds on the number of speakers, and what the answer says about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.domain.request import SpeakerCount
from core.media.audio import SAMPLE_RATE, Waveform
from core.speakers.clustering import Clustering, count_warnings
from tests.core.speakers.calls import diarize


@pytest.mark.parametrize(
    ("speakers", "count", "warning"),
    [
        (SpeakerCount(exact=2), 2, None),
        (SpeakerCount(at_least=1, at_most=5), 2, None),
        (SpeakerCount(exact=1), 1, "finds 2 speakers by itself and was made to find 1"),
        (SpeakerCount(at_most=1), 1, "finds 2 speakers by itself and was made to find 1"),
        (SpeakerCount(at_least=3), 3, "finds 2 speakers by itself and was made to find 3"),
    ],
)
def test_caller_bounds_the_number_of_speakers(
    diarizer, exchange, brief_answer, speakers, count, warning
):
    """Bounds that the model's own number meets change nothing. Others apply, with a warning."""
    bounded = diarize(diarizer, exchange, speakers)
    assert bounded.num_speakers == count
    assert (bounded == brief_answer) if warning is None else (warning in bounded.warnings[0])


@pytest.mark.parametrize("seconds", [5, 12])
def test_more_speakers_than_speech_are_answered_with_a_warning(diarizer, exchange, seconds):
    """Sixty speakers cannot be told apart in a few seconds: that is an answer, not an error."""
    answer = diarize(
        diarizer, Waveform(exchange.samples[: seconds * SAMPLE_RATE], 0.0), SpeakerCount(exact=60)
    )
    assert 1 <= answer.num_speakers < 60
    assert answer.warnings[0].endswith("could be told apart, although 60 were asked for")


def test_more_of_the_same_has_no_more_speakers(diarizer, dialogue, monkeypatch):
    """Two people heard thirty times over are two: length alone makes nobody."""
    own, heard = Clustering.__call__, {}

    def listening(self: Clustering, **inputs: Any) -> Any:
        heard.update(inputs)
        return own(self, **inputs)

    monkeypatch.setattr(Clustering, "__call__", listening)
    assert diarize(diarizer, dialogue.waveform).num_speakers == 2
    heard["embeddings"] = np.tile(heard["embeddings"], (30, 1, 1))
    heard["segmentations"].data = np.tile(heard["segmentations"].data, (30, 1, 1))
    *_, centroids = own(diarizer._pipeline.clustering, **heard)
    assert len(centroids) == 2


def voices(*, speakers: int, chunks: int = 6) -> dict[str, Any]:
    """Return speech in which each voice speaks in turn, as pyannote's clusterings take it."""
    from pyannote.core import SlidingWindow, SlidingWindowFeature

    frames = 10
    active = np.zeros((chunks, frames, speakers))
    for speaker in range(speakers):
        active[:, speaker::speakers, speaker] = 1
    noise = np.random.default_rng(0).normal(0, 0.01, (chunks, speakers, 8))
    embeddings = np.eye(8)[:speakers][None] + noise
    return {
        "embeddings": embeddings,
        "segmentations": SlidingWindowFeature(active, SlidingWindow(duration=1, step=1)),
    }


@pytest.fixture
def agglomerative() -> Clustering:
    """Pyannote's own clustering of its pipelines of version 3."""
    from pyannote.audio.pipelines.clustering import AgglomerativeClustering

    clustering = AgglomerativeClustering().instantiate(
        {"method": "centroid", "threshold": 0.7, "min_cluster_size": 1}
    )
    return Clustering(clustering)


def count_of(clustering: Clustering, least: int, most: float, **inputs: Any) -> int:
    """Return how many clusters there are within the bounds."""
    *_, centroids = clustering(num_clusters=None, min_clusters=least, max_clusters=most, **inputs)
    return len(centroids)


@pytest.mark.parametrize(
    ("least", "most", "count", "overruled"),
    [(1, np.inf, 3, None), (2, 5, 3, None), (1, 2, 2, 3), (4, np.inf, 4, 3), (4, 4, 4, 3)],
)
def test_own_number_is_overruled_only_if_the_bounds_exclude_it(
    agglomerative, least, most, count, overruled
):
    """The nearest number within the bounds takes its place."""
    assert count_of(agglomerative, least, most, **voices(speakers=3)) == count
    assert agglomerative.overruled == overruled


def test_overruled_number_is_that_of_the_last_run(agglomerative):
    """A pipeline keeps its clustering for the next job."""
    count_of(agglomerative, 1, 2, **voices(speakers=3))
    count_of(agglomerative, 1, np.inf, **voices(speakers=3))
    assert agglomerative.overruled is None


@pytest.mark.parametrize(("speakers", "chunks", "asked"), [(3, 2, [None, 6]), (2, 1, [None])])
def test_no_more_clusters_are_asked_for_than_pieces_of_clean_speech(
    agglomerative, speakers, chunks, asked
):
    """Each voice in each chunk is one. If the model tells them all apart, it is not run again."""
    runs = []
    cluster = agglomerative._clustering.cluster

    def recorded(*arguments: Any, num_clusters: int | None, **bounds: Any) -> Any:
        runs.append(num_clusters)
        return cluster(*arguments, num_clusters=num_clusters, **bounds)

    agglomerative._clustering.cluster = recorded
    count_of(agglomerative, 60, 60, **voices(speakers=speakers, chunks=chunks))
    assert runs == asked


def test_no_clean_speech_is_clustered_once(agglomerative):
    """pyannote finds one speaker in it, and bounds cannot make it more."""
    speech = voices(speakers=2)
    speech["embeddings"][:] = np.nan
    assert count_of(agglomerative, 2, 2, **speech) == 1


def test_clustering_that_must_know_the_number_is_not_run_without(agglomerative):
    """K-means has no number of its own, so nothing is overruled."""
    from pyannote.audio.pipelines.clustering import KMeansClustering

    clustering = Clustering(KMeansClustering())
    *_, centroids = clustering(num_clusters=2, min_clusters=2, max_clusters=2, **voices(speakers=3))
    assert len(centroids) == 2
    assert clustering.overruled is None


@pytest.mark.parametrize(
    ("asked", "count", "overruled", "warning"),
    [
        (SpeakerCount(), 2, None, None),
        (SpeakerCount(exact=2), 2, None, None),
        (SpeakerCount(at_most=4), 0, None, None),
        (
            SpeakerCount(exact=3),
            1,
            None,
            "1 speaker could be told apart, although 3 were asked for",
        ),
        (
            SpeakerCount(at_least=3),
            2,
            1,
            "2 speakers could be told apart, although 3 were asked for",
        ),
        (
            SpeakerCount(at_most=1),
            2,
            3,
            "2 speakers could be told apart, although 1 were asked for",
        ),
        (
            SpeakerCount(at_least=2),
            2,
            1,
            "the model finds 1 speaker by itself and was made to find 2, as asked; the labels are "
            "less certain",
        ),
    ],
)
def test_number_that_was_not_asked_for_or_not_found_freely_is_warned_of(
    asked, count, overruled, warning
):
    """One warning at most, and none for silence."""
    assert list(count_warnings(asked, count, overruled)) == ([] if warning is None else [warning])


def test_a_crowd_is_a_hundred_speakers(agglomerative):
    """pyannote fails on more than 128 of them, for it numbers them in eight bits."""
    crowd = voices(speakers=5, chunks=30)
    crowd["embeddings"] = np.random.default_rng(0).normal(size=(30, 5, 256))
    assert count_of(agglomerative, 1, np.inf, **crowd) == 100
    assert list(count_warnings(SpeakerCount(), 100, agglomerative.overruled)) == [
        "the model tells at most 100 speakers apart, and may have heard more"
    ]
