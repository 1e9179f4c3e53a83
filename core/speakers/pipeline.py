"""The steps of a pyannote `SpeakerDiarization` pipeline, with the pipeline's own models."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from core.domain.request import SpeakerCount
from core.engine.accelerator import quick_dtype
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import DiarizationSpeed
from core.speakers.clustering import Clustering
from core.speakers.embedding import Embeddings, Masks, embed_recording, embed_windows
from core.speakers.networks import frame_network
from core.speakers.reconstruction import Grid, Region, activations, regions, speaker_counts
from core.speakers.recording_frames import recording_frames
from core.speakers.segmentation import Segmentation, Segmenter
from core.speakers.voices import CleanSpeech, ClusterVoice, network_id, speaks_alone

FAST_STEP = 0.2
"""The least distance between two windows of the speed `fast`, as a fraction of their duration.

On public sets, twice pyannote's 0.1 moves the error rate by -0.7 to +1.1 points, and by +4 on
AVA-AVD (speakrs' tables).
"""

log = logging.getLogger("parakeet.model")


class Watch(Protocol):
    """Follows the steps of a run, and may raise to end it."""

    def __call__(self, step: str, completed: int = 1, total: int = 1) -> None:
        """Take note of what is done of a step."""
        ...


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """Windows that go through a network at once."""

    segmentation: int
    embedding: int
    block_s: float = 20.0
    """Seconds that go through the embedding network at once if windows share their frames."""

    @classmethod
    def best_on(cls, device: Any) -> BatchSizes:
        """Return what a device is fastest with.

        On a CPU larger batches fall out of its cache (`bench.diarization`). On GPUs a larger
        embedding batch gains at most 3 % (pyannote pull request 1992, on an A6000).
        """
        return cls(32, 32, 160.0) if device.type != "cpu" else cls(4, 1, 20.0)

    def halved(self) -> BatchSizes | None:
        """Return half of them; None if they are the smallest already."""
        if max(self.segmentation, self.embedding) <= 1:
            return None
        return BatchSizes(
            max(1, self.segmentation // 2), max(1, self.embedding // 2), self.block_s / 2
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Who speaks when, by the number of the cluster."""

    ordinary: list[Region]
    exclusive: list[Region]
    """At most one at any time."""
    voices: dict[int, ClusterVoice] = field(default_factory=dict)
    """By the number of the cluster; nobody's who is never heard alone."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is heard in a recording that should be of one voice."""

    voice: ClusterVoice | None
    """None if nobody is heard alone for long enough."""
    unlike_s: float
    """Seconds of speech that sound unlike the rest."""


class SpeakerPipeline:
    """Runs the steps of a loaded pipeline one after the other.

    With the speed `exact` its turns are pyannote's own. With `fast` the windows are at least a
    fifth of their length apart and share the frames of their embeddings, and the convolutions of
    these are in bfloat16 if the device has it. Only one thread may use it.
    """

    def __init__(self, pipeline: Any, speed: DiarizationSpeed = "exact") -> None:
        """Take a pipeline on its device. Its embedding model is changed in place."""
        self._pipeline = pipeline
        self._is_fast = speed == "fast"
        self.device = pipeline._segmentation.device
        step = max(FAST_STEP, pipeline.segmentation_step) if self._is_fast else None
        self._segmenter = Segmenter(pipeline, step=step)
        dtype = quick_dtype(self.device) if self._is_fast else None
        self._once = Segmenter(pipeline, step=1.0)
        model = getattr(pipeline._embedding, "model_", None)
        self.network_id = network_id(model)
        """See `core.speakers.voices.network_id`."""
        self.dimension = int(pipeline._embedding.dimension)
        """The length of a vector."""
        self._network = frame_network(model, trunk_dtype=dtype)
        if self._network is None:
            log.warning(
                "the embeddings of a pyannote %s are computed in pyannote's own way, more slowly",
                type(pipeline._embedding).__name__,
            )
        self.clustering = Clustering(pipeline.clustering)

    def run(
        self,
        samples: Samples,
        speakers: SpeakerCount,
        *,
        sizes: BatchSizes,
        watch: Watch,
        voices: bool = False,
    ) -> Found:
        """Find who speaks when in a recording that is not empty, and with `voices` how they sound.

        Raises what torch raises, and what `watch` does.
        """
        segmentation = self._segmenter.run(
            samples, batch_size=sizes.segmentation, done=_step(watch, "segmentation")
        )
        grid = Grid.of(segmentation)
        counts = speaker_counts(segmentation, grid)
        if not counts.any():
            return Found([], [])
        embeddings = self._embed(samples, segmentation, sizes, _step(watch, "embeddings"))
        clusters = self._cluster(embeddings, segmentation, speakers)
        watch("clustering")
        active = activations(segmentation, clusters, grid)
        found = self._reconstruct(active, grid, counts, speakers)
        if voices:
            clean, alone = self._clean(segmentation), speaks_alone(active, counts)
            found = replace(found, voices=clean.voices(embeddings, clusters, grid, alone))
        watch("reconstruction")
        return found

    def sample(
        self,
        samples: Samples,
        *,
        most_s: float,
        least_cosine: float,
        sizes: BatchSizes,
        watch: Watch,
    ) -> Sample:
        """Find how the one who speaks in a recording sounds, in windows that do not overlap.

        Windows after `most_s` seconds of speech are left out. What is less like the rest than
        `least_cosine` is unlike it. Raises as `run` does.
        """
        segmentation = self._once.run(
            samples, batch_size=sizes.segmentation, done=_step(watch, "segmentation")
        )
        segmentation = self._clean(segmentation).first(most_s)
        if not segmentation.active.any():
            return Sample(None, 0.0)
        embeddings = self._embed(samples, segmentation, sizes, _step(watch, "embeddings"))
        clean = self._clean(segmentation)
        everybody, grid = np.zeros(clean.counts.shape, np.int8), Grid.of(segmentation)
        found = clean.voices(embeddings, everybody, grid, np.zeros(grid.count, np.int64))
        return Sample(found.get(0), clean.unlike_s(embeddings, least_cosine))

    def _clean(self, segmentation: Segmentation) -> CleanSpeech:
        return CleanSpeech(
            segmentation,
            least_samples=self._pipeline._embedding.min_num_samples,
            excludes_overlap=self._pipeline.embedding_exclude_overlap,
        )

    def _embed(
        self,
        samples: Samples,
        segmentation: Segmentation,
        sizes: BatchSizes,
        done: Callable[[int, int], None],
    ) -> Embeddings:
        excludes = self._pipeline.embedding_exclude_overlap
        if self._network is None:
            return self._embed_as_pyannote(samples, segmentation, excludes, sizes, done)
        least = self._pipeline._embedding.min_num_samples if excludes else None
        masks, windows = Masks(segmentation, least_samples=least), segmentation.windows
        frames = recording_frames(self._network, windows) if self._is_fast else None
        if frames is not None:
            return embed_recording(
                self._network, frames, windows, masks, block_s=sizes.block_s, done=done
            )
        return embed_windows(self._network, windows, masks, batch_size=sizes.embedding, done=done)

    def _embed_as_pyannote(
        self,
        samples: Samples,
        segmentation: Segmentation,
        excludes: bool,
        sizes: BatchSizes,
        done: Callable[[int, int], None],
    ) -> Embeddings:
        import torch

        def hook(*_: object, completed: int, total: int) -> None:
            done(completed, total)

        self._pipeline.embedding_batch_size = sizes.embedding
        file = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE}
        found: Embeddings = self._pipeline.get_embeddings(
            file, segmentation.feature(), exclude_overlap=excludes, hook=hook
        )
        return found

    def _cluster(
        self, embeddings: Embeddings, segmentation: Segmentation, speakers: SpeakerCount
    ) -> npt.NDArray[np.int8]:
        """Return the cluster of each local speaker: (windows, speakers); -2 is none."""
        from pyannote.audio.pipelines.utils.diarization import set_num_speakers

        exact, at_least, at_most = set_num_speakers(
            speakers.exact, speakers.at_least, speakers.at_most
        )
        clusters: npt.NDArray[np.int8]
        clusters, *_ = self.clustering(
            embeddings=embeddings,
            segmentations=segmentation.feature(),
            num_clusters=exact,
            min_clusters=at_least,
            max_clusters=at_most,
        )
        clusters[~segmentation.active.any(axis=1)] = -2
        return clusters

    def _reconstruct(
        self,
        active: npt.NDArray[np.float32],
        grid: Grid,
        counts: npt.NDArray[np.int64],
        speakers: SpeakerCount,
    ) -> Found:
        least_off_s = self._pipeline.segmentation.min_duration_off
        most = speakers.exact or speakers.at_most or int(counts.max())
        ordinary, exclusive = (
            regions(active, np.minimum(counts, at_once), grid, min_duration_off_s=least_off_s)
            for at_once in (most, 1)
        )
        return Found(ordinary, exclusive)


def _step(watch: Watch, name: str) -> Callable[[int, int], None]:
    return lambda completed, total: watch(name, completed, total)
