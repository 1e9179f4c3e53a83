"""The transcription worker's flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.request import Channels, Decoding, TranscriptionRequest
from core.domain.timeline import Diarization, Transcript, Transcription
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.flows.by_channel import by_channel
from core.flows.ear import Ear
from core.flows.progress import JobProgress
from core.flows.quiet import with_quiet
from core.flows.recording import Reader
from core.flows.usage import told
from core.media.audio import Waveform
from core.speech.transcriber import Transcriber
from core.transcript.assembly import assemble


def transcribe(
    transcriber: Transcriber, waveform: Waveform, decoding: Decoding, watch: Watch
) -> Transcription:
    """Find the words of a waveform."""
    with watch.clock.at(Work.SPEECH):
        return transcriber.transcribe(
            transcriber.cut([waveform.samples], start_s=waveform.start),
            decoding=decoding,
            progress=watch.stage(Stage.TRANSCRIBING),
            cancelled=watch.cancelled,
            duration_s=waveform.duration,
            heard=watch.heard,
        )


@dataclass(frozen=True, slots=True)
class TranscriptionFlow:
    """Finds words, and labels them with the speakers of turns that the caller brings."""

    reader: Reader
    transcriber: Transcriber

    def run(self, request: TranscriptionRequest, watch: Watch) -> Transcript:
        """See `Flow`."""
        decoding = self.transcriber.prepared(request.decoding)
        if request.channels is Channels.SPLIT:
            return by_channel(
                self.reader, self.transcriber, request.recording, decoding, watch, request.edits
            )
        if request.edits.are_wanted:
            watch = replace(watch, heard=None)  # the words that are heard are not yet those told
        watch = JobProgress(watch).together
        turns = request.turns
        diarization = None if turns is None else Diarization(turns, turns)
        with self.reader.file(request.recording, watch) as path:
            ear = Ear(self.reader, self.transcriber, path, request.recording, decoding)
            if request.part is None:
                heard = ear.whole(watch)
                words = with_quiet(heard.transcription, diarization, heard.own, ear.range, watch)
            else:
                heard = ear.part(request.part, watch)
                words = heard.transcription
        with watch.clock.at(Work.MERGE):
            transcript = assemble(
                words,
                diarization,
                duration_s=heard.duration,
                warnings=heard.warnings,
                cancelled=watch.cancelled,
                edits=request.edits,
                task=request.decoding.task,
                own=heard.own,
            )
        return told(
            transcript,
            request.recording,
            watch,
            model=self.reader.speech_model,
            audio_s=heard.audio_s,
        )

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through the model."""
        transcribe(self.transcriber, self.reader.rehearsal(recording), Decoding(), Watch())
