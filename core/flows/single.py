"""The single worker's flow."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.domain.request import (
    Channels,
    Decoding,
    LocalFile,
    OnDiarizationError,
    Recording,
    SingleRequest,
)
from core.domain.timeline import Diarization, Span, Transcript, Transcription
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.errors import Cancelled, WorkerError
from core.flows.branches import breaks_process, raise_cause
from core.flows.by_channel import by_channel
from core.flows.ear import Ear
from core.flows.progress import JobProgress
from core.flows.quiet import with_quiet
from core.flows.recording import Reader
from core.flows.speakers import SpeakerSearch, check
from core.flows.transcription import transcribe
from core.flows.usage import told
from core.media.audio import Waveform
from core.speakers.diarizer import Diarizer
from core.speech.transcriber import Transcriber
from core.transcript.assembly import assemble, without_speakers


@dataclass(frozen=True, slots=True)
class SingleFlow:
    """Finds words and speakers in one worker."""

    reader: Reader
    transcriber: Transcriber
    diarizer: Diarizer

    def run(self, request: SingleRequest, watch: Watch) -> Transcript:
        """See `Flow`."""
        decoding = self.transcriber.prepared(request.decoding)
        if request.channels is Channels.SPLIT:
            return by_channel(
                self.reader, self.transcriber, request.recording, decoding, watch, request.edits
            )
        if request.on_diarization_error is OnDiarizationError.FAIL:
            check(self.diarizer, request.known_speakers)
        if request.edits.are_wanted:
            watch = replace(watch, heard=None)  # the words that are heard are not yet those told
        if request.speakers is None:
            return self._words_alone(request, decoding, watch)
        return self._words_and_speakers(request, decoding, watch)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through both models."""
        waveform = self.reader.rehearsal(recording)
        request = SingleRequest(Recording(LocalFile(recording)))
        self._both(waveform, request, request.decoding, (Watch(), Watch()))

    def _words_alone(self, request: SingleRequest, decoding: Decoding, watch: Watch) -> Transcript:
        together = JobProgress(watch).together
        waveform = self.reader.waveform(request.recording, together)
        words = transcribe(self.transcriber, waveform, decoding, together)
        return self._joined(request, watch, waveform, words, _Speakers())

    def _words_and_speakers(
        self, request: SingleRequest, decoding: Decoding, watch: Watch
    ) -> Transcript:
        progress = JobProgress(watch, branches=2)
        with self.reader.file(request.recording, progress.together) as path:
            waveform = self.reader.decoded(path, request.recording, progress.together)
            watches = tuple(replace(watch, report=progress.branch(index)) for index in range(2))
            words, speaking = self._both(waveform, request, decoding, watches)
            speakers = _Speakers.of(speaking)
            ear = Ear(self.reader, self.transcriber, path, request.recording, decoding)
            heard = Span(waveform.start, waveform.end)
            words = with_quiet(words, speakers.turns, heard, ear.range, watch)
        return self._joined(request, watch, waveform, words, speakers)

    def _joined(
        self,
        request: SingleRequest,
        watch: Watch,
        waveform: Waveform,
        words: Transcription,
        speakers: _Speakers,
    ) -> Transcript:
        with watch.clock.at(Work.MERGE):
            transcript = assemble(
                words,
                speakers.turns,
                duration_s=waveform.end,
                warnings=(*speakers.missing, *waveform.warnings),
                cancelled=watch.cancelled,
                edits=request.edits,
                task=request.decoding.task,
            )
        transcript = replace(transcript, refresh_worker=speakers.refresh_worker)
        return told(transcript, request.recording, watch, model=self.reader.speech_model)

    def _both(
        self,
        waveform: Waveform,
        request: SingleRequest,
        decoding: Decoding,
        watches: tuple[Watch, ...],
    ) -> tuple[Transcription, Future[Diarization]]:
        """Run the models side by side, each on its own thread.

        Clustering needs no GPU, and words need no speakers. If one that is needed fails the other
        is stopped, and the first cause is raised.
        """
        search = SpeakerSearch(self.reader, self.diarizer)
        failed = threading.Event()
        of_words, of_turns = (watch.also_cancelled(failed.is_set) for watch in watches)
        with ThreadPoolExecutor(2) as pool:
            words = pool.submit(transcribe, self.transcriber, waveform, decoding, of_words)
            turns = pool.submit(search.hear, waveform, request, of_turns)
            is_needed = request.on_diarization_error is OnDiarizationError.FAIL
            needed: tuple[Future[Any], ...] = (words, turns) if is_needed else (words,)
            if not is_needed:
                # Whatever came of it, the job no longer waits for its speakers.
                turns.add_done_callback(lambda _: of_turns.report(Stage.DIARIZING, 1.0))
            for branch in needed:
                branch.add_done_callback(lambda done: failed.set() if done.exception() else None)
        if words.exception() and breaks_process(turns.exception()):
            needed = (words, turns)
        raise_cause(*needed)
        return words.result(), turns


@dataclass(frozen=True, slots=True)
class _Speakers:
    """What is known of the speakers."""

    turns: Diarization | None = None
    missing: tuple[str, ...] = ()
    """The warning that there are no turns, if they were asked for."""
    refresh_worker: bool = False
    """See `Transcript`."""

    @classmethod
    def of(cls, speaking: Future[Diarization]) -> _Speakers:
        """Return the turns, or why there are none. Raise Cancelled, and what has no code."""
        error = speaking.exception()
        if isinstance(error, WorkerError) and not isinstance(error, Cancelled):
            return cls(None, (without_speakers(error.code),), breaks_process(error))
        return cls(speaking.result())
