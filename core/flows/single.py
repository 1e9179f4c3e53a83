"""The single worker's flow."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.domain.request import Decoding, SingleRequest, SpeakerCount
from core.domain.timeline import Diarization, Transcript, Transcription
from core.domain.watch import Watch
from core.errors import Cancelled
from core.flows.diarization import diarize
from core.flows.progress import JobProgress
from core.flows.recording import Reader
from core.flows.transcription import transcribe
from core.media.audio import Waveform
from core.speakers.diarizer import Diarizer
from core.speech.transcriber import Transcriber
from core.transcript.assembly import assemble


@dataclass(frozen=True, slots=True)
class SingleFlow:
    """Finds words and speakers in one worker."""

    reader: Reader
    transcriber: Transcriber
    diarizer: Diarizer

    def run(self, request: SingleRequest, watch: Watch) -> Transcript:
        """See `Flow`."""
        decoding = self.transcriber.prepared(request.decoding)
        progress = JobProgress(watch, branches=1 if request.speakers is None else 2)
        waveform = self.reader.waveform(request.recording, progress.together)
        if request.speakers is None:
            words, turns = transcribe(self.transcriber, waveform, decoding, progress.together), None
        else:
            watches = tuple(replace(watch, report=progress.branch(index)) for index in range(2))
            words, turns = self._both(waveform, decoding, request.speakers, watches)
        return assemble(words, turns, duration_s=waveform.end, warnings=waveform.warnings)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through both models."""
        waveform = self.reader.rehearsal(recording)
        self._both(waveform, Decoding(), SpeakerCount(), (Watch(), Watch()))

    def _both(
        self,
        waveform: Waveform,
        decoding: Decoding,
        speakers: SpeakerCount,
        watches: tuple[Watch, ...],
    ) -> tuple[Transcription, Diarization]:
        """Run the models side by side: clustering needs no GPU, and words need no speakers.

        If one fails, stop the other and raise the cause.
        """
        failed = threading.Event()
        of_words, of_turns = (watch.also_cancelled(failed.is_set) for watch in watches)
        with ThreadPoolExecutor(2) as pool:
            words = pool.submit(transcribe, self.transcriber, waveform, decoding, of_words)
            turns = pool.submit(diarize, self.diarizer, waveform, speakers, of_turns)
            for branch in (words, turns):
                branch.add_done_callback(lambda done: failed.set() if done.exception() else None)
        _raise_cause(words, turns)
        return words.result(), turns.result()


def _raise_cause(*branches: Future[Any]) -> None:
    """Raise the error of a branch that failed; that of a branch that was stopped is no cause."""
    errors = [error for branch in branches if (error := branch.exception()) is not None]
    causes = [error for error in errors if not isinstance(error, Cancelled)]
    for error in causes or errors:
        raise error
