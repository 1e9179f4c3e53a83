"""ffmpeg as a child process that can do one thing: turn one file into samples.

Strangers sent the file. So ffmpeg gets no environment, no network, no other file, no format that
names other files, and bounded memory, time and output.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import resource
import selectors
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from core.domain.watch import IsCancelled
from core.errors import Cancelled, DecodingTimedOut

INPUT = "{input}"
"""The placeholder for the file in arguments."""
FIRST_TRACK = ("-map", "0:a:0", "-vn", "-sn", "-dn")
TO_PIPE = ("-flush_packets", "0", "-f", "s16le", "pipe:1")

_DEMUXERS = "wav,w64,mp3,flac,ogg,mov,matroska,aac,asf,amr,aiff,caf"
"""ffmpeg's names of the supported formats.

Left out on purpose: formats that name other files (hls, concat, dash, sdp…), avi, which may contain
a playlist, and text.
"""
_OPTIONS = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-threads", "1")
_GUARDS = ("-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS)
_BLOCK_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20
_MAX_MESSAGE_BYTES = 1 << 20
_MAX_MEMORY_BYTES = 1 << 30
_POLL_S = 0.1


class Ffmpeg:
    """ffmpeg for one file.

    The time limit is for all its runs together, and counts only the time spent waiting for it.
    """

    def __init__(
        self, program: str, path: Path, *, timeout_s: float, cancelled: IsCancelled
    ) -> None:
        self._command = (program, *_OPTIONS, *_GUARDS)
        self._input = f"file:{path.absolute()}"
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._cancelled = cancelled
        self.failed = False
        """True if the last run ended with an error."""
        self.messages = ""
        """The standard error of the last run, up to a limit."""

    def run(self, *arguments: str) -> Iterator[memoryview]:
        """Run, and yield the standard output in blocks of 1 MiB, of which the last is shorter.

        A block is valid until the next one. Raise DecodingTimedOut, Cancelled.
        """
        arguments = tuple(self._input if argument == INPUT else argument for argument in arguments)
        with contextlib.closing(_Process(*self._command, *arguments)) as process:
            yield from self._blocks(process)
            self.failed = process.wait() != 0
            self.messages = process.messages.decode(errors="replace")

    def _blocks(self, process: _Process) -> Iterator[memoryview]:
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
        if filled:
            yield block[:filled]

    def _check(self) -> None:
        if self._cancelled():
            raise Cancelled("the job was cancelled while the recording was decoded")
        if self._left_s <= 0:
            raise DecodingTimedOut(
                f"the recording could not be decoded within {self._timeout_s:g} s; try again, or "
                "send wav or flac"
            )


class _Process:
    """A child process that writes to two pipes."""

    def __init__(self, *command: str) -> None:
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            bufsize=0,
        )
        self._output = cast(io.FileIO, self._child.stdout)
        self._errors = cast(io.FileIO, self._child.stderr)
        self.messages = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._errors, selectors.EVENT_READ)
        self._bound()

    def _bound(self) -> None:
        """Bound the child's resources.

        This is done from outside: between fork and exec no code is safe in a process with threads.
        """
        limits = (
            (resource.RLIMIT_DATA, _MAX_MEMORY_BYTES),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        )
        with contextlib.suppress(OSError, AttributeError):  # not Linux, or not allowed
            for kind, limit in limits:
                resource.prlimit(self._child.pid, kind, (limit, limit))
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    @property
    def is_open(self) -> bool:
        """Tell whether more output may come."""
        return bool(self._selector.get_map())

    def read(self, into: memoryview) -> int:
        """Wait briefly for output; read the standard one into `into`, errors into `messages`.

        Return the number of bytes read into `into`.
        """
        count = 0
        for key, _ in self._selector.select(_POLL_S):
            if key.fileobj is self._output:
                count = taken = self._output.readinto(into) or 0
            else:
                taken = self._read_message()
            if not taken:
                self._selector.unregister(key.fileobj)
        return count

    def _read_message(self) -> int:
        text = self._errors.read(4096) or b""
        self.messages += text[: max(0, _MAX_MESSAGE_BYTES - len(self.messages))]
        return len(text)

    def wait(self) -> int:
        """Wait for the end of the child, once its pipes are closed; return its exit status."""
        return self._child.wait(timeout=10)

    def close(self) -> None:
        """End the child, whatever it does."""
        self._child.kill()
        self._child.wait()
        self._selector.close()
        self._output.close()
        self._errors.close()
