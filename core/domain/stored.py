"""An answer that was put where its caller said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an answer is, and how to tell that it is whole."""

    url: str
    """Without user, query and fragment, any of which may be secret."""
    bytes: int
    sha256: str
    """In hexadecimal digits."""
