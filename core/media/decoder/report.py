"""What happened, told once for each stretch."""

from __future__ import annotations

from typing import BinaryIO

from core.media.decoder import protocol
from core.media.decoder.protocol import Event, Happening

_MAX_EVENTS = 1000
_JOINED_S = 0.25
"""Stretches that are no farther apart are one."""


class Report:
    """Sends events; neighbours of one kind are joined."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._open: Event | None = None
        self._sent = 0

    def add(self, what: Happening, start_s: float, end_s: float) -> None:
        """Take a stretch; they come in the order of time."""
        last = self._open
        if last and last.what == what and start_s - last.end_s <= _JOINED_S:
            self._open = Event(what, last.start_s, max(end_s, last.end_s))
            return
        self.flush()
        self._open = Event(what, start_s, end_s)

    def flush(self) -> None:
        """Send what waits for a neighbour."""
        if self._open and self._sent < _MAX_EVENTS:
            protocol.write(self._pipe, self._open)
            self._sent += 1
        self._open = None
