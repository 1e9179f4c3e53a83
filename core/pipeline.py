"""The flows: a request in, the rendered answer out. What the single worker and the split workers share stands here once."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core import audio, chunking, merging, modelstore, rendering, sources
from core.diarization import Diarizer, PyannoteDiarizer
from core.errors import Cancelled
from core.schema import AudioRequest, DiarizationRequest, SingleRequest, SpeakerCount, TranscriptionRequest, parse
from core.settings import Settings
from core.timeline import Diarization, Transcript, Transcription
from core.transcription import ParakeetTranscriber, Transcriber

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """How a running flow and the one who started it hear of each other. Both calls are cheap and come from any thread."""

    report: Report = lambda _stage, _fraction: None
    """Called with the stage's name and how much of it is done, 0..1."""
    cancelled: Callable[[], bool] = lambda: False
    """True once nobody wants the answer any more."""

    def stage(self, name: str) -> Callable[[float], None]:
        """The report of one stage."""
        return lambda fraction: self.report(name, fraction)


class Flow(Protocol):
    """One role's work."""

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Parse the request, do the work, render the answer; raises `core.errors.WorkerError`."""
        ...

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through all models; raises what a job would."""
        ...


@dataclass(frozen=True, slots=True)
class Recorder:
    """From a request to its recording."""

    settings: Settings

    @contextlib.contextmanager
    def file(self, request: AudioRequest, watch: Watch) -> Iterator[Path]:
        """The recording as a local file that is gone after the `with`, whatever happens."""
        with sources.job_folder(self.settings.temp_dir) as folder:
            watch.report("downloading", 0.0)
            yield sources.fetch(request.source, folder, settings=self.settings, cancelled=watch.cancelled)

    def decode(self, path: Path, request: AudioRequest, watch: Watch) -> audio.Waveform:
        """The asked range of a local file, in one piece."""
        watch.report("decoding", 0.0)
        return audio.decode(
            path,
            ffmpeg=audio.find_ffmpeg(self.settings.ffmpeg_binary),
            max_duration_s=self.settings.max_audio_duration,
            start_s=request.start or 0.0,
            end_s=request.end,
            cancelled=watch.cancelled,
        )

    def waveform(self, request: AudioRequest, watch: Watch) -> audio.Waveform:
        """Fetch and decode; the file is gone before any model runs."""
        with self.file(request, watch) as path:
            return self.decode(path, request, watch)
