"""A job's link to its starter: how far it is, what it takes, and whether it is still wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from core.domain.timeline import Word
from core.domain.usage import Stopwatch


class Stage(StrEnum):
    """A step of a job."""

    QUEUED = "queued"
    """Waiting for a worker; only callers of the orchestrator see it."""
    DOWNLOADING = "downloading"
    DECODING = "decoding"
    TRANSCRIBING = "transcribing"
    DIARIZING = "diarizing"
    MERGING = "merging"


Progress = Callable[[float], None]
"""Takes how much of one stage is done, 0..1; cheap, and may be called from any thread."""
Report = Callable[[Stage, float], None]
"""Takes a stage and how much is done, 0..1; cheap, and may be called from any thread."""
IsCancelled = Callable[[], bool]
"""Returns True once nobody wants the answer; cheap, and may be called from any thread."""
Heard = Callable[[tuple[Word, ...]], None]
"""Takes words of a recording as soon as they are certain, and in their order.

All calls together give the transcript's words, without speakers. Cheap, and called from one thread.
"""


def _ignore(_stage: Stage, _fraction: float) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Watch:
    """A job's way to report to its starter, and to be cancelled."""

    report: Report = _ignore
    cancelled: IsCancelled = _never
    heard: Heard | None = None
    """None if nobody listens. Words come sooner to one who does, but the whole takes longer."""
    clock: Stopwatch = field(default_factory=Stopwatch)
    """Measures what the job takes."""

    def stage(self, stage: Stage) -> Progress:
        """Return the function that reports how much of one stage is done."""
        return lambda fraction: self.report(stage, fraction)

    def also_cancelled(self, cancelled: IsCancelled) -> Watch:
        """Return a watch that a second condition cancels too."""
        return replace(self, cancelled=lambda: self.cancelled() or cancelled())
