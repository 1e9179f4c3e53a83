"""Ways to diarize, with a watch on where their time goes: stock pyannote, and ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization
from core.media.audio import Waveform
from core.modelstore import ModelLocation
from core.settings import DiarizationSpeed
from core.speakers.loading import load_pipeline
from core.speakers.pyannote import PyannoteDiarizer
from tests.core.speakers.stock import stock_answer

WAYS = ("stock", "exact", "fast")
STEPS = ("segmentation", "frames", "pooling", "clustering", "rest")


@dataclass(slots=True)
class Spent:
    """How a way spent its time since `begin`."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    """Processor seconds by step."""
    _began: tuple[float, float] = (0.0, 0.0)
    _last_s: float = 0.0

    def begin(self) -> None:
        """Forget what was, and start."""
        self.steps = dict.fromkeys(STEPS, 0.0)
        self._last_s = time.process_time()
        self._began = time.perf_counter(), self._last_s

    def finish(self, step: str) -> None:
        """Count the time since the last step's end as this one's."""
        now_s = time.process_time()
        self.steps[step] = self.steps.get(step, 0.0) + now_s - self._last_s
        self._last_s = now_s

    def end(self) -> None:
        """Stop, and divide the embeddings among their steps."""
        self.wall_s = time.perf_counter() - self._began[0]
        self.cpu_s = time.process_time() - self._began[1]
        embeddings_s = self.steps.pop("embeddings", 0.0)
        if not self.steps["frames"]:
            self.steps["frames"] = embeddings_s
        named = ("segmentation", "frames", "pooling", "clustering")
        self.steps["rest"] = self.cpu_s - sum(self.steps[step] for step in named)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to diarize, with an exact number of speakers or without."""

    name: str
    run: Callable[[Waveform, int | None], Diarization]
    spent: Spent


def stock_way(location: ModelLocation) -> Way:
    """Return pyannote's own pipeline, its batches as large as its configurations have them."""
    pipeline, spent = load_pipeline(location, "cpu"), Spent()
    pipeline.segmentation_batch_size = pipeline.embedding_batch_size = 32
    names = {"embeddings": "embeddings", "discrete_diarization": "clustering"}

    def hook(step: str, *_: object, completed: int | None = None, **__: object) -> None:
        if completed is None:
            spent.finish(names.get(step, "segmentation"))

    def run(waveform: Waveform, exact: int | None) -> Diarization:
        spent.begin()
        answer = stock_answer(pipeline, waveform, num_speakers=exact, hook=hook)
        spent.end()
        return answer

    return Way("stock", run, spent)


def our_way(location: ModelLocation, speed: DiarizationSpeed) -> Way:
    """Return ours, with a watch on its steps."""
    diarizer, spent = PyannoteDiarizer(location, device="cpu", speed=speed), Spent()
    _watch(diarizer, spent)

    def run(waveform: Waveform, exact: int | None) -> Diarization:
        spent.begin()
        answer = diarizer.diarize(
            waveform,
            speakers=SpeakerCount(exact=exact),
            progress=lambda _: None,
            cancelled=lambda: False,
        )
        spent.end()
        return replace(answer, warnings=())

    return Way(speed, run, spent)


def _watch(diarizer: PyannoteDiarizer, spent: Spent) -> None:
    """Note when the steps of a diarizer end, and how long its network runs."""
    pipeline: Any = diarizer._pipeline
    plain = pipeline.run

    def run(*arguments: Any, watch: Any, **options: Any) -> Any:
        def both(step: str, completed: int = 1, total: int = 1) -> None:
            watch(step, completed, total)
            if completed >= total:
                spent.finish("rest" if step == "reconstruction" else step)

        return plain(*arguments, watch=both, **options)

    pipeline.run = run
    network = pipeline._network
    if network is None:  # pyannote's own way
        return
    for name in ("features", "trunk") if hasattr(network, "trunk") else ("frames",):
        _note(network, name, "frames", spent)
    _note(network, "embed", "pooling", spent)


def _note(network: Any, name: str, step: str, spent: Spent) -> None:
    plain = getattr(network, name)

    def noted(*arguments: Any) -> Any:
        start_s = time.process_time()
        try:
            return plain(*arguments)
        finally:
            spent.steps[step] += time.process_time() - start_s

    setattr(network, name, noted)


def load_ways(location: ModelLocation, names: Sequence[str] = WAYS) -> list[Way]:
    """Load a pipeline for each way."""
    return [
        stock_way(location)
        if name == "stock"
        else our_way(location, cast("DiarizationSpeed", name))
        for name in names
    ]
