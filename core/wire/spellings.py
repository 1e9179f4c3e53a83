"""The values that callers write for what they mean, if they can mean only one thing.

Each function is for pydantic's `BeforeValidator`: it returns the value meant, or the value as it is
for the field itself to refuse.
"""

from __future__ import annotations

import re

_BOOLEANS: dict[str, object] = {"true": True, "false": False}
_HALF = re.compile("[\ud800-\udfff]")
_DIGITS = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


_LONGEST_WORD = 40


def word(value: object) -> str | None:
    """Return a short text in lower case, without the white space around it; None for all else."""
    text = value.strip() if isinstance(value, str) else ""
    return text.lower() if 0 < len(text) <= _LONGEST_WORD else None


def is_blank(value: object) -> bool:
    """Tell whether a value says nothing: null, or a text of white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def boolean(value: object) -> object:
    """Read `"True"` and `"false"`."""
    return _BOOLEANS.get(word(value) or "", value)


def whole_number(value: object) -> object:
    """Read `"2"` and `2.0`."""
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def number(value: object) -> object:
    """Read `"12.5"`."""
    is_number = isinstance(value, str) and _DECIMAL.fullmatch(value.strip())
    return float(value) if isinstance(value, str) and is_number else value


def choice(value: object) -> object:
    """Read `"JSON"` and `"verbose-json"`."""
    chosen = word(value)
    return value if chosen is None else chosen.replace("-", "_")


def name(value: object) -> object:
    """Read `1` as the name `"1"`. Raise ValueError as `whole_text` does."""
    return str(value) if type(value) is int and 0 <= value < 10**9 else whole_text(value)


def whole_text(value: object) -> object:
    """Raise ValueError if a text holds half a character, which nobody could write down again."""
    if isinstance(value, str) and not is_whole(value):
        raise ValueError("the text holds half a character (a lone surrogate); send it as UTF-8")
    return value


def is_whole(text: str) -> bool:
    """Tell whether a text can be encoded."""
    return text.isascii() or not _HALF.search(text)
