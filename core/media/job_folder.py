"""The folders in which jobs keep recordings, in one that nobody else can change."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import DiskFailed, SettingsError, WorkerError

_PASSING = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS),
    *(errno.ENFILE, errno.EMFILE, errno.ENOMEM),
)
"""What may be over later, or is not so on another worker."""


@contextmanager
def job_folder(temp_dir: Path) -> Iterator[Path]:
    """Make a fresh folder that only this user can enter, and remove it with all its content,
    whatever happens.

    Raise DiskFailed.
    """
    with disk_errors():
        _prepare(temp_dir)
        made = TemporaryDirectory(prefix="job-", dir=temp_dir, ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def check_temp_dir(temp_dir: Path) -> None:
    """Make a job's folder with a file and remove it; raise SettingsError if that fails."""
    try:
        with job_folder(temp_dir) as folder, disk_errors():
            (folder / "recording").write_bytes(b"sound")
    except DiskFailed as error:
        raise SettingsError(f"TEMP_DIR: {error}") from None


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn an OSError that is not ours into DiskFailed, without its path."""
    try:
        yield
    except WorkerError:
        raise
    except OSError as error:
        raise _disk_failed(error) from None


def _prepare(temp_dir: Path) -> None:
    temp_dir.parent.mkdir(parents=True, exist_ok=True)
    temp_dir.mkdir(mode=0o700, exist_ok=True)
    about = temp_dir.lstat()
    if stat.S_ISLNK(about.st_mode):
        raise DiskFailed("the worker's folder for recordings is a link; name the folder itself")
    if about.st_uid not in (os.geteuid(), 0):
        raise DiskFailed(
            "the worker's folder for recordings is another user's; name one of its own"
        )
    if about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX:
        raise DiskFailed(
            "everybody may write to the worker's folder for recordings; name one of its own"
        )


def _disk_failed(error: OSError) -> DiskFailed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFailed("the worker's disk is full; try again later", retryable=True)
    reason = error.strerror or type(error).__name__
    retryable = error.errno in _PASSING
    advice = "try again later" if retryable else "whoever runs it must look at TEMP_DIR"
    return DiskFailed(
        f"the worker cannot keep a recording on its disk ({reason}); {advice}", retryable=retryable
    )
