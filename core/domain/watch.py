"""What a role's work looks like from outside: a `Flow`, and the `Watch` by which it and its starter
hear of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Progress = Callable[[float], None]
"""Called with how much of one stage is done, 0..1; cheap, from any thread."""
IsCancelled = Callable[[], bool]
"""True once nobody wants the answer any more; cheap, from any thread."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One job's line to whoever started it."""

    report: Callable[[str, float], None] = lambda _stage, _fraction: None
    """Called with a stage's name and how much of it is done, 0..1; cheap, from any thread."""
    cancelled: IsCancelled = lambda: False

    def stage(self, name: str) -> Progress:
        """The progress of one stage."""
        return lambda fraction: self.report(name, fraction)


class Flow(Protocol):
    """One role's work."""

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Parse the request, do the work, render the answer; raises `core.errors.WorkerError`."""
        ...

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through all models, or ask the endpoints that have them; raises
        what a job would.
        """
        ...
