"""From a file in any format to 16 kHz mono samples.

How long a recording is, is what comes out of the decoder, never what the header says.
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain.watch import IsCancelled
from core.errors import AudioTooLong, DamagedAudio, EmptyAudio, RangeOutsideAudio
from core.media import verdict
from core.media.channels import Channels, Picked
from core.media.decoder.process import DAMAGED, Decoder, Limits, asked_of
from core.media.decoder.protocol import OUTPUT_RATE, Happening, Header, Refusal, Summary
from core.media.level import levelled
from core.media.pieces import Mono
from core.media.track import TrackSound, together

Samples = NDArray[np.float32]

SAMPLE_RATE = OUTPUT_RATE
"""Samples per second: what Parakeet and pyannote were trained on."""

_LATEST_S = 1e9
"""No recording lasts for 30 years; containers count microseconds in 64 bits, up to 9.2e12 s."""
_SURELY_S = 1.0
"""So much more than the limit in a header is no rounding."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """A stretch of a recording."""

    samples: Samples
    """float32, shape (samples,), 16 kHz mono, -1..1."""
    start: float
    """Seconds from the start of the file to the first sample."""
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the file to behind the last sample."""
        return self.start + self.duration


class Stream:
    """The sound of a file, or of a range of it, in bounded memory: blocks of some 30 s, float32,
    shape (samples,), 16 kHz mono.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_duration_s: float,
        start_s: float = 0.0,
        end_s: float | None = None,
        timeout_s: float = 600.0,
        cancelled: IsCancelled = lambda: False,
        channel: int | None = None,
        python: str = sys.executable,
    ) -> None:
        """Look at the file.

        `start_s` and `end_s` bound the range, in seconds from the start of the file. If it has
        more than `max_duration_s` seconds, it is refused: at once if the file knows its length,
        else as soon as so many are decoded. `timeout_s` counts the time spent waiting for the
        decoder, which `python` runs. `channel`, counted from 0, is heard by itself; None mixes
        all of them, and all tracks.

        Raise EmptyAudio, UnsupportedAudio, DamagedAudio, NoAudioTrack, AudioTooLong,
        DecodingTimedOut, Cancelled; the iteration raises these and RangeOutsideAudio.
        """
        self.start = start_s
        self.end = start_s
        """Seconds from the start of the file to behind what was decoded so far."""
        self.warnings: tuple[str, ...] = ()
        """What the caller should know; complete after the last block."""
        self._path = path
        self._limits = Limits(python, timeout_s, cancelled)
        self._max_duration_s = max_duration_s
        # One second more than allowed is asked for, so that having it shows that there is more.
        self._wanted_s = min(float("inf") if end_s is None else end_s - start_s, max_duration_s + 1)
        if path.stat().st_size == 0:
            raise EmptyAudio("the recording has no bytes; check that the upload was complete")
        self._channel = channel
        self._decoders = contextlib.ExitStack()
        weakref.finalize(self, self._decoders.close)
        self._main = self._open(None)
        try:
            self._header = self._look()
        except BaseException:
            self._decoders.close()
            raise

    @property
    def expected_s(self) -> float | None:
        """How many seconds will come if the header tells the truth; None if it does not tell."""
        if self._header.duration_s is None:
            return None
        return min(max(0.0, self._header.duration_s - self.start), self._wanted_s)

    def close(self) -> None:
        """End the decoder of a stream that is not read to its end."""
        self._decoders.close()

    @property
    def channels(self) -> int:
        """How many channels the first sound track has, or the default one if there is one."""
        return verdict.chosen_track(self._header).channels

    def stretches(self) -> Iterator[Channels]:
        """Decode the first sound track without mixing, once; stretches follow each other.

        They are float32, shape (channels, samples), 16 kHz, not levelled.
        """
        with self._decoders:
            yield from self._main.stretches()

    def read(self) -> Waveform:
        """Decode all of it into memory."""
        # Memory that is not written to costs nothing, so room for the longest one is taken at once.
        samples = np.empty(round(self._wanted_s * SAMPLE_RATE) + SAMPLE_RATE, np.float32)
        count = 0
        for block in self:
            samples[count : count + len(block)] = block
            count += len(block)
        return Waveform(samples[:count], self.start, self.warnings)

    def __iter__(self) -> Iterator[Samples]:
        """Decode block by block, once.

        Each track is decoded by a process of its own, which ends with the iteration.
        """
        with self._decoders:
            together_with = verdict.companions(self._header) if self._channel is None else ()
            companions = [self._open(track.index).pieces_behind_header() for track in together_with]
            yield from levelled(self._counted(together(self._main.pieces(), companions)))
        self._judge()

    def _open(self, track: int | None) -> TrackSound:
        start_s = min(self.start, _LATEST_S)
        asked = asked_of(self._path, start_s, start_s + self._wanted_s, track)
        decoder = Decoder(self._path, asked, self._limits)
        self._decoders.callback(decoder.close)
        return TrackSound(decoder, asked, None if self._channel is None else Picked(self._channel))

    def _look(self) -> Header:
        header = self._main.header()
        if isinstance(header, Refusal):
            raise verdict.refusal(header.why)
        verdict.chosen_track(header)
        if header.is_trusted and header.duration_s is not None:
            expected_s = min(header.duration_s - self.start, self._wanted_s)
            if expected_s >= self._max_duration_s + _SURELY_S:
                raise self._too_long()
        return header

    def _counted(self, pieces: Iterator[Mono]) -> Iterator[Mono]:
        """Keep count of what comes.

        Raise AudioTooLong.
        """
        count = 0
        for piece in pieces:
            count += len(piece)
            if count > round(self._max_duration_s * SAMPLE_RATE):
                raise self._too_long()
            self.end = self.start + count / SAMPLE_RATE
            yield piece

    def _too_long(self) -> AudioTooLong:
        return AudioTooLong(
            f"the recording is longer than {self._max_duration_s:g} s, the most this worker takes; "
            "use start and end to send parts"
        )

    def _judge(self) -> None:
        """Say in the end what came out; raises if that was nothing."""
        summary = self._main.summary or Summary(0.0, is_whole=False)
        if self.end == self.start:
            raise self._nothing(summary)
        outcome = verdict.Outcome(
            header=self._header,
            summary=summary,
            events=tuple(self._main.events),
            start_s=self.start,
            end_s=self.end,
            is_full=summary.end_s >= self.start + self._wanted_s,
        )
        self.warnings = tuple(outcome.warnings())

    def _nothing(self, summary: Summary) -> DamagedAudio | RangeOutsideAudio | EmptyAudio:
        if not summary.is_whole:
            return DamagedAudio(DAMAGED)
        if self.start > 0:
            return RangeOutsideAudio(
                f"start is {self.start:g} s, but the recording ends before; give a smaller start"
            )
        if any(event.what is Happening.DAMAGE for event in self._main.events):
            return DamagedAudio(DAMAGED)
        return EmptyAudio("the recording holds no sound; check that the upload was complete")
