"""The meaning of an HTTP status, wherever one comes from."""

from __future__ import annotations

_TRANSIENT = (408, 425, 429)
"""Besides 5xx: a timeout, a request that came too early, too many of them."""


def is_transient(status: int) -> bool:
    """Return whether the same request may succeed later."""
    return status in _TRANSIENT or status >= 500
