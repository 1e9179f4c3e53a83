"""The changes of one endpoint: who waits for one, and who acts on each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


class Changes:
    """Wakes everybody who waits, and calls everybody who follows."""

    def __init__(self) -> None:
        self.followers: list[Callable[[], None]] = []
        """Called after every change and at every tick."""
        self._next = asyncio.Event()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._next.set()
        self._next = asyncio.Event()

    def follow(self) -> None:
        """Call the followers."""
        for act in self.followers:
            act()

    def act(self) -> None:
        """Wake everybody, and let the followers adapt at once."""
        self.wake()
        self.follow()

    async def next(self, within_s: float) -> None:
        """Wait for the next change, or for the time to pass."""
        changed = self._next
        with contextlib.suppress(TimeoutError):
            # wait_for of this Python can swallow a cancellation.
            async with asyncio.timeout(within_s):
                await changed.wait()

    async def until(
        self,
        look: Callable[[], _Found | None],
        wait_s: float,
        over: Callable[[], bool] = lambda: False,
    ) -> _Found | None:
        """Look after every change until there is something, the time has passed, or it is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while (found := look()) is None:
            left = deadline - loop.time()
            if left <= 0 or over():
                return None
            await self.next(left)
        return found
