"""Answers without what differs between two runs: the seconds that the work took."""

from __future__ import annotations

from typing import Any


def untimed(answer: Any) -> Any:
    """Return an answer without the seconds of each kind of work; all else stays."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return answer
    timings = ("stages",) if "stages" in usage or "type" in usage else ("seconds",)
    kept = {name: value for name, value in usage.items() if name not in timings}
    return answer | {"usage": kept}
