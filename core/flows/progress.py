"""The progress of a job whose work goes several ways at once."""

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
"""The share of a job that each stage is: from, to."""


class JobProgress:
    """Reports how much of a whole job is done, 0..1: it never goes back.

    The job is as far as the way that is furthest behind. May be called from many threads.
    """

    def __init__(self, watch: Watch, *, ways: int = 1) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._at = [(0.0, Stage.QUEUED)] * ways
        self._shown = 0.0

    @property
    def together(self) -> Watch:
        """The watch of work that all ways wait for; what it reports is a share of a stage."""
        return replace(self._watch, report=self._report_together)

    def way(self, index: int) -> Report:
        """Return the report of one way, by shares of its stages."""
        return lambda stage, fraction: self.move(index, stage, _of_the_job(stage, fraction))

    def move(self, index: int, stage: Stage, fraction: float) -> None:
        """Say how much of the whole job one way has done, 0..1."""
        with self._lock:
            self._at[index] = (fraction, stage)
            behind, stage = min(self._at)
            self._shown = max(self._shown, behind)
            self._watch.report(stage, self._shown)

    def end(self, index: int) -> None:
        """Say that one way has done its work."""
        self.move(index, self._at[index][1], 1.0)

    def _report_together(self, stage: Stage, fraction: float) -> None:
        for index in range(len(self._at)):
            self.move(index, stage, _of_the_job(stage, fraction))


def _of_the_job(stage: Stage, fraction: float) -> float:
    start, end = _STAGES[stage]
    return start + (end - start) * fraction
