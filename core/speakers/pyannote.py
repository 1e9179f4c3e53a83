"""Waveform to turns: pyannote's speaker diarization behind a `Diarizer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import accumulate

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Turn
from core.domain.watch import IsCancelled, Progress
from core.engine.accelerator import ModelThread, choose_device, is_out_of_memory, release_memory
from core.errors import Cancelled, OutOfMemory
from core.media.audio import Waveform
from core.modelstore import ModelLocation
from core.settings import DiarizationSpeed
from core.speakers.clustering import count_warnings
from core.speakers.loading import ieee_floats, load_pipeline
from core.speakers.pipeline import BatchSizes, SpeakerPipeline
from core.speakers.reconstruction import Region

_SHARES: dict[DiarizationSpeed, dict[str, float]] = {
    "exact": {"segmentation": 0.1, "embeddings": 0.86, "clustering": 0.03, "reconstruction": 0.01},
    "fast": {"segmentation": 0.45, "embeddings": 0.45, "clustering": 0.07, "reconstruction": 0.03},
}
"""What each step takes of the time, with the sizes of community-1 (`bench.diarization`)."""


class PyannoteDiarizer:
    """A pipeline of pyannote 4: community-1, 3.1 and others built like them.

    Any number of threads may call it. Their jobs take turns.
    """

    def __init__(
        self,
        location: ModelLocation,
        *,
        speed: DiarizationSpeed = "exact",
        device: str | None = None,
        batch_sizes: BatchSizes | None = None,
        eager_imports: bool = False,
    ) -> None:
        """Load a pipeline from its folder. `batch_sizes` default to what the device likes.

        Raises ModelNotFound if the folder holds no diarization pipeline, OutOfMemory, ModelFailed.
        """
        self._thread = ModelThread("pyannote")
        self._pipeline = self._thread.load(
            lambda: SpeakerPipeline(
                load_pipeline(location, choose_device(device), eager_imports=eager_imports), speed
            )
        )
        self._shares = _SHARES[speed]
        self._sizes = batch_sizes or BatchSizes.best_on(self._pipeline.device)

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
            diarization = self._attempt(
                waveform, speakers, _Watch(self._shares, progress, cancelled)
            )
            if diarization is not None:
                progress(1.0)
                return diarization

    def _attempt(
        self, waveform: Waveform, speakers: SpeakerCount, watch: _Watch
    ) -> Diarization | None:
        """Run the pipeline. If memory runs out, halve the batches and return None."""
        try:
            return self._thread.call(lambda: self._run(waveform, speakers, watch))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        release_memory()
        smaller = self._sizes.halved()
        if smaller is None:
            raise OutOfMemory(
                "the speaker model ran out of memory on the smallest batch; use a GPU with more "
                "memory, or try again later"
            )
        self._sizes = smaller
        return None

    def _run(self, waveform: Waveform, speakers: SpeakerCount, watch: _Watch) -> Diarization:
        with ieee_floats():
            found = self._pipeline.run(waveform.samples, speakers, sizes=self._sizes, watch=watch)
        named = _named(_turns(found.ordinary, waveform), _turns(found.exclusive, waveform))
        overruled = self._pipeline.clustering.overruled
        warnings = count_warnings(speakers, named.num_speakers, overruled)
        return replace(named, warnings=tuple(warnings))


class _Watch:
    """Passes the progress of a run on, and ends the run if it was cancelled."""

    def __init__(
        self, shares: Mapping[str, float], progress: Progress, cancelled: IsCancelled
    ) -> None:
        self._shares = shares
        self._starts = dict(zip(shares, accumulate(shares.values(), initial=0.0), strict=False))
        self._progress = progress
        self._cancelled = cancelled

    def __call__(self, step: str, completed: int = 1, total: int = 1) -> None:
        """See `core.speakers.pipeline.Watch`."""
        if self._cancelled():
            raise Cancelled("the job was cancelled while its speakers were looked for")
        done = self._starts[step] + self._shares[step] * (completed / total)
        self._progress(min(1.0, done))


def _turns(regions: Iterable[Region], waveform: Waveform) -> list[Turn]:
    """Return sorted regions as sorted turns in the recording's time, cut to the waveform."""
    turns = [
        Turn(waveform.start + start, waveform.start + min(end, waveform.duration), str(cluster))
        for start, end, cluster in regions
        if min(end, waveform.duration) > start
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
