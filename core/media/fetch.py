"""Bring a recording from wherever the caller put it into a local file.

`fetch` chooses the place by the scheme. What is the same for all places is here: one deadline for
everything from the name lookup to the last byte, one cap on the bytes, and the end of a download
that nobody wants any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from core.domain.request import LocalFile, Source
from core.domain.watch import IsCancelled
from core.errors import DownloadFailed, DownloadTimedOut, EmptyAudio, InvalidUrl
from core.media.bucket import Bucket
from core.media.deadline import Task, run_within
from core.media.guarded import Reach
from core.media.inline import Inline
from core.media.job_folder import disk_errors
from core.media.origin import Origin, too_large
from core.media.web import Web
from core.settings import Settings


def check(source: Source | LocalFile, settings: Settings) -> None:
    """Check a source without fetching it, before it is passed on.

    Raise InvalidUrl, InvalidBase64, EmptyAudio, SourceTooLarge, DownloadFailed. An s3 URL is not
    looked at: its settings are the fetcher's.
    """
    if isinstance(source, LocalFile):
        _found(source, settings.max_audio_bytes)
        return
    if source.scheme == "s3":
        return
    origin = _origin(source, settings)
    if isinstance(origin, Inline) and not any(origin.chunks()):
        raise _empty()


def fetch(
    source: Source | LocalFile,
    folder: Path,
    *,
    settings: Settings,
    cancelled: IsCancelled = lambda: False,
) -> Path:
    """Bring the recording into `folder` and return the file; one on this disk stays where it is.

    Raise InvalidUrl, BlockedAddress, DownloadFailed, DownloadTimedOut, StorageNotConfigured,
    SourceTooLarge, InvalidBase64, EmptyAudio, DiskFailed, Cancelled.
    """
    if isinstance(source, LocalFile):
        return _found(source, settings.max_audio_bytes)
    origin = _origin(source, settings)
    path = folder / "recording"
    stopped = threading.Event()

    def save() -> None:
        _save(origin.chunks(), path, settings.max_audio_bytes, stopped)

    def stop() -> None:
        stopped.set()
        origin.cut()

    def late() -> DownloadTimedOut:
        return DownloadTimedOut(
            f"the recording did not arrive within {settings.download_timeout:g} s; try again, or "
            "host it closer"
        )

    run_within(
        settings.download_timeout,
        Task("fetch", "the recording was fetched", save, stop, late),
        cancelled,
    )
    return path


def _found(source: LocalFile, max_bytes: int) -> Path:
    """Return a file of this disk, if it can be read and is neither empty nor too large."""
    try:
        about = source.path.stat()
        if not about.st_size:  # also a pipe, which would keep whoever opens it waiting
            raise _empty()
        with source.path.open("rb"):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DownloadFailed(f"the file cannot be read ({reason})") from None
    if about.st_size > max_bytes:
        raise too_large(max_bytes)
    return source.path


def _origin(source: Source, settings: Settings) -> Origin:
    scheme = source.scheme
    if scheme in ("http", "https"):
        return Web(
            source.value,
            max_bytes=settings.max_audio_bytes,
            timeout_s=settings.download_timeout,
            reach=Reach.of(settings),
        )
    if scheme == "s3":
        return Bucket(source.value, settings)
    if scheme in (None, "data"):
        return Inline(source.value, max_bytes=settings.max_audio_bytes)
    raise InvalidUrl(
        f"{scheme[:20]}: is not fetched; give an http(s):// or s3:// URL, a data: URI or base64 "
        "text"
    )


def _empty() -> EmptyAudio:
    return EmptyAudio("the recording has no bytes; check that the upload was complete")


def _save(chunks: Iterator[bytes], path: Path, max_bytes: int, stopped: threading.Event) -> None:
    size = 0
    with disk_errors(), path.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise too_large(max_bytes)
            if stopped.is_set():
                return
            file.write(chunk)
    if not size:
        raise _empty()
