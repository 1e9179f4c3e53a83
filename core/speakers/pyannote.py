"""Waveform to turns: pyannote's speaker diarization behind a `Diarizer`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import TypeVar

from core.domain import rounding
from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Turn, Voice
from core.domain.watch import IsCancelled, Progress
from core.engine.accelerator import ModelThread, choose_device, is_out_of_memory, release_memory
from core.errors import Cancelled, InvalidRequest, OutOfMemory, VoiceTooShort
from core.media.audio import Waveform
from core.modelstore import ModelLocation
from core.settings import DiarizationSpeed
from core.speakers.clustering import count_warnings
from core.speakers.identify import Matching
from core.speakers.loading import ieee_floats, load_pipeline
from core.speakers.matching import linking_of, matching_of
from core.speakers.pipeline import BatchSizes, Found, SpeakerPipeline
from core.speakers.reconstruction import Region
from core.speakers.voices import ClusterVoice

_SHARES: dict[DiarizationSpeed, dict[str, float]] = {
    "exact": {"segmentation": 0.1, "embeddings": 0.86, "clustering": 0.03, "reconstruction": 0.01},
    "fast": {"segmentation": 0.45, "embeddings": 0.45, "clustering": 0.07, "reconstruction": 0.03},
}
"""What each step takes of the time, with the sizes of community-1 (`bench.diarization`)."""
LEAST_SAMPLE_S, MOST_SAMPLE_S = 2.0, 30.0
"""How much speech a voice is taken from: of less it says little, and more adds little."""
_ONE_VOICE = 0.6
"""The share of the threshold for names that a sample's vectors must be alike by: they are of single
seconds and so less alike than voices are. Measured with the embedded model (`bench.doubts`).
"""
_T = TypeVar("_T")


class PyannoteDiarizer:
    """A pipeline of pyannote 4: community-1, 3.1 and others built like them.

    Any number of threads may call it. Their jobs take turns; one that is cancelled meanwhile
    waits no longer.
    """

    def __init__(
        self,
        location: ModelLocation,
        *,
        speed: DiarizationSpeed = "exact",
        device: str | None = None,
        batch_sizes: BatchSizes | None = None,
        threshold: float | None = None,
        margin: float | None = None,
        eager_imports: bool = False,
    ) -> None:
        """Load a pipeline from its folder. `batch_sizes` default to what the device likes.

        `threshold` and `margin` are cosines, for `matching`; by default they are the model's own.

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
        own = matching_of(location.path)
        self._linking = linking_of(location.path)
        self._matching = Matching(
            own.threshold if threshold is None else threshold,
            own.margin if margin is None else margin,
        )

    @property
    def matching(self) -> Matching:
        """See `Diarizer`."""
        return self._matching

    @property
    def linking(self) -> float:
        """See `Diarizer`."""
        return self._linking

    def diarize(
        self,
        waveform: Waveform,
        *,
        speakers: SpeakerCount,
        progress: Progress,
        cancelled: IsCancelled,
        voices: bool = False,
    ) -> Diarization:
        """See `Diarizer`."""
        if not len(waveform.samples):
            return Diarization((), (), voices=() if voices else None)
        watch = _Watch(self._shares, progress, cancelled)
        diarization = self._within_memory(
            lambda: self._run(waveform, speakers, watch, voices), cancelled
        )
        progress(1.0)
        return diarization

    def voice(self, waveform: Waveform, *, cancelled: IsCancelled) -> tuple[Voice, tuple[str, ...]]:
        """See `Diarizer`."""
        watch = _Watch(self._shares, lambda _: None, cancelled)
        return self._within_memory(lambda: self._sample(waveform, watch), cancelled)

    def check(self, voice: Voice) -> None:
        """See `Diarizer`."""
        model, length = self._pipeline.network_id, self._pipeline.dimension
        if voice.model != model:
            raise InvalidRequest(
                f"the vector is of the model {voice.model}, and the worker has {model}, with which "
                "it cannot be compared; give audio, or a vector that this worker returned"
            )
        if len(voice.vector) != length:
            raise InvalidRequest(
                f"the vector has {len(voice.vector)} numbers, and those of {model} have {length}; "
                "give it as the worker returned it"
            )

    def _within_memory(self, run: Callable[[], _T], cancelled: IsCancelled) -> _T:
        """Run on the model's thread, again with smaller batches as long as memory runs out."""
        while True:
            try:
                return self._thread.call(run, cancelled)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self._take_less()

    def _take_less(self) -> None:
        """Halve the batches. Raises OutOfMemory if they are the smallest already."""
        release_memory()
        smaller = self._sizes.halved()
        if smaller is None:
            raise OutOfMemory(
                "the speaker model ran out of memory on the smallest batch; use a GPU with more "
                "memory, or try again later"
            )
        self._sizes = smaller

    def _run(
        self, waveform: Waveform, speakers: SpeakerCount, watch: _Watch, voices: bool
    ) -> Diarization:
        with ieee_floats():
            found = self._pipeline.run(
                waveform.samples, speakers, sizes=self._sizes, watch=watch, voices=voices
            )
        named = self._named(found, waveform, voices)
        overruled = self._pipeline.clustering.overruled
        return replace(
            named, warnings=tuple(count_warnings(speakers, named.num_speakers, overruled))
        )

    def _named(self, found: Found, waveform: Waveform, voices: bool) -> Diarization:
        return _named(
            _turns(found.ordinary, waveform),
            _turns(found.exclusive, waveform),
            {str(cluster): self._voice(one) for cluster, one in found.voices.items()}
            if voices
            else None,
        )

    def _voice(self, voice: ClusterVoice) -> Voice:
        return Voice(
            self._pipeline.network_id, voice.rounded, seconds=rounding.seconds(voice.seconds)
        )

    def _sample(self, waveform: Waveform, watch: _Watch) -> tuple[Voice, tuple[str, ...]]:
        if not len(waveform.samples):
            raise _too_short(0.0)
        with ieee_floats():
            found = self._pipeline.sample(
                waveform.samples,
                most_s=MOST_SAMPLE_S,
                least_cosine=_ONE_VOICE * self.matching.threshold,
                sizes=self._sizes,
                watch=watch,
            )
        if found.voice is None or found.voice.seconds < LEAST_SAMPLE_S:
            raise _too_short(0.0 if found.voice is None else found.voice.seconds)
        doubt = ("more than one voice seems to be in the audio; give one of one person alone",)
        return self._voice(found.voice), doubt if found.unlike_s else ()


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


def _named(
    ordinary: list[Turn], exclusive: list[Turn], voices: Mapping[str, Voice] | None = None
) -> Diarization:
    """Number the speakers from "1" in the order of their first ordinary turns.

    Leave out who has no exclusive turn: pyannote pads short recordings with labels of nobody.
    """
    heard = {turn.speaker for turn in exclusive or ordinary}
    ordinary = [turn for turn in ordinary if turn.speaker in heard]
    labels = dict.fromkeys(turn.speaker for turn in (*ordinary, *exclusive))
    names = {label: str(number) for number, label in enumerate(labels, start=1)}

    def renamed(turns: Iterable[Turn]) -> tuple[Turn, ...]:
        return tuple(replace(turn, speaker=names[turn.speaker]) for turn in turns)

    if voices is None:
        return Diarization(renamed(ordinary), renamed(exclusive))
    owned = [(name, voices[label]) for label, name in names.items() if label in voices]
    return Diarization(
        renamed(ordinary),
        renamed(exclusive),
        voices=tuple(replace(voice, speaker=name) for name, voice in owned),
    )


def _too_short(heard_s: float) -> VoiceTooShort:
    return VoiceTooShort(
        f"the audio has {heard_s:.1f} s of speech by one person alone, and at least "
        f"{LEAST_SAMPLE_S:g} s are needed; send more"
    )
