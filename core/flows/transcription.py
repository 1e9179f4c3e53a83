"""The transcription worker's flow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.domain.request import Channels, Decoding, Part, TranscriptionRequest
from core.domain.timeline import Diarization, Transcript, Transcription
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.flows.by_channel import by_channel
from core.flows.progress import JobProgress
from core.flows.recording import Reader
from core.flows.usage import told
from core.media.audio import Stream, Waveform
from core.media.cutting import Utterance, utterances
from core.speech.transcriber import Transcriber
from core.transcript.assembly import assemble
from core.transcript.parts import Assignment


def transcribe(
    transcriber: Transcriber, waveform: Waveform, decoding: Decoding, watch: Watch
) -> Transcription:
    """Find the words of a waveform."""
    with watch.clock.at(Work.SPEECH):
        return transcriber.transcribe(
            utterances([waveform.samples], start_s=waveform.start),
            decoding=decoding,
            progress=watch.stage(Stage.TRANSCRIBING),
            cancelled=watch.cancelled,
            duration_s=waveform.duration,
            heard=watch.heard,
        )


@dataclass(frozen=True, slots=True)
class _Heard:
    """The words of a recording or of a part, and what its stream knows after the last block."""

    transcription: Transcription
    duration: float
    warnings: tuple[str, ...]
    audio_s: float | None = None
    """Seconds of sound that were heard of a part."""


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
        with self.reader.file(request.recording, watch) as path:
            open_stream = partial(self.reader.stream, path, request.recording, watch)
            if request.part is None:
                heard = self._whole(open_stream(), decoding, watch)
            else:
                heard = self._part(open_stream, request.part, decoding, watch)
        turns = request.turns
        diarization = None if turns is None else Diarization(turns, turns)
        with watch.clock.at(Work.MERGE):
            transcript = assemble(
                heard.transcription,
                diarization,
                duration_s=heard.duration,
                warnings=heard.warnings,
                cancelled=watch.cancelled,
                edits=request.edits,
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

    def _whole(self, stream: Stream, decoding: Decoding, watch: Watch) -> _Heard:
        words = self._transcribe(self._cut(stream, watch), stream.expected_s, decoding, watch)
        return _Heard(words, stream.end, stream.warnings)

    def _part(
        self, open_stream: Callable[[], Stream], part: Part, decoding: Decoding, watch: Watch
    ) -> _Heard:
        """Decode twice: first to see where all parts lie, then to hear this one."""
        first = open_stream()
        assignment = Assignment.of(part, [utterance.span for utterance in self._cut(first, watch)])
        with contextlib.closing(self._cut(open_stream(), watch)) as everything:
            mine = assignment.pick(everything)
            alone = replace(watch, heard=None)  # some of these words are another part's
            words = self._transcribe(mine, assignment.duration_s, decoding, alone)
        audio_s = assignment.duration_s
        return _Heard(assignment.trim(words), first.end, first.warnings, audio_s)

    def _cut(self, stream: Stream, watch: Watch) -> Generator[Utterance]:
        piece_s = self.reader.settings.chunk_duration
        blocks = watch.clock.each(Work.DECODE, stream)
        return utterances(blocks, start_s=stream.start, piece_s=piece_s)

    def _transcribe(
        self, cut: Iterator[Utterance], duration_s: float | None, decoding: Decoding, watch: Watch
    ) -> Transcription:
        with watch.clock.at(Work.SPEECH):
            return self.transcriber.transcribe(
                cut,
                decoding=decoding,
                progress=watch.stage(Stage.TRANSCRIBING),
                cancelled=watch.cancelled,
                duration_s=duration_s,
                heard=watch.heard,
            )
