"""Waveform to turns: pyannote's speaker diarization behind a `Diarizer`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Turn
from core.domain.watch import IsCancelled, Progress
from core.engine.accelerator import (
    ModelThread,
    choose_device,
    is_device_fault,
    is_out_of_memory,
    release_memory,
    silence_nemo,
)
from core.engine.lazy_imports import LIGHTNING_EXTRAS, deferred
from core.errors import Cancelled, ModelNotFound, OutOfMemory
from core.media.audio import SAMPLE_RATE, Waveform
from core.modelstore import ModelLocation
from core.modelstore.pipeline_config import checkpoint

# How much of the time each step takes, by its end: embeddings are 60 to 85 % of it (research on
# pyannote issues 1992 and 1996).
_STEPS = {
    "segmentation": (0.0, 0.25),
    "speaker_counting": (0.25, 0.25),
    "embeddings": (0.25, 0.95),
    "discrete_diarization": (0.95, 0.98),
}


class Diarizer(Protocol):
    """A speaker model."""

    def diarize(
        self,
        waveform: Waveform,
        *,
        speakers: SpeakerCount,
        progress: Progress,
        cancelled: IsCancelled,
    ) -> Diarization:
        """Say who speaks when, in the time of the recording.

        Raises Cancelled, OutOfMemory, ModelFailed.
        """
        ...


class PyannoteDiarizer:
    """pyannote 4's pipelines: community-1, 3.1 and what is built like them.

    May be called from many threads; their jobs take turns.
    """

    def __init__(
        self,
        location: ModelLocation,
        *,
        device: str | None = None,
        segmentation_batch_size: int = 32,
        embedding_batch_size: int = 32,
    ) -> None:
        """Load a pipeline from its folder.

        Raises ModelNotFound where the folder holds no pipeline for diarization, OutOfMemory,
        ModelFailed.
        """
        self._thread = ModelThread("pyannote")
        self._pipeline = self._thread.load(lambda: _load(location, choose_device(device)))
        self._clustering = _Clustering(self._pipeline.clustering)
        self._pipeline.clustering = self._clustering
        self._pipeline.segmentation_batch_size = segmentation_batch_size
        self._pipeline.embedding_batch_size = embedding_batch_size

    def diarize(
        self,
        waveform: Waveform,
        *,
        speakers: SpeakerCount,
        progress: Progress,
        cancelled: IsCancelled,
    ) -> Diarization:
        """See `Diarizer`."""
        if not len(waveform.samples):
            return Diarization((), ())
        while True:
            diarization = self._attempt(waveform, speakers, _Hook(progress, cancelled))
            if diarization is not None:
                progress(1.0)
                return diarization

    def _attempt(
        self, waveform: Waveform, speakers: SpeakerCount, hook: _Hook
    ) -> Diarization | None:
        """Run the pipeline; where memory runs out, halve the batches and return None."""
        try:
            return self._thread.call(lambda: self._run(waveform, speakers, hook))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        release_memory()
        if not self._halve_batches():
            raise OutOfMemory(
                "the speaker model ran out of memory on the smallest batch; use a GPU with more "
                "memory, or try again later"
            )
        return None

    def _halve_batches(self) -> bool:
        """Make the batches smaller from now on; False where they cannot be."""
        pipeline = self._pipeline
        largest: int = max(pipeline.segmentation_batch_size, pipeline.embedding_batch_size)
        pipeline.segmentation_batch_size = max(1, pipeline.segmentation_batch_size // 2)
        pipeline.embedding_batch_size = max(1, pipeline.embedding_batch_size // 2)
        return largest > 1

    def _run(self, waveform: Waveform, speakers: SpeakerCount, hook: _Hook) -> Diarization:
        import torch

        hook(None)
        file = {"waveform": torch.from_numpy(waveform.samples)[None], "sample_rate": SAMPLE_RATE}
        with _tf32_restored():
            output = self._pipeline(
                file,
                num_speakers=speakers.exact,
                min_speakers=speakers.at_least,
                max_speakers=speakers.at_most,
                hook=hook,
            )
        found = Diarization(
            *_named(
                _turns(output.speaker_diarization, waveform),
                _turns(output.exclusive_speaker_diarization, waveform),
            )
        )
        return replace(
            found,
            warnings=tuple(
                _count_warnings(speakers, found.num_speakers, self._clustering.overruled)
            ),
        )


class _Hook:
    """What pyannote calls while it works: passes progress on, and ends the run when nobody wants it
    any more.
    """

    def __init__(self, progress: Progress, cancelled: IsCancelled) -> None:
        self._progress = progress
        self._cancelled = cancelled

    def __call__(
        self,
        step: str | None,
        *_: object,
        completed: int | None = None,
        total: int | None = None,
        **__: object,
    ) -> None:
        if self._cancelled():
            raise Cancelled("the job was cancelled while its speakers were looked for")
        if step in _STEPS:
            start, end = _STEPS[step]
            self._progress(
                start
                + (end - start)
                * (min(1.0, completed / total) if completed is not None and total else 1.0)
            )


class _Clustering:
    """A clustering that first finds the number of speakers by itself, and only where the caller's
    bounds exclude it does what they ask.

    The answers are pyannote's own, but for two things: one learns that the model's number was
    overruled (pyannote clusters anew with plain k-means, which is less certain, and does not say
    so), and more speakers than pieces of clean speech are not asked of k-means, which would fail.
    """

    def __init__(self, clustering: Any) -> None:
        self._clustering = clustering
        self.expects_num_clusters = clustering.expects_num_clusters
        self.overruled: int | None = None
        """How many speakers the model found in the last run where the bounds excluded that."""

    def __call__(
        self,
        *,
        num_clusters: int | None,
        min_clusters: int,
        max_clusters: float,
        **what: Any,
    ) -> Any:
        """Cluster; arguments and result as of
        `pyannote.audio.pipelines.clustering.BaseClustering`.
        """
        self.overruled = None
        if self.expects_num_clusters:
            return self._clustering(
                num_clusters=num_clusters,
                min_clusters=min_clusters,
                max_clusters=max_clusters,
                **what,
            )
        free = self._clustering(num_clusters=None, min_clusters=1, max_clusters=np.inf, **what)
        count = len(free[2])
        if min_clusters <= count <= max_clusters:
            return free
        self.overruled = count
        usable = len(
            self._clustering.filter_embeddings(
                what["embeddings"], segmentations=what["segmentations"]
            )[0]
        )
        wanted = min(usable, min_clusters if count < min_clusters else int(max_clusters))
        if wanted in {0, count}:
            return free
        return self._clustering(
            num_clusters=wanted, min_clusters=wanted, max_clusters=wanted, **what
        )


def _count_warnings(asked: SpeakerCount, count: int, overruled: int | None) -> Iterator[str]:
    at_least, at_most = asked.exact or asked.at_least or 1, asked.exact or asked.at_most or count
    if count and not at_least <= count <= at_most:
        wanted = at_least if count < at_least else at_most
        yield f"{_speakers(count)} could be told apart, although {wanted} were asked for"
    elif count and overruled is not None and overruled != count:
        yield (
            f"the model finds {_speakers(overruled)} by itself and was made to find {count}, "
            "as asked; the labels are less certain"
        )


def _speakers(count: int) -> str:
    return "1 speaker" if count == 1 else f"{count} speakers"


def _turns(annotation: Any, waveform: Waveform) -> list[Turn]:
    """pyannote's annotation as turns in the recording's time, inside the waveform, sorted."""
    tracks = (
        (segment.start, min(segment.end, waveform.duration), label)
        for segment, _, label in annotation.itertracks(yield_label=True)
    )
    turns = [
        Turn(waveform.start + start, waveform.start + end, str(label))
        for start, end, label in tracks
        if end > start
    ]
    return sorted(turns, key=lambda turn: (turn.start, turn.end))


def _named(
    ordinary: list[Turn], exclusive: list[Turn]
) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """Call the speakers "1", "2"… in the order in which the ordinary turns bring them up."""
    names = {
        label: str(number)
        for number, label in enumerate(
            dict.fromkeys(turn.speaker for turn in (*ordinary, *exclusive)), start=1
        )
    }
    first, second = (
        tuple(replace(turn, speaker=names[turn.speaker]) for turn in turns)
        for turns in (ordinary, exclusive)
    )
    return first, second


@contextlib.contextmanager
def _tf32_restored() -> Iterator[None]:
    """pyannote switches TF32 off for the whole process and leaves it so; NeMo's model is slower
    without.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


def import_pyannote() -> Any:
    """Import what a pipeline is made of, which takes most of the time of a start; pyannote's class
    of all pipelines.
    """
    # What pyannote warns of (TF32, missing codecs, numbers of speakers) is settled here or said
    # better in the answer.
    silence_nemo()
    warnings.filterwarnings("ignore", module=r"pyannote\.|torchcodec")
    import torch  # noqa: F401  outside of the `with`: its own compiler is deferred below

    # Where NeMo is installed pyannote imports it, for an embedding model that is NeMo's.
    with deferred(*LIGHTNING_EXTRAS, "nemo"):
        from pyannote.audio import Pipeline
        from pyannote.audio.pipelines import SpeakerDiarization  # noqa: F401  most of what there is to import
        from pyannote.audio.telemetry import set_telemetry_metrics

    set_telemetry_metrics(
        False
    )  # else every job's duration and speaker count is sent to the makers
    return Pipeline


def _load(location: ModelLocation, device: str) -> Any:
    kind = import_pyannote()
    import torch
    from pyannote.audio.pipelines import SpeakerDiarization

    try:
        pipeline = kind.from_pretrained(checkpoint(location))
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelNotFound(
            f"{location.path.name} cannot be read as a pyannote pipeline "
            f"({type(error).__name__}); check its files"
        ) from None
    if not isinstance(pipeline, SpeakerDiarization):
        raise ModelNotFound(
            f"{location.path.name} is a pyannote {type(pipeline).__name__}; a pipeline for "
            "diarization is needed"
        )
    pipeline.legacy = False  # else there are no exclusive turns
    return pipeline.to(torch.device(device))
