"""What the code of a failure says to programs."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import DiskFailed, DownloadFailed, UploadFailed, WorkerError

SECOND_CODES = frozenset(
    kind.code_if_retryable for kind in (DownloadFailed, DiskFailed, UploadFailed)
)
"""The codes of failures that have another one if they will not pass."""


def is_retryable(code: str) -> bool:
    """Return whether the request that failed with this code may succeed later."""
    return code in SECOND_CODES or any(
        kind.retryable and kind.code == code for kind in _kinds(WorkerError)
    )


def is_known(code: str) -> bool:
    """Return whether it is a code of `core.errors`, so that `is_retryable` can tell."""
    return code in SECOND_CODES or any(kind.code == code for kind in _kinds(WorkerError))


def _kinds(kind: type[WorkerError]) -> Iterator[type[WorkerError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
