"""The flows: a request in, the rendered answer out.

What the single worker and the split workers share stands here once.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from core import modelstore
from core.domain.timeline import Diarization, Span, Transcription
from core.domain.watch import Watch
from core.errors import Cancelled
from core.media import audio, cutting
from core.media import fetch as sources
from core.settings import Settings
from core.speakers.diarizer import Diarizer
from core.speakers.pyannote import PyannoteDiarizer
from core.speech.transcriber import ParakeetTranscriber, Transcriber
from core.transcript.assembly import assemble
from core.transcript.parts import Share
from core.wire import render as rendering
from core.wire.job_input import (
    AudioRequest,
    DiarizationRequest,
    SingleRequest,
    SpeakerCount,
    TranscriptionRequest,
    parse,
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """From a request to its recording."""

    settings: Settings

    def waveform(self, request: AudioRequest, watch: Watch) -> audio.Waveform:
        """Fetch and decode the asked range in one piece; the file is gone before any model runs."""
        with self.file(request, watch) as path:
            return self.stream(path, request, watch).read()

    @contextlib.contextmanager
    def file(self, request: AudioRequest, watch: Watch) -> Iterator[Path]:
        """The recording as a local file, for as long as the `with` lasts."""
        with sources.job_folder(self.settings.temp_dir) as folder:
            watch.report("downloading", 0.0)
            yield sources.fetch(
                request.source, folder, settings=self.settings, cancelled=watch.cancelled
            )

    def stream(self, path: Path, request: AudioRequest, watch: Watch) -> audio.Stream:
        """The asked range of a local file, ready to be decoded."""
        watch.report("decoding", 0.0)
        return audio.Stream(
            path,
            ffmpeg=audio.find_ffmpeg(self.settings.ffmpeg_binary),
            max_duration_s=self.settings.max_audio_duration,
            start_s=request.start or 0.0,
            end_s=request.end,
            cancelled=watch.cancelled,
        )

    def rehearsal(self, recording: Path) -> audio.Waveform:
        """Decode a short recording of ours."""
        return audio.Stream(
            recording, ffmpeg=audio.find_ffmpeg(self.settings.ffmpeg_binary), max_duration_s=60
        ).read()


def _transcribe(
    transcriber: Transcriber, waveform: audio.Waveform, language: str | None, watch: Watch
) -> Transcription:
    return transcriber.transcribe(
        cutting.utterances([waveform.samples], start_s=waveform.start),
        language=language,
        progress=watch.stage("transcribing"),
        cancelled=watch.cancelled,
        duration_s=waveform.duration,
    )


def _diarize(
    diarizer: Diarizer, waveform: audio.Waveform, speakers: SpeakerCount, watch: Watch
) -> Diarization:
    return diarizer.diarize(
        waveform, speakers=speakers, progress=watch.stage("diarizing"), cancelled=watch.cancelled
    )


@dataclass(frozen=True, slots=True)
class SingleFlow:
    """Words and speakers from one worker."""

    recorder: Recorder
    transcriber: Transcriber
    diarizer: Diarizer

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Answer a `SingleRequest`."""
        request = parse(SingleRequest, job_input)
        language = self.transcriber.check_language(request.language)
        waveform = self.recorder.waveform(request, watch)
        if request.diarize:
            transcription, diarization = self._both(waveform, language, request.speakers, watch)
        else:
            transcription, diarization = (
                _transcribe(self.transcriber, waveform, language, watch),
                None,
            )
        transcript = assemble(
            transcription, diarization, duration_s=waveform.end, warnings=waveform.warnings
        )
        return rendering.render(transcript, request.response_format, timestamps=request.timestamps)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through both models."""
        self._both(self.recorder.rehearsal(recording), None, SpeakerCount(), Watch())

    def _both(
        self, waveform: audio.Waveform, language: str | None, speakers: SpeakerCount, watch: Watch
    ) -> tuple[Transcription, Diarization]:
        """Run the models side by side, each on its own thread: clustering needs no GPU, and words
        need no speakers.

        Where one fails the other is stopped, and the first cause is raised.
        """
        failed = threading.Event()
        linked = replace(watch, cancelled=lambda: watch.cancelled() or failed.is_set())
        with ThreadPoolExecutor(2) as pool:
            words = pool.submit(_transcribe, self.transcriber, waveform, language, linked)
            turns = pool.submit(_diarize, self.diarizer, waveform, speakers, linked)
            for branch in (words, turns):
                branch.add_done_callback(lambda done: failed.set() if done.exception() else None)
        causes = [error for branch in (words, turns) if (error := branch.exception()) is not None]
        if causes:
            raise min(causes, key=lambda error: isinstance(error, Cancelled))
        return words.result(), turns.result()


@dataclass(frozen=True, slots=True)
class TranscriptionFlow:
    """Words, and the speakers of turns that the caller brings."""

    recorder: Recorder
    transcriber: Transcriber

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Answer a `TranscriptionRequest`."""
        request = parse(TranscriptionRequest, job_input)
        language = self.transcriber.check_language(request.language)
        with self.recorder.file(request, watch) as path:
            share = (
                None
                if request.part is None
                else Share.of(request.part, self._spans(path, request, watch))
            )
            stream = self.recorder.stream(path, request, watch)
            utterances = self._cut(stream)
            transcription = self.transcriber.transcribe(
                utterances if share is None else share.pick(utterances),
                language=language,
                progress=watch.stage("transcribing"),
                cancelled=watch.cancelled,
                duration_s=stream.expected_s,
            )
            collections.deque(
                utterances, maxlen=0
            )  # what a share left over, for the duration and the warnings
        if share is not None:
            transcription = share.trim(transcription)
        diarization = None if request.turns is None else Diarization(request.turns, request.turns)
        transcript = assemble(
            transcription, diarization, duration_s=stream.end, warnings=stream.warnings
        )
        return rendering.render(transcript, request.response_format, timestamps=request.timestamps)

    def _cut(self, stream: audio.Stream) -> Iterator[cutting.Utterance]:
        return cutting.utterances(
            stream, start_s=stream.start, piece_s=self.recorder.settings.chunk_duration
        )

    def _spans(self, path: Path, request: AudioRequest, watch: Watch) -> list[Span]:
        return [
            utterance.span for utterance in self._cut(self.recorder.stream(path, request, watch))
        ]

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through the model."""
        _transcribe(self.transcriber, self.recorder.rehearsal(recording), None, Watch())


@dataclass(frozen=True, slots=True)
class DiarizationFlow:
    """Who spoke when."""

    recorder: Recorder
    diarizer: Diarizer

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Answer a `DiarizationRequest`."""
        request = parse(DiarizationRequest, job_input)
        waveform = self.recorder.waveform(request, watch)
        diarization = _diarize(self.diarizer, waveform, request.speakers, watch)
        diarization = replace(diarization, warnings=(*waveform.warnings, *diarization.warnings))
        return rendering.render_diarization(diarization, waveform.end, request.response_format)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through the model."""
        _diarize(self.diarizer, self.recorder.rehearsal(recording), SpeakerCount(), Watch())


def load_single(settings: Settings) -> SingleFlow:
    """Load both models."""
    return SingleFlow(Recorder(settings), _load_transcriber(settings), _load_diarizer(settings))


def load_transcription(settings: Settings) -> TranscriptionFlow:
    """Load the speech model."""
    return TranscriptionFlow(Recorder(settings), _load_transcriber(settings))


def load_diarization(settings: Settings) -> DiarizationFlow:
    """Load the speaker model."""
    return DiarizationFlow(Recorder(settings), _load_diarizer(settings))


def _load_transcriber(settings: Settings) -> Transcriber:
    location = modelstore.find_speech_model(settings.model_id, token=settings.hub_token)
    return ParakeetTranscriber(
        location.path, model_id=settings.model_id, eager_imports=settings.eager_imports
    )


def _load_diarizer(settings: Settings) -> Diarizer:
    return PyannoteDiarizer(
        modelstore.find_diarization_model(settings.diarization_model_id, token=settings.hub_token),
        eager_imports=settings.eager_imports,
    )
