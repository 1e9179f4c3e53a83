"""The common part of all places that a recording comes from."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Protocol

from core.errors import SourceTooLarge

CHUNK_BYTES = 65_536
CONNECT_TIMEOUT_S = 15.0

_PLACEHOLDER = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?[a-z]")
_CLIENTS = ("requests", "urllib3")


class Origin(Protocol):
    """A place that a recording comes from."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the file, piece by piece; raise SourceError or RequestError."""
        ...

    def cut(self) -> None:
        """Make a `chunks` that runs in another thread end soon."""
        ...


def too_large(max_bytes: int) -> SourceTooLarge:
    """Return the error for a recording that has more than `max_bytes` bytes."""
    return SourceTooLarge(
        f"the recording is larger than {max_bytes:,} bytes, the most this worker takes; send a "
        "compressed format or a part of it"
    )


def keep_urls_out_of_the_log() -> None:
    """Make the HTTP libraries log their own words alone.

    A URL may be presigned, and a host chooses what its answer holds.
    """
    # A filter of a parent is not asked about a child's lines.
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _CLIENTS:
            logging.getLogger(name).addFilter(_own_words)


def _own_words(record: logging.LogRecord) -> bool:
    if record.args:
        record.msg, record.args = _PLACEHOLDER.sub("…", str(record.msg)), ()
    record.exc_info = None
    return True
