"""The sentences that say why an input is refused."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ValidationError

_MOST = 3
"""Faults that one sentence names."""


def sentence(
    error: ValidationError,
    kind: type[BaseModel],
    nested: dict[str, type[BaseModel]],
    elsewhere: Collection[str] = (),
) -> str:
    """Return the first faults of an input, each with its field and for an unknown field the
    nearest known one.

    `nested` are the models of the fields that hold objects, `elsewhere` the names of the fields
    that other inputs know.
    """
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(_explain(detail, kind, nested, elsewhere) for detail in details[:_MOST])


def _explain(
    detail: Any,
    kind: type[BaseModel],
    nested: dict[str, type[BaseModel]],
    elsewhere: Collection[str],
) -> str:
    if detail["type"] == "extra_forbidden":
        *outer, name = (str(part)[:60] for part in detail["loc"])
        if not outer and name in elsewhere:
            return f"{name}: unknown field; other roles have it, this one does not"
        fields = [part for part in outer if not part.isdigit()]
        known = (nested[fields[-1]] if fields else kind).model_fields
        return f"{'.'.join([*outer, name])}: {_unknown(name, list(known))}"
    where = ".".join(str(part)[:60] for part in detail["loc"])
    reason = detail["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    return f"{where}: {reason[:1].lower()}{reason[1:]}" if where else reason


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return f"unknown field; {hint}"
