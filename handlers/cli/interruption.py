"""What Ctrl-C and SIGTERM do."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

INTERRUPTED = 130
"""The exit code of a command that was interrupted, as shells have it: 128 and SIGINT."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible(stopped: threading.Event) -> Iterator[None]:
    """End at SIGTERM as at Ctrl-C, and at once at the second of either.

    The first is only noted: files that are being written are written and recorded.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
