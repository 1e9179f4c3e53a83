"""How many requests are taken at a time: some are worked on, some wait, all others come later.

Those whose bodies are still being received are counted in `uploads`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterator

from handlers.openai.errors import Busy

_LONGEST_S = 60
"""The longest that a caller is told to wait."""
_WEIGHT = 0.2
"""Of the last job, in the mean of their durations."""


class Seats:
    """Places for requests that wait or are worked on, and turns at the work."""

    def __init__(self, running: int, waiting: int) -> None:
        self._running = running
        self._places = running + waiting
        self._taken = 0
        self._turns = asyncio.Semaphore(running)
        self._mean_s = 1.0
        self.working = 0
        """Requests that are worked on."""

    @property
    def waiting(self) -> int:
        """Requests that have a place and no turn yet."""
        return self._taken - self.working

    def check(self) -> None:
        """Raise Busy if a new request would find no place."""
        if self._taken >= self._places:
            raise Busy(
                f"{self._places} requests are being worked on or wait; try again later",
                retry_after_s=self._retry_after_s,
            )

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take a place, from the end of the upload to the end of the answer.

        There is always one, so that no long upload is in vain. Call `check` first if a refusal
        costs the caller little.
        """
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn at the work, in the order of asking."""
        async with self._turns:
            self.working += 1
            began = time.monotonic()
            try:
                yield
            finally:
                self.working -= 1
                self._mean_s += _WEIGHT * (time.monotonic() - began - self._mean_s)

    @property
    def _retry_after_s(self) -> int:
        """The seconds until a place is likely to be free."""
        return min(_LONGEST_S, max(1, math.ceil(self._mean_s / self._running)))
