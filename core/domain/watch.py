"""One job's line to whoever started it: how far it is, and whether it is still wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class Stage(StrEnum):
    """What a job is doing."""

    QUEUED = "queued"
    """It waits for a worker; only the orchestrator's callers see that."""
    DOWNLOADING = "downloading"
    DECODING = "decoding"
    TRANSCRIBING = "transcribing"
    DIARIZING = "diarizing"
    MERGING = "merging"


Progress = Callable[[float], None]
"""Called with how much of one stage is done, 0..1; cheap, from any thread."""
Report = Callable[[Stage, float], None]
"""Called with a stage and how much is done, 0..1; cheap, from any thread."""
IsCancelled = Callable[[], bool]
"""True once nobody wants the answer any more; cheap, from any thread."""


def _ignore(_stage: Stage, _fraction: float) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Watch:
    """One job as its starter watches it."""

    report: Report = _ignore
    cancelled: IsCancelled = _never

    def stage(self, stage: Stage) -> Progress:
        """Return the function that reports how much of one stage is done."""
        return lambda fraction: self.report(stage, fraction)

    def also_cancelled(self, cancelled: IsCancelled) -> Watch:
        """Return a watch that a second reason cancels too."""
        return replace(self, cancelled=lambda: self.cancelled() or cancelled())
