"""From a file in any format to 16 kHz mono samples, by ffmpeg in a process of its own.

The file is a stranger's: ffmpeg gets no environment, no network, no other file, no playlist format, and bounded memory, time and output. How long a
recording is, is what came out of the decoder, never what the header says.
"""

from __future__ import annotations

import contextlib
import re
import resource
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import (
    AudioTooLong,
    Cancelled,
    DamagedAudio,
    DecodingTimedOut,
    EmptyAudio,
    NoAudioTrack,
    RangeOutsideAudio,
    SettingsError,
    UnsupportedAudio,
    WorkerError,
)

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Samples per second: what Parakeet and pyannote were trained on."""

FORMATS = "wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov, mkv, wma, amr, aiff"
_DEMUXERS = "wav,w64,mp3,flac,ogg,mov,matroska,aac,asf,amr,aiff,caf"
"""ffmpeg's names. Left out on purpose: all that names other files (hls, concat, dash, sdp…), avi (may hold a playlist), raw and text formats."""
_SIGNATURES = re.compile(
    rb"RIFF|RF64|ID3|fLaC|OggS|FORM|caff|#!AMR|\x1aE\xdf\xa3|\x30\x26\xb2\x75|\xff[\xe0-\xff]|.{4}(ftyp|moov|mdat|wide|free|skip)",
    re.DOTALL,
)
_TRACK = re.compile(r"Stream #0:\d.*?: Audio: .*?, (\d+) Hz, ([^,\n]+)")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.\d+)")
_SAMPLE_RATES_HZ = range(4_000, 192_001)
"""Outside of it no speech is recorded, but a small file becomes hours: one byte at 1 Hz is a second."""
_MAX_CHANNELS = 8

_BLOCK_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20
_MAX_MESSAGE_BYTES = 65_536
_MAX_MEMORY_BYTES = 2 << 30
_POLL_S = 0.1
_POLARITY_S = 30.0
_SHORTFALL_S = 1.0


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


def _never() -> bool:
    return False


def find_ffmpeg(configured: str | None = None) -> str:
    """Give the path of the ffmpeg to use: the configured one, else the one on PATH, else the one in the imageio-ffmpeg wheel.

    Raises SettingsError where there is none.
    """
    if configured is not None:
        found = shutil.which(configured)
        if found is None:
            raise SettingsError("FFMPEG_BINARY: no such program; give the full path of ffmpeg, or leave it empty")
        return found
    return shutil.which("ffmpeg") or _packaged_ffmpeg()


def _packaged_ffmpeg() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise SettingsError("FFMPEG_BINARY: there is no ffmpeg; install it, or the imageio-ffmpeg wheel") from None


def decode(
    path: Path,
    *,
    ffmpeg: str,
    max_duration_s: float,
    start_s: float = 0.0,
    end_s: float | None = None,
    timeout_s: float = 600.0,
    cancelled: Callable[[], bool] = _never,
) -> Waveform:
    """Decode the first sound track of a file, or a range of it, in whole. For the arguments and the errors see `Stream`."""
    stream = Stream(
        path, ffmpeg=ffmpeg, max_duration_s=max_duration_s, start_s=start_s, end_s=end_s, timeout_s=timeout_s, cancelled=cancelled
    )
    samples = np.empty(int((stream.expected_s or 0) * SAMPLE_RATE) + SAMPLE_RATE, np.float32)
    count = 0
    for pcm in stream.pcm():
        if count + len(pcm) > len(samples):
            samples = np.concatenate((samples[:count], np.empty(max(count, len(pcm)), np.float32)))
        _to_float(pcm, samples[count : count + len(pcm)])
        count += len(pcm)
    return Waveform(samples[:count], start_s, stream.warnings)


class Stream:
    """The samples of the first sound track as blocks of some 30 s, float32, shape (samples,); goes through once, in bounded memory."""

    def __init__(
        self,
        path: Path,
        *,
        ffmpeg: str,
        max_duration_s: float,
        start_s: float = 0.0,
        end_s: float | None = None,
        timeout_s: float = 600.0,
        cancelled: Callable[[], bool] = _never,
    ) -> None:
        """Look at the file's header.

        `start_s` and `end_s` bound the range, in seconds from the start of the file. More than `max_duration_s` seconds in it are refused, while they
        are decoded. `timeout_s` counts the time spent waiting for ffmpeg.

        Raises EmptyAudio, UnsupportedAudio, DamagedAudio, NoAudioTrack, DecodingTimedOut, Cancelled; iterating raises these and AudioTooLong,
        RangeOutsideAudio.
        """
        self.start = start_s
        self.warnings: tuple[str, ...] = ()
        """What the caller should know; complete after the last block."""
        self._ffmpeg = _Ffmpeg(ffmpeg, path, timeout_s, cancelled)
        self._max_duration_s = max_duration_s
        # One second beyond the limit is asked for, so that reaching it shows.
        self._wanted_s = min(float("inf") if end_s is None else end_s - start_s, max_duration_s + 1)
        self._track = _inspect(self._ffmpeg, path)

    @property
    def expected_s(self) -> float | None:
        """How many seconds to expect by the header; None where it does not tell. A hint only."""
        if self._track.duration_s is None:
            return None
        return min(max(0.0, self._track.duration_s - self.start), self._wanted_s)

    def __iter__(self) -> Iterator[Samples]:
        """Decode."""
        for pcm in self.pcm():
            yield _to_float(pcm, np.empty(len(pcm), np.float32))

    def pcm(self) -> Iterator[NDArray[np.int16]]:
        """Decode to 16-bit integers instead, each block valid until the next."""
        count = 0
        limit = round(self._max_duration_s * SAMPLE_RATE)
        for block in self._ffmpeg.run(self._arguments()):
            count += len(block) // 2
            if count > limit:
                raise AudioTooLong(
                    f"the recording is longer than {self._max_duration_s:g} s, the most this worker takes; send parts of it, with start and end"
                )
            yield np.frombuffer(block, "<i2")
        self._judge(count / SAMPLE_RATE)

    def _arguments(self) -> tuple[str, ...]:
        mono = "pan=mono|c0=0.5*c0-0.5*c1," if self._is_antiphase() else ""
        # Gaps in the time stamps become silence, so that a time in the samples is a time in the file.
        filters = f"{mono}aresample={SAMPLE_RATE}:async=1:first_pts=0,aformat=sample_fmts=s16:channel_layouts=mono"
        return (
            *_seek(self.start),
            "-i",
            "{input}",
            *_TRACK_ONLY,
            "-af",
            filters,
            "-t",
            f"{self._wanted_s:.6f}",
            "-flush_packets",
            "0",
            "-f",
            "s16le",
            "pipe:1",
        )

    def _is_antiphase(self) -> bool:
        """Whether one channel of two is upside down (a miswired cable): their mean would be silence."""
        if self._track.layout not in ("stereo", "2 channels"):
            return False
        filters = "aresample=8000,aformat=sample_fmts=s16"
        arguments = (
            *_seek(self.start),
            "-t",
            f"{_POLARITY_S}",
            "-i",
            "{input}",
            *_TRACK_ONLY,
            "-af",
            filters,
            "-flush_packets",
            "0",
            "-f",
            "s16le",
            "pipe:1",
        )
        pcm = b"".join(bytes(block) for block in self._ffmpeg.run(arguments))
        left, right = np.frombuffer(pcm[: len(pcm) // 4 * 4], "<i2").reshape(-1, 2).T.astype(np.float32)
        return bool(np.square(left + right).sum() < 0.1 * np.square(left - right).sum())

    def _judge(self, seconds: float) -> None:
        """Say what came out in the end; raises where that was nothing."""
        failed = self._ffmpeg.failed
        if seconds == 0 and self.start > 0 and not failed:
            raise RangeOutsideAudio(f"start is {self.start:g} s, but the recording ends before; give a smaller start")
        if seconds == 0:
            raise DamagedAudio(_DAMAGED) if failed else EmptyAudio("the recording holds no sound; check that the upload was complete")
        expected_s = self.expected_s
        if self._track.is_cut or failed or (expected_s is not None and seconds < 0.99 * expected_s - _SHORTFALL_S):
            self.warnings = (f"the recording seems to be cut short or damaged: it could be read up to {self.start + seconds:.1f} s",)


_TRACK_ONLY = ("-map", "0:a:0", "-vn", "-sn", "-dn")
_DAMAGED = "the recording is damaged and cannot be decoded, perhaps cut short; send it again in full"


def _seek(start_s: float) -> tuple[str, ...]:
    return ("-ss", f"{start_s:.6f}") if start_s > 0 else ()


def _to_float(pcm: NDArray[np.int16], into: Samples) -> Samples:
    return np.multiply(pcm, np.float32(1 / 32_768), out=into)


@dataclass(frozen=True, slots=True)
class _Track:
    """What the header says of the first sound track."""

    layout: str
    duration_s: float | None
    is_cut: bool
    """The file ends before the place that its header names."""


def _inspect(ffmpeg: _Ffmpeg, path: Path) -> _Track:
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise EmptyAudio("the recording has no bytes; check that the upload was complete")
    for _ in ffmpeg.run(("-i", "{input}")):
        pass
    said = ffmpeg.messages
    if "Input #0" not in said or "misdetection possible" in said:
        raise _unreadable(head, said)
    track = _TRACK.search(said)
    if track is None:
        raise DamagedAudio(_DAMAGED) if ": Audio:" in said else NoAudioTrack("the file has no sound track; send one that has")
    for rate, layout in _TRACK.findall(said):
        _check_plausible(int(rate), layout)
    return _Track(track[2].strip(), _duration_s(said), "Packet corrupt" in said)


def _unreadable(head: bytes, said: str) -> WorkerError:
    if _SIGNATURES.match(head) and "not on whitelist" not in said:
        return DamagedAudio(_DAMAGED)
    return UnsupportedAudio(f"not a recording in a supported format; send one of {FORMATS}")


def _check_plausible(rate_hz: int, layout: str) -> None:
    channels = re.match(r"(\d+) channels", layout)
    if rate_hz not in _SAMPLE_RATES_HZ:
        raise UnsupportedAudio(f"a sample rate of {rate_hz} Hz is not supported; send 8,000 to 48,000 Hz")
    if channels and int(channels[1]) > _MAX_CHANNELS:
        raise UnsupportedAudio(f"{channels[1]} channels are not supported; mix them down to one or two")


def _duration_s(said: str) -> float | None:
    match = _DURATION.search(said)
    if match is None or "Estimating duration from bitrate" in said:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


class _Ffmpeg:
    """ffmpeg, tied down to one file. The time limit is for all its runs together."""

    def __init__(self, program: str, path: Path, timeout_s: float, cancelled: Callable[[], bool]) -> None:
        self._command = (program, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-threads", "1")
        self._guards = ("-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS)
        self._input = f"file:{path.absolute()}"
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._cancelled = cancelled
        self.failed = False
        """The last run ended with an error."""
        self.messages = ""
        """What the last run wrote to its standard error, up to a limit."""

    def run(self, arguments: tuple[str, ...]) -> Iterator[memoryview]:
        """Run, with "{input}" standing for the file, and give the standard output in blocks of whole samples, each valid until the next."""
        command = (*self._command, *self._guards, *(self._input if argument == "{input}" else argument for argument in arguments))
        with contextlib.closing(_Process(command)) as process:
            yield from self._read(process)
            self.failed = process.wait() != 0
            self.messages = process.messages.decode(errors="replace")

    def _read(self, process: _Process) -> Iterator[memoryview]:
        block = memoryview(bytearray(_BLOCK_BYTES))
        filled = 0
        while process.is_open:
            self._check()
            began = time.monotonic()
            filled += process.read(block[filled:])
            self._left_s -= time.monotonic() - began
            if filled == _BLOCK_BYTES:
                yield block
                filled = 0
        if filled > 1:
            yield block[: filled // 2 * 2]

    def _check(self) -> None:
        if self._cancelled():
            raise Cancelled("the job was cancelled while the recording was decoded")
        if self._left_s <= 0:
            raise DecodingTimedOut(f"the recording could not be decoded within {self._timeout_s:g} s; try again, or send wav or flac")


class _Process:
    """A child that writes to two pipes."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, bufsize=0)
        self.messages = bytearray()
        self._selector = selectors.DefaultSelector()
        for pipe in (self._child.stdout, self._child.stderr):
            self._selector.register(pipe, selectors.EVENT_READ)  # type: ignore[arg-type]
        _bound(self._child)

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return bool(self._selector.get_map())

    def read(self, into: memoryview) -> int:
        """Wait a moment for output; take standard output into `into`, standard error into `messages`; return the number of bytes taken."""
        count = 0
        for key, _ in self._selector.select(_POLL_S):
            pipe: Any = key.fileobj
            if pipe is self._child.stdout:
                count = taken = pipe.readinto(into)
            else:
                text = pipe.read(4096)
                taken = len(text)
                self.messages += text[: max(0, _MAX_MESSAGE_BYTES - len(self.messages))]
            if not taken:
                self._selector.unregister(pipe)
        return count

    def wait(self) -> int:
        """Wait for the end of a child that closed its pipes; return its exit status."""
        return self._child.wait()

    def close(self) -> None:
        """End the child, whatever it does."""
        self._child.kill()
        self._child.wait()
        self._selector.close()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()


def _bound(child: subprocess.Popen[bytes]) -> None:
    """Bound what a child may take. From outside, because code between fork and exec is unsafe in a process with threads."""
    limits = ((resource.RLIMIT_AS, _MAX_MEMORY_BYTES), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
    with contextlib.suppress(OSError, AttributeError):  # not Linux, or already ended
        for kind, limit in limits:
            resource.prlimit(child.pid, kind, (limit, limit))
        import fcntl

        fcntl.fcntl(child.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[union-attr]
