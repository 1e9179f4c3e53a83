"""The meaning of HTTP statuses."""

from __future__ import annotations

_TRANSIENT = (408, 425, 429)
"""Besides 5xx: request timeout, too early, too many requests."""


def is_transient(status: int) -> bool:
    """Tell whether the same request may succeed later."""
    return status in _TRANSIENT or status >= 500
