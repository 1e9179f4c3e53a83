"""How many bodies are received at a time: when all places are taken, a slow sender gives way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from core.errors import DownloadTimedOut
from handlers.openai.errors import Busy

GRACE_S = 10.0
"""Seconds for which a body may come at any pace."""
SLOW_BYTES_PER_S = 65_536
"""Whoever sends less, on the mean, gives way to a new request when all places are taken."""
QUICK_S = 2.0
"""An upload that took no longer is soon repeated."""
_RETRY_AFTER_S = 5


class Uploads:
    """Places for the bodies that are being received."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[Incoming] = set()

    @property
    def receiving(self) -> int:
        """Bodies that are being received."""
        return len(self._taken)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[Incoming]:
        """Take a place while a body is received.

        Raise Busy if none is free and nobody is slow, DownloadTimedOut if this body is slow and
        has to give way.
        """
        if len(self._taken) >= self._most:
            self._make_room()
        incoming = Incoming()
        self._taken.add(incoming)
        try:
            async with incoming.patience:
                yield incoming
        except TimeoutError:
            if not incoming.patience.expired():
                raise
            raise DownloadTimedOut(
                "the body came slowly, and others wanted its place; try again"
            ) from None
        finally:
            self._taken.discard(incoming)

    def _make_room(self) -> None:
        slowest = min(self._taken, key=lambda incoming: incoming.bytes_per_s)
        if slowest.bytes_per_s >= SLOW_BYTES_PER_S:
            raise Busy(
                f"all places for uploads ({self._most}) are taken; try again later",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._taken.remove(slowest)
        slowest.give_way()


@dataclass(eq=False, slots=True)
class Incoming:
    """A body that is being received."""

    began: float = field(default_factory=time.monotonic)
    received_bytes: int = 0
    patience: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))

    @property
    def bytes_per_s(self) -> float:
        """The mean pace; infinite at first."""
        return self.received_bytes / self._elapsed_s if self._elapsed_s > GRACE_S else float("inf")

    @property
    def is_quick(self) -> bool:
        """Tell whether little was lost if the body were sent again."""
        return self._elapsed_s < QUICK_S

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self.began

    async def counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the pieces of the body, and remember how much came."""
        async for chunk in chunks:
            self.received_bytes += len(chunk)
            yield chunk

    def give_way(self) -> None:
        """Receive no more."""
        self.patience.reschedule(asyncio.get_running_loop().time())
