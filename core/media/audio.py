"""From a file in any format to 16 kHz mono samples.

How long a recording is, is what comes out of the decoder, never what the header says.
"""

from __future__ import annotations

import re
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
    NoAudioTrack,
    RangeOutsideAudio,
    SettingsError,
    UnsupportedAudio,
    WorkerError,
)
from core.media.ffmpeg import INPUT, Ffmpeg

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Samples per second: what Parakeet and pyannote were trained on."""

_FORMATS = "wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov, mkv, wma, amr, aiff"
_SIGNATURES = re.compile(
    rb"RIFF|RF64|ID3|fLaC|OggS|FORM|caff|#!AMR|\x1aE\xdf\xa3|\x30\x26\xb2\x75|\xff[\xe0-\xff]"
    rb"|.{4}(ftyp|moov|mdat|wide|free|skip)",
    re.DOTALL,
)
"""How files of these formats begin, in that order; the last line is mp4 and its kin."""
# Two blanks or a bracket begin the lines that are ffmpeg's own; the file's, such as its title,
# begin with more blanks.
_TRACK = re.compile(r"^  Stream #0:\d.*?: Audio: .*?, (\d+) Hz, ([^,\n]+)", re.MULTILINE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_NOTE = re.compile(r"^\[.*", re.MULTILINE)

_SAMPLE_RATES_HZ = range(4_000, 192_001)
"""Nobody records speech outside of it, but a small file becomes hours: one byte at 1 Hz is a
second.
"""
_POLARITY_RATIO = 0.1
_SHORTFALL = (1.0, 0.01)
"""A recording is called cut short where this many seconds, and this share of what the header says,
are missing.
"""

_UNKNOWN_SIZE = 0x7FFF_0000
"""A size from here on in the header of a wav file is a stand-in, from a program that wrote to a
pipe.
"""

_FIRST_TRACK = ("-map", "0:a:0", "-vn", "-sn", "-dn")
_BEGINNING = ("-t", "30", "-ar", "8000", "-ac", "2")
"""What the polarity of the channels is judged by."""
_TO_PIPE = ("-flush_packets", "0", "-f", "s16le", "pipe:1")
_DAMAGED = (
    "the recording is damaged and cannot be decoded, perhaps cut short; send it again in full"
)


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


def find_ffmpeg(configured: str | None = None) -> str:
    """Give the path of the ffmpeg to use: the configured one, else the one on PATH, else the one in
    the imageio-ffmpeg wheel.

    Raises SettingsError where there is none.
    """
    if configured is not None:
        found = shutil.which(configured)
        if found is None:
            raise SettingsError(
                "FFMPEG_BINARY: no such program; give the full path of ffmpeg, or leave it empty"
            )
        return found
    return shutil.which("ffmpeg") or _packaged_ffmpeg()


def _packaged_ffmpeg() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise SettingsError(
            "FFMPEG_BINARY: there is no ffmpeg; install it, or the imageio-ffmpeg wheel"
        ) from None


class Stream:
    """The first sound track of a file, or a range of it, in bounded memory: blocks of some 30 s,
    float32, shape (samples,), 16 kHz mono.
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
        """Look at the header.

        `start_s` and `end_s` bound the range, in seconds from the start of the file. Where it has
        more than `max_duration_s` seconds, it is refused as soon as so many are decoded.
        `timeout_s` counts the time spent waiting for ffmpeg.

        Raises EmptyAudio, UnsupportedAudio, DamagedAudio, NoAudioTrack, DecodingTimedOut,
        Cancelled; the iteration raises these, and AudioTooLong and RangeOutsideAudio.
        """
        self.start = start_s
        self.end = start_s
        """Seconds from the start of the file to behind what was decoded so far."""
        self.warnings: tuple[str, ...] = ()
        """What the caller should know; complete after the last block."""
        self._max_duration_s = max_duration_s
        # One second more than allowed is asked for, so that having it shows that there is more.
        self._wanted_s = min(float("inf") if end_s is None else end_s - start_s, max_duration_s + 1)
        self._ffmpeg = Ffmpeg(ffmpeg, path, timeout_s=timeout_s, cancelled=cancelled)
        self._track = _inspect(self._ffmpeg, path)

    @property
    def expected_s(self) -> float | None:
        """How many seconds will come if the header tells the truth; None where it does not tell."""
        if self._track.duration_s is None:
            return None
        return min(max(0.0, self._track.duration_s - self.start), self._wanted_s)

    def read(self) -> Waveform:
        """Decode all of it into memory."""
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
        """Decode to int16 instead, shape (samples,); a block is valid until the next one."""
        # Not left to ffmpeg: beyond the end of an Ogg file it gives the last second.
        if self.start > 0 and self.expected_s == 0 and not self._track.is_doubtful:
            raise self._outside()
        count = 0
        for block in self._ffmpeg.run(*self._arguments()):
            count += len(block) // 2
            if count > round(self._max_duration_s * SAMPLE_RATE):
                raise AudioTooLong(
                    f"the recording is longer than {self._max_duration_s:g} s, the most this "
                    "worker takes; use start and end to send parts"
                )
            self.end = self.start + count / SAMPLE_RATE
            yield np.frombuffer(block, "<i2", count=len(block) // 2)
        self._judge(count / SAMPLE_RATE)

    def _arguments(self) -> tuple[str, ...]:
        mono = "pan=mono|c0=0.5*c0-0.5*c1," if self._track.is_antiphase else ""
        # Gaps in the time stamps become silence, so that a time in the samples is a time in the
        # file.
        resample = f"aresample={SAMPLE_RATE}:async=1:first_pts=0"
        filters = f"{mono}{resample},aformat=sample_fmts=s16:channel_layouts=mono"
        return (
            *self._seek,
            "-i",
            INPUT,
            *_FIRST_TRACK,
            "-af",
            filters,
            "-t",
            f"{self._wanted_s:.6f}",
            *_TO_PIPE,
        )

    @property
    def _seek(self) -> tuple[str, ...]:
        return ("-ss", f"{self.start:.6f}") if self.start > 0 else ()

    def _outside(self) -> RangeOutsideAudio:
        return RangeOutsideAudio(
            f"start is {self.start:g} s, but the recording ends before; give a smaller start"
        )

    def _judge(self, seconds: float) -> None:
        """Say in the end what came out; raises where that was nothing."""
        failed = self._ffmpeg.failed
        if seconds == 0 and failed:
            raise DamagedAudio(_DAMAGED)
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


@dataclass(frozen=True, slots=True)
class _Track:
    """What the header says of the first sound track."""

    duration_s: float | None
    is_doubtful: bool
    """The file is not of the size that its header says, so neither need the duration be."""
    is_cut: bool
    """The file is shorter than its header says."""
    is_antiphase: bool
    """One of two channels is upside down, as from a miswired cable: their mean would be silence."""


def _inspect(ffmpeg: Ffmpeg, path: Path) -> _Track:
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise EmptyAudio("the recording has no bytes; check that the upload was complete")
    beginning = b"".join(
        bytes(block) for block in ffmpeg.run("-i", INPUT, *_FIRST_TRACK, *_BEGINNING, *_TO_PIPE)
    )
    said, notes = ffmpeg.messages, "\n".join(_NOTE.findall(ffmpeg.messages))
    if not re.search("^Input #0", said, re.MULTILINE) or "misdetection possible" in notes:
        raise _unreadable(head, notes)
    track = _TRACK.search(said)
    if track is None:
        raise (
            DamagedAudio(_DAMAGED)
            if ": Audio:" in said
            else NoAudioTrack("the file has no sound track; send one that has")
        )
    if int(track[1]) not in _SAMPLE_RATES_HZ:
        raise UnsupportedAudio(
            f"a sample rate of {track[1]} Hz is not supported; send 8,000 to 48,000 Hz"
        )
    return _Track(
        duration_s=None if "Estimating duration from bitrate" in notes else _duration_s(said),
        is_doubtful="growing file" in notes,
        is_cut=_is_cut(head, path.stat().st_size),
        is_antiphase=track[2].strip() in ("stereo", "2 channels") and _cancels(beginning),
    )


def _unreadable(head: bytes, notes: str) -> WorkerError:
    if _SIGNATURES.match(head) and "not on whitelist" not in notes:
        return DamagedAudio(_DAMAGED)
    return UnsupportedAudio(f"not a recording in a supported format; send one of {_FORMATS}")


def _cancels(pcm: bytes) -> bool:
    """Whether the sum of two channels, int16 interleaved, is far below their difference."""
    left, right = (
        np.frombuffer(pcm, "<i2", count=len(pcm) // 4 * 2).reshape(-1, 2).T.astype(np.float32)
    )
    return bool(np.square(left + right).sum() < _POLARITY_RATIO * np.square(left - right).sum())


def _is_cut(head: bytes, size: int) -> bool:
    """Whether a wav or aiff file is shorter than it says, where it says; ffmpeg only tells of the
    others.
    """
    if head[:4] not in (b"RIFF", b"FORM"):
        return False
    declared = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big") + 8
    return size < declared < _UNKNOWN_SIZE


def _duration_s(said: str) -> float | None:
    match = _DURATION.search(said)
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
