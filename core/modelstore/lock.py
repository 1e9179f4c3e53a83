"""A lock among machines that share a folder: a file that only one can make, and that its owner
keeps touching.

`flock` does not reach from one machine to another on every network file system; making a file that
must not exist does. A killed owner leaves its file behind: who sees it untouched for a minute of
its own clock takes it away. Should two ever hold the lock, both fill the folder with the same
files, each moved into place whole; the marker is written last by either. So the lock saves work,
not the model.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("parakeet.modelstore")


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock that a file is."""

    path: Path
    beat_s: float = 5.0
    """How often its owner touches it, and others look."""
    stale_s: float = 60.0
    """After how long without a touch its owner counts as dead."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, hold it, give it back."""
        owner = uuid.uuid4().hex
        while not self._take(owner):
            log.info("waiting: somebody else fills %s", self.path.parent.name)
            self._wait()
        released = threading.Event()
        beats = threading.Thread(
            target=self._keep, args=(owner, released), name="lock", daemon=True
        )
        beats.start()
        try:
            yield
        finally:
            released.set()
            beats.join()
            if self._owner() == owner:
                self.path.unlink(missing_ok=True)

    def _take(self, owner: str) -> bool:
        try:
            with self.path.open("x") as file:
                file.write(owner)
        except FileExistsError:
            return False
        return True

    def _owner(self) -> str | None:
        try:
            return self.path.read_text()
        except OSError:
            return None

    def _keep(self, owner: str, released: threading.Event) -> None:
        while not released.wait(self.beat_s):
            with contextlib.suppress(OSError):
                if self._owner() == owner:
                    self.path.touch()

    def _wait(self) -> None:
        """Wait until the lock is gone; take it away where nobody touches it."""
        seen, since = self._sign(), time.monotonic()
        while seen is not None:
            time.sleep(min(self.beat_s, 0.5))
            now = self._sign()
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > self.stale_s:
                log.warning(
                    "%s: its lock has not been touched for %.0f s and is taken over",
                    self.path.parent.name,
                    self.stale_s,
                )
                self.path.unlink(missing_ok=True)
                return

    def _sign(self) -> tuple[str | None, int] | None:
        """What changes with every touch; None where there is no lock."""
        try:
            return self._owner(), self.path.stat().st_mtime_ns
        except OSError:
            return None
