"""The words of a file: of all of it, of a part or of a range."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.request import Decoding, Part, Range, Recording
from core.domain.rounding import seconds
from core.domain.timeline import Span, Transcription
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.flows.recording import Reader
from core.media.audio import Stream
from core.media.cutting import Utterance
from core.speech.transcriber import Transcriber
from core.transcript.parts import Assignment


@dataclass(frozen=True, slots=True)
class Heard:
    """The words of a recording or of a part, and what its stream knows after the last block."""

    transcription: Transcription
    duration: float
    own: Span
    """The stretch of the recording that the words are of."""
    warnings: tuple[str, ...] = ()
    audio_s: float | None = None
    """Seconds of sound that were heard of a part."""


@dataclass(frozen=True, slots=True)
class Ear:
    """Hears one file, as a stream. Each method raises what decoding and the transcriber raise."""

    reader: Reader
    transcriber: Transcriber
    path: Path
    recording: Recording
    decoding: Decoding

    def whole(self, watch: Watch) -> Heard:
        """Find the words of the recording."""
        stream = self._open(self.recording, watch)
        words = self._transcribe(self._cut(stream, watch), stream.expected_s, watch)
        return Heard(words, stream.end, _heard(stream), stream.warnings)

    def part(self, part: Part, watch: Watch) -> Heard:
        """Find the words of a part.

        Decode twice: first to see where all parts lie, then to hear this one.
        """
        first = self._open(self.recording, watch)
        assignment = Assignment.of(part, [utterance.span for utterance in self._cut(first, watch)])
        second = self._cut(self._open(self.recording, watch), watch)
        with contextlib.closing(second) as utterances:
            mine = assignment.pick(utterances)
            alone = replace(watch, heard=None)  # some of these words are another part's
            words = self._transcribe(mine, assignment.duration_s, alone)
        own, everything = assignment.own, _heard(first)
        own = Span(max(own.start, everything.start), min(own.end, everything.end))
        words = assignment.trim(words)
        return Heard(words, first.end, own, first.warnings, assignment.duration_s)

    def range(self, within: Range, watch: Watch) -> Transcription:
        """Find the words of a range of the file."""
        stream = self._open(replace(self.recording, range=within), watch)
        return self._transcribe(self._cut(stream, watch), stream.expected_s, watch)

    def _open(self, recording: Recording, watch: Watch) -> Stream:
        return self.reader.stream(self.path, recording, watch)

    def _cut(self, stream: Stream, watch: Watch) -> Generator[Utterance]:
        piece_s = self.reader.settings.chunk_duration
        blocks = watch.clock.each(Work.DECODE, stream)
        return self.transcriber.cut(blocks, start_s=stream.start, piece_s=piece_s)

    def _transcribe(
        self, cut: Iterator[Utterance], duration_s: float | None, watch: Watch
    ) -> Transcription:
        with watch.clock.at(Work.SPEECH):
            return self.transcriber.transcribe(
                cut,
                decoding=self.decoding,
                progress=watch.stage(Stage.TRANSCRIBING),
                cancelled=watch.cancelled,
                duration_s=duration_s,
                heard=watch.heard,
            )


def _heard(stream: Stream) -> Span:
    """Return the stretch of a stream that was read, as answers show it."""
    return Span(seconds(stream.start), seconds(stream.end))
