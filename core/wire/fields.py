"""The type of answers, and text that fits into their fields."""

from __future__ import annotations

import unicodedata

Answer = dict[str, object]
"""Plain JSON, ready for `json.dumps`."""


def one_line(text: str) -> str:
    """Return the text with single blanks for all white space, and without control characters."""
    kept = (
        char for char in text if char.isspace() or unicodedata.category(char) not in ("Cc", "Cs")
    )
    return " ".join("".join(kept).split())
