"""The decoder's process, as the worker holds it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.domain.watch import IsCancelled
from core.errors import Cancelled, DamagedAudio, DecodingTimedOut, InternalError
from core.media.decoder import protocol
from core.media.decoder.protocol import (
    MAX_PAYLOAD_BYTES,
    PLACE,
    PREFIX,
    Asked,
    Event,
    Header,
    Kind,
    Layout,
    Refusal,
    Summary,
)

DAMAGED = "the recording is damaged and cannot be decoded, perhaps cut short; send it again in full"

_PROGRAM = (
    "import sys; sys.path[:0] = sys.argv[2:]; from core.media.decoder.child import main; main()"
)
_ROOT = Path(__file__).parents[3]
_PIPE_BYTES = 1 << 20
_POLL_S = 0.1
_LOOK_CPU_S = 20
_LEAST_CPU_S = 60
_CPU_S_PER_MB = 2.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples with their place, float32, shape (channels, samples)."""

    position: int
    samples: NDArray[np.float32]


Message = Header | Layout | Chunk | Event | Summary | Refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """What the decoder of one file may take. The time counts only while it is waited for."""

    python: str
    """The program that runs the decoder."""
    timeout_s: float
    cancelled: IsCancelled


class Decoder:
    """A child that decodes one file; close it in the end."""

    def __init__(self, path: Path, asked: Asked, limits: Limits) -> None:
        self._limits = limits
        self._left_s = limits.timeout_s
        with path.open("rb") as file:
            self._child = subprocess.Popen(
                _command(limits.python, asked),
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                bufsize=0,
            )
        self._output = cast(io.FileIO, self._child.stdout)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        with contextlib.suppress(OSError, AttributeError):  # not Linux, or not allowed
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def messages(self) -> Iterator[Message]:
        """Return what it says, in order.

        Raise DecodingTimedOut, DamagedAudio if it does not end well, Cancelled.
        """
        while (prefix := self._exactly(PREFIX.size)) is not None:
            yield self._message(prefix)
        self._judge_end()

    def _message(self, prefix: bytearray) -> Message:
        kind, length = PREFIX.unpack(prefix)
        payload = self._exactly(length) if length <= MAX_PAYLOAD_BYTES else None
        if payload is None:
            self._judge_end()
            raise DamagedAudio(DAMAGED)
        try:
            if kind == Kind.SAMPLES.encode():
                return _chunk(payload)
            return protocol.parse(Kind(kind.decode()), bytes(payload))
        except (ValueError, TypeError, KeyError):
            raise DamagedAudio(DAMAGED) from None

    def _exactly(self, count: int) -> bytearray | None:
        """Read so many bytes; None if the child ends before."""
        found = bytearray(count)
        view, filled = memoryview(found), 0
        while filled < count:
            self._check()
            began = time.monotonic()
            taken = self._output.readinto(view[filled:]) if self._selector.select(_POLL_S) else None
            self._left_s -= time.monotonic() - began
            if taken == 0:
                return None
            filled += taken or 0
        return found

    def _check(self) -> None:
        if self._limits.cancelled():
            raise Cancelled("the job was cancelled while the recording was decoded")
        if self._left_s <= 0:
            raise DecodingTimedOut(
                f"the recording could not be decoded within {self._limits.timeout_s:g} s; try "
                "again, or send wav or flac"
            )

    def _judge_end(self) -> None:
        status = self._child.wait(timeout=10)
        if status == -signal.SIGXCPU:
            raise DecodingTimedOut(
                "the recording takes more processor time than a recording of its size may; send "
                "wav or flac",
                retryable=False,
            )
        if status == -signal.SIGKILL:  # the file has no part in it: memory has a limit of its own
            raise InternalError("the decoder was killed, perhaps as memory ran out; try again")
        if status > 0:  # nor in this: the child catches everything
            raise InternalError("the decoder did not start; see the worker's log")
        if status:
            raise DamagedAudio(DAMAGED)

    def close(self) -> None:
        """End the child, whatever it does."""
        self._child.kill()
        self._child.wait()
        self._selector.close()
        self._output.close()


def asked_of(path: Path, start_s: float, end_s: float, track: int | None) -> Asked:
    """Ask for a range of a track, with limits that grow with the file."""
    cpu_s = round(_LEAST_CPU_S + _CPU_S_PER_MB * path.stat().st_size / 1e6)
    return Asked(start_s, end_s, track, cpu_s=cpu_s, look_cpu_s=_LOOK_CPU_S)


def _command(python: str, asked: Asked) -> list[str]:
    """Without the environment, the user's packages and what installed packages start by themselves:
    the child finds this project and PyAV alone.
    """
    av = importlib.util.find_spec("av")
    packages = Path(av.origin).parents[1] if av and av.origin else _ROOT
    flags = ["-I", "-S", "-B", "-c", _PROGRAM]
    return [python, *flags, protocol.write_asked(asked), str(_ROOT), os.fspath(packages)]


def _chunk(payload: bytearray) -> Chunk:
    position, planes, width = PLACE.unpack_from(payload)
    samples = np.frombuffer(payload, "<f4", offset=PLACE.size).reshape(planes, -1, width)
    return Chunk(position, samples[:, :, 0] if width == 1 else samples[0].T)
