"""The words of a recording whose channels are one speaker each; no speaker model is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from core.domain.request import Decoding, Edits, Recording
from core.domain.timeline import Transcript, Transcription
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.errors import InvalidRequest
from core.flows.branches import raise_cause
from core.flows.progress import JobProgress
from core.flows.recording import Reader
from core.flows.usage import told
from core.media.audio import Stream
from core.media.survey import Survey, survey
from core.speech.transcriber import Transcriber
from core.transcript.assembly import assemble
from core.transcript.channels import joined, name

MAX_CHANNELS = 8


def by_channel(
    reader: Reader,
    transcriber: Transcriber,
    recording: Recording,
    decoding: Decoding,
    watch: Watch,
    edits: Edits,
) -> Transcript:
    """Transcribe each channel by itself, all at once, so that they share batches.

    A channel that is silent or holds the sound of another is not transcribed, and a warning says
    so. Raise InvalidRequest for one channel or more than `MAX_CHANNELS`, and what fetching,
    decoding and the transcriber raise.
    """
    together = JobProgress(watch).together
    with reader.file(recording, together) as path:
        stream = _checked(reader.stream(path, recording, together))
        with watch.clock.at(Work.DECODE):
            look = survey(stream)
        ear = _Ear(reader, transcriber, path, recording, decoding)
        heard = ear.hear(_worth_hearing(look), watch)
    first = next(iter(heard.values()))
    with watch.clock.at(Work.MERGE):
        transcript = assemble(
            joined({channel: one.words for channel, one in heard.items()}, look),
            None,
            duration_s=first.end_s,
            warnings=(*_left_out(look), *first.warnings),
            cancelled=watch.cancelled,
            edits=edits,
            task=decoding.task,
        )
    return told(transcript, recording, watch, model=reader.speech_model)


def _checked(stream: Stream) -> Stream:
    """Return the stream. Raise InvalidRequest if its channels cannot be split."""
    if 1 < stream.channels <= MAX_CHANNELS:
        return stream
    stream.close()
    raise InvalidRequest(
        f"channels: split takes a recording with 2 to {MAX_CHANNELS} channels, and this one has "
        f"{stream.channels}; leave channels out"
    )


def _worth_hearing(look: Survey) -> list[int]:
    left_out = {*look.silent(), *look.copies()}
    return [channel for channel in range(len(look.levels)) if channel not in left_out] or [0]


def _left_out(look: Survey) -> Iterator[str]:
    for channel in look.silent():
        yield f"{name(channel)} is silent"
    for channel, original in sorted(look.copies().items()):
        yield f"{name(channel)} holds the same sound as {name(original)}, which has its words"


@dataclass(frozen=True, slots=True)
class _Heard:
    words: Transcription
    end_s: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ear:
    """Hears single channels of one file."""

    reader: Reader
    transcriber: Transcriber
    path: Path
    recording: Recording
    decoding: Decoding

    def hear(self, channels: Sequence[int], watch: Watch) -> dict[int, _Heard]:
        """Transcribe channels side by side; if one fails, stop the others and raise the cause."""
        failed = Event()
        progress = JobProgress(watch, branches=len(channels))
        watches = (
            replace(watch.also_cancelled(failed.is_set), report=progress.branch(branch))
            for branch in range(len(channels))
        )
        piece_s = self.reader.settings.chunk_duration / len(channels)
        with ThreadPoolExecutor(len(channels)) as pool:
            running = [
                pool.submit(self._hear, *one, piece_s)
                for one in zip(channels, watches, strict=True)
            ]
            for one in running:
                one.add_done_callback(lambda done: failed.set() if done.exception() else None)
        raise_cause(*running)
        return {channel: one.result() for channel, one in zip(channels, running, strict=True)}

    def _hear(self, channel: int, watch: Watch, piece_s: float) -> _Heard:
        stream = self.reader.stream(self.path, self.recording, watch, channel=channel)
        blocks = watch.clock.each(Work.DECODE, stream)
        with watch.clock.at(Work.SPEECH):
            words = self.transcriber.transcribe(
                self.transcriber.cut(blocks, start_s=stream.start, piece_s=piece_s),
                decoding=self.decoding,
                progress=watch.stage(Stage.TRANSCRIBING),
                cancelled=watch.cancelled,
                duration_s=stream.expected_s,
            )
        return _Heard(words, stream.end, stream.warnings)
