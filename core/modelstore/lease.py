"""A lease on a folder, among all machines that share it.

`flock` does not reach from one machine to another on every network file system. filelock's lease
does: it is a file that only one process can create and that its owner keeps touching.

Two owners at once cost time, not the model: both fetch the same files, and both write the marker
last.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import SoftFileLease, Timeout

log = logging.getLogger("parakeet.modelstore")

_POLL_S = 0.5


@contextlib.contextmanager
def lease(folder: Path, *, beat_s: float = 5.0, stale_s: float = 60.0) -> Iterator[None]:
    """Wait for the lease on a folder and hold it.

    Its owner touches it every `beat_s` and counts as dead after `stale_s` without a touch. All who
    want the lease must agree on `stale_s`. Raises OSError if the folder cannot be written.
    """
    lock = SoftFileLease(folder / ".lock", lease_duration=stale_s, heartbeat_interval=beat_s)
    _acquire(lock, folder.name, limit_s=stale_s + beat_s)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: SoftFileLease, name: str, *, limit_s: float) -> None:
    file = _Watched(Path(lock.lock_file))
    if _is_acquired(lock, name):
        return
    log.info("waiting: somebody else fills %s", name)
    while not _is_acquired(lock, name):
        # filelock leaves two files alone for ever: an empty one, from a process that was killed
        # while it wrote, and any on a file system that cannot exchange two names, such as NFS.
        if file.unchanged_s() > limit_s:
            _log_takeover(name)
            lock.force_break()
        time.sleep(_POLL_S)


def _is_acquired(lock: SoftFileLease, name: str) -> bool:
    """Try once.

    filelock does not say that it took a lease over, so an owner just before a success counts as
    one: a release between the two lines is too rare to matter to a log.
    """
    owner = lock.owner
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    if owner is not None:
        _log_takeover(name)
    return True


def _log_takeover(name: str) -> None:
    log.warning("%s: whoever was filling it has stopped; its lock is taken over", name)


@dataclass(slots=True)
class _Watched:
    """A file whose changes are timed by this machine's own clock."""

    path: Path
    _seen: tuple[int, int] | None = None
    _since: float = field(default_factory=time.monotonic)

    def unchanged_s(self) -> float:
        """Return the seconds since a look first saw the file as it is now."""
        now, seen = time.monotonic(), self._look()
        if seen is None or seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since

    def _look(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns
