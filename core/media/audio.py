"""From a file in any format to 16 kHz mono samples.

A recording is as long as what comes out of the decoder, whatever the header says.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain.watch import IsCancelled
from core.errors import (
    AudioTooLong,
    DamagedAudio,
    EmptyAudio,
    RangeOutsideAudio,
    SettingsError,
)
from core.media.ffmpeg import FIRST_TRACK, INPUT, TO_PIPE, Ffmpeg
from core.media.inspection import DAMAGED, inspect

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Samples per second; Parakeet and pyannote were trained on this rate."""

_SHORTFALL = (1.0, 0.01)
"""A recording that lacks more than these seconds and this fraction of what came is cut short."""


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
        """Seconds from the start of the file to the end of the last sample."""
        return self.start + self.duration


def find_ffmpeg(configured: str | None = None) -> str:
    """Return the path of the ffmpeg to use.

    That is the configured one, else the one on PATH, else that of the imageio-ffmpeg wheel. Raise
    SettingsError if there is none.
    """
    if configured is None:
        return shutil.which("ffmpeg") or _packaged_ffmpeg()
    if found := shutil.which(configured):
        return found
    raise SettingsError(
        "FFMPEG_BINARY: no such program; give the full path of ffmpeg, or leave it empty"
    )


def _packaged_ffmpeg() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise SettingsError(
            "FFMPEG_BINARY: there is no ffmpeg; install it, or the imageio-ffmpeg wheel"
        ) from None


class Stream:
    """The first sound track of a file, or a range of it, decoded block by block in bounded memory.

    Blocks have some 30 s: float32, shape (samples,), 16 kHz mono, -1..1.
    """

    def __init__(
        self,
        path: Path,
        *,
        ffmpeg: str,
        max_duration_s: float,
        start_s: float = 0.0,
        end_s: float | None = None,
        timeout_s: float = 600.0,
        cancelled: IsCancelled = lambda: False,
    ) -> None:
        """Look at the header of the file.

        `start_s` and `end_s` bound the range, in seconds from the start of the file. A range longer
        than `max_duration_s` is refused once as much is decoded. `timeout_s` limits the time spent
        waiting for ffmpeg.

        Raise EmptyAudio, UnsupportedAudio, DamagedAudio, NoAudioTrack, DecodingTimedOut, Cancelled.
        The iteration raises these, AudioTooLong and RangeOutsideAudio.
        """
        self.start = start_s
        self.end = start_s
        """Seconds from the start of the file to the end of what has been decoded."""
        self.warnings: tuple[str, ...] = ()
        """Warnings for the caller, complete after the last block."""
        self._max_duration_s = max_duration_s
        # Ask for a second more than allowed: if it comes, the recording is too long.
        self._wanted_s = min(float("inf") if end_s is None else end_s - start_s, max_duration_s + 1)
        self._ffmpeg = Ffmpeg(ffmpeg, path, timeout_s=timeout_s, cancelled=cancelled)
        self._track = inspect(self._ffmpeg, path)

    @property
    def expected_s(self) -> float | None:
        """The seconds that will come if the header is right; None if it names no duration."""
        if self._track.duration_s is None:
            return None
        return min(max(0.0, self._track.duration_s - self.start), self._wanted_s)

    def read(self) -> Waveform:
        """Decode the whole range into memory."""
        samples = np.empty(round((self.expected_s or 0) * SAMPLE_RATE) + SAMPLE_RATE, np.float32)
        count = 0
        for pcm in self.pcm():
            if count + len(pcm) > len(samples):
                samples = np.concatenate(
                    (samples[:count], np.empty(max(count, len(pcm)), np.float32))
                )
            _to_float(pcm, samples[count : count + len(pcm)])
            count += len(pcm)
        return Waveform(samples[:count], self.start, self.warnings)

    def __iter__(self) -> Iterator[Samples]:
        """Decode block by block."""
        for pcm in self.pcm():
            yield _to_float(pcm, np.empty(len(pcm), np.float32))

    def pcm(self) -> Iterator[NDArray[np.int16]]:
        """Decode to int16, shape (samples,); a block is valid until the next one."""
        # ffmpeg would return the last second of an Ogg file for any start behind its end.
        if self.start > 0 and self.expected_s == 0 and not self._track.is_doubtful:
            raise self._outside()
        count = 0
        for block in self._ffmpeg.run(*self._arguments()):
            count += len(block) // 2
            if count > round(self._max_duration_s * SAMPLE_RATE):
                raise self._too_long()
            self.end = self.start + count / SAMPLE_RATE
            yield np.frombuffer(block, "<i2", count=len(block) // 2)
        self._judge(count / SAMPLE_RATE)

    def _arguments(self) -> tuple[str, ...]:
        seek = ("-ss", f"{self.start:.6f}") if self.start > 0 else ()
        limit = ("-t", f"{self._wanted_s:.6f}")
        return (*seek, "-i", INPUT, *FIRST_TRACK, "-af", self._filters, *limit, *TO_PIPE)

    @property
    def _filters(self) -> str:
        mono = "pan=mono|c0=0.5*c0-0.5*c1," if self._track.is_antiphase else ""
        # Fill gaps in the time stamps with silence, so that a time in the samples is a time in the
        # file.
        resample = f"aresample={SAMPLE_RATE}:async=1:first_pts=0"
        return f"{mono}{resample},aformat=sample_fmts=s16:channel_layouts=mono"

    def _too_long(self) -> AudioTooLong:
        return AudioTooLong(
            f"the recording is longer than {self._max_duration_s:g} s, the most this "
            "worker takes; use start and end to send parts"
        )

    def _outside(self) -> RangeOutsideAudio:
        return RangeOutsideAudio(
            f"start is {self.start:g} s, but the recording ends before; give a smaller start"
        )

    def _judge(self, seconds: float) -> None:
        """Warn if sound is missing at the end; raise an error if there was none at all."""
        failed = self._ffmpeg.failed
        if seconds == 0 and failed:
            raise DamagedAudio(DAMAGED)
        if seconds == 0 and self.start > 0:
            raise self._outside()
        if seconds == 0:
            raise EmptyAudio("the recording holds no sound; check that the upload was complete")
        missing_s = (self.expected_s or 0.0) - seconds
        if failed or self._track.is_cut or missing_s > max(_SHORTFALL[0], _SHORTFALL[1] * seconds):
            self.warnings = (
                "the recording seems to be cut short or damaged: it could be read up to "
                f"{self.start + seconds:.1f} s",
            )


def _to_float(pcm: NDArray[np.int16], into: Samples) -> Samples:
    return np.multiply(pcm, np.float32(1 / 32_768), out=into)
