"""What a job took: the sound it was about, and the seconds of each kind of work."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from core.domain.rounding import seconds

_Item = TypeVar("_Item")


class Work(StrEnum):
    """A kind of work."""

    DOWNLOAD = "download"
    DECODE = "decode"
    """From a file to samples."""
    SPEECH = "speech"
    """The speech model, time in the queue before it included."""
    SPEAKERS = "speakers"
    """The speaker model, time in the queue before it included."""
    MERGE = "merge"
    """From the models' answers to a transcript."""
    TRANSCRIPTION = "transcription"
    """As the orchestrator sees it: its transcription jobs, queues included."""
    DIARIZATION = "diarization"
    """The same for its diarization job."""


ALWAYS = (Work.DOWNLOAD, Work.DECODE, Work.SPEECH, Work.SPEAKERS, Work.MERGE)
"""The kinds that every answer names, 0 if there was no such work."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one job took."""

    audio_s: float
    """Seconds of sound that it was about."""
    model: str | None = None
    """The name of the model that was asked: the speech model's if there are words."""
    spent_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds by the kind of work; kinds that ran side by side were spent at the same time."""


_here: ContextVar[Work | None] = ContextVar("work", default=None)
"""What this thread, or this task of an event loop, is at."""


class Stopwatch:
    """Measures the seconds in which a job is at each kind of work.

    A kind counts once however many threads or tasks are at it. Work that is done in the midst of
    other work, such as decoding while the speech model waits for samples, counts as the inner kind
    alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads_at = dict.fromkeys(Work, 0)
        self._since = dict.fromkeys(Work, 0.0)
        self._spent_s: dict[Work, float] = {}

    @contextlib.contextmanager
    def at(self, work: Work) -> Iterator[None]:
        """Measure the time of a block as this kind of work."""
        outer = _here.get()
        self._change(outer, work)
        try:
            yield
        finally:
            self._change(work, outer)

    def each(self, work: Work, items: Iterable[_Item]) -> Generator[_Item]:
        """Yield items; measure the time in which each is made."""
        making = iter(items)
        end = object()
        while True:
            with self.at(work):
                item = next(making, end)
            if item is end:
                return
            yield item  # type: ignore[misc]

    def add(self, spent_s: Mapping[str, float]) -> None:
        """Count what others measured, by the names of `Work`."""
        with self._lock:
            for name, more_s in spent_s.items():
                work = Work(name)
                self._spent_s[work] = self._spent_s.get(work, 0.0) + more_s

    @property
    def spent_s(self) -> dict[str, float]:
        """Seconds by the kind of work, with three decimals."""
        with self._lock:
            spent_s = dict.fromkeys(ALWAYS, 0.0) | self._spent_s
        return {str(work): seconds(spent_s[work]) for work in Work if work in spent_s}

    def _change(self, left: Work | None, entered: Work | None) -> None:
        _here.set(entered)
        now = time.perf_counter()
        with self._lock:
            if left is not None:
                self._threads_at[left] -= 1
                if not self._threads_at[left]:
                    more_s = now - self._since[left]
                    self._spent_s[left] = self._spent_s.get(left, 0.0) + more_s
            if entered is not None:
                if not self._threads_at[entered]:
                    self._since[entered] = now
                self._threads_at[entered] += 1
