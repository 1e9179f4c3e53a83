"""What every place that a recording comes from has to offer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from core.errors import SourceTooLarge

CHUNK_BYTES = 65_536
CONNECT_TIMEOUT_S = 15.0


class Origin(Protocol):
    """A place that a recording comes from."""

    def chunks(self) -> Iterator[bytes]:
        """Give the file, piece by piece; raises SourceError or RequestError."""
        ...

    def cut(self) -> None:
        """Make a `chunks` that runs in another thread end soon."""
        ...


def too_large(max_bytes: int) -> SourceTooLarge:
    """The error for a recording that has more than `max_bytes` bytes."""
    return SourceTooLarge(
        f"the recording is larger than {max_bytes:,} bytes, the most this worker takes; send a "
        "compressed format or a part of it"
    )


def is_transient(status: int) -> bool:
    """Whether an HTTP status means that the same request may succeed later."""
    return status in (408, 425, 429) or status >= 500
