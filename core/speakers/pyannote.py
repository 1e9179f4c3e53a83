"""Waveform to turns: pyannote's speaker diarization behind a `Diarizer`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Turn
from core.domain.watch import IsCancelled, Progress
from core.engine.accelerator import ModelThread, choose_device, is_out_of_memory, release_memory
from core.errors import Cancelled, OutOfMemory
from core.media.audio import SAMPLE_RATE, Waveform
from core.modelstore import ModelLocation
from core.speakers.clustering import Clustering, count_warnings
from core.speakers.loading import load_pipeline, tf32_restored

# The fraction of the time at which each step begins and ends. Embeddings take 60 to 85 % of it
# (pyannote issues 1992 and 1996).
_STEPS = {
    "segmentation": (0.0, 0.25),
    "speaker_counting": (0.25, 0.25),
    "embeddings": (0.25, 0.95),
    "discrete_diarization": (0.95, 0.98),
}


class PyannoteDiarizer:
    """A pipeline of pyannote 4: community-1, 3.1 and others built like them.

    Any number of threads may call it. Their jobs take turns.
    """

    def __init__(
        self,
        location: ModelLocation,
        *,
        device: str | None = None,
        segmentation_batch_size: int = 32,
        embedding_batch_size: int = 32,
        eager_imports: bool = False,
    ) -> None:
        """Load a pipeline from its folder.

        Raises ModelNotFound if the folder holds no diarization pipeline, OutOfMemory, ModelFailed.
        """
        self._thread = ModelThread("pyannote")
        self._pipeline = self._thread.load(
            lambda: load_pipeline(location, choose_device(device), eager_imports=eager_imports)
        )
        self._clustering = Clustering(self._pipeline.clustering)
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
        """Run the pipeline. If memory runs out, halve the batches and return None."""
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
        """Use smaller batches from now on. Return False if they are the smallest already."""
        pipeline = self._pipeline
        largest: int = max(pipeline.segmentation_batch_size, pipeline.embedding_batch_size)
        pipeline.segmentation_batch_size = max(1, pipeline.segmentation_batch_size // 2)
        pipeline.embedding_batch_size = max(1, pipeline.embedding_batch_size // 2)
        return largest > 1

    def _run(self, waveform: Waveform, speakers: SpeakerCount, hook: _Hook) -> Diarization:
        hook(None)
        with tf32_restored():
            output = self._pipeline(
                _file(waveform),
                num_speakers=speakers.exact,
                min_speakers=speakers.at_least,
                max_speakers=speakers.at_most,
                hook=hook,
            )
        found = _named(
            _turns(output.speaker_diarization, waveform),
            _turns(output.exclusive_speaker_diarization, waveform),
        )
        warnings = count_warnings(speakers, found.num_speakers, self._clustering.overruled)
        return replace(found, warnings=tuple(warnings))


class _Hook:
    """The callback of a running pipeline: pass progress on, end the run if it was cancelled."""

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
            done = min(1.0, completed / total) if completed is not None and total else 1.0
            self._progress(start + (end - start) * done)


def _file(waveform: Waveform) -> dict[str, Any]:
    """Return the waveform in the form that pyannote takes. The samples are not copied."""
    import torch

    return {"waveform": torch.from_numpy(waveform.samples)[None], "sample_rate": SAMPLE_RATE}


def _turns(annotation: Any, waveform: Waveform) -> list[Turn]:
    """Return pyannote's annotation as sorted turns in the recording's time, cut to the waveform."""
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


def _named(ordinary: list[Turn], exclusive: list[Turn]) -> Diarization:
    """Number the speakers from "1" in the order of their first ordinary turns.

    Leave out who has no exclusive turn: pyannote pads short recordings with labels of nobody.
    """
    heard = {turn.speaker for turn in exclusive or ordinary}
    ordinary = [turn for turn in ordinary if turn.speaker in heard]
    labels = dict.fromkeys(turn.speaker for turn in (*ordinary, *exclusive))
    names = {label: str(number) for number, label in enumerate(labels, start=1)}

    def renamed(turns: Iterable[Turn]) -> tuple[Turn, ...]:
        return tuple(replace(turn, speaker=names[turn.speaker]) for turn in turns)

    return Diarization(renamed(ordinary), renamed(exclusive))
