"""The progress of a job whose work is done in several branches at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from core.domain.watch import Report, Stage, Watch

_STAGES: Final = {
    Stage.DOWNLOADING: (0.0, 0.05),
    Stage.DECODING: (0.05, 0.1),
    Stage.TRANSCRIBING: (0.1, 1.0),
    Stage.DIARIZING: (0.1, 1.0),
}
"""The start and the end of each stage within a whole job, 0..1."""


class JobProgress:
    """Reports how much of a whole job is done, 0..1, and never goes back.

    A job has come as far as the slowest of its branches. Many threads may call it.
    """

    def __init__(self, watch: Watch, *, branches: int = 1) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._at = [(0.0, Stage.QUEUED)] * branches
        self._shown = 0.0

    @property
    def together(self) -> Watch:
        """The watch of work for which all branches wait; it reports fractions of stages."""
        return replace(self._watch, report=self._report_together)

    def branch(self, index: int) -> Report:
        """Return the report of one branch; it takes fractions of stages."""
        return lambda stage, fraction: self.move(index, stage, _of_the_job(stage, fraction))

    def move(self, index: int, stage: Stage, fraction: float) -> None:
        """Report how much of the whole job one branch has done, 0..1."""
        with self._lock:
            self._at[index] = (fraction, stage)
            behind, stage = min(self._at)
            self._shown = max(self._shown, behind)
            self._watch.report(stage, self._shown)

    def end(self, index: int) -> None:
        """Report that one branch has done its work."""
        self.move(index, self._at[index][1], 1.0)

    def _report_together(self, stage: Stage, fraction: float) -> None:
        for index in range(len(self._at)):
            self.move(index, stage, _of_the_job(stage, fraction))


def _of_the_job(stage: Stage, fraction: float) -> float:
    start, end = _STAGES[stage]
    return start + (end - start) * fraction
