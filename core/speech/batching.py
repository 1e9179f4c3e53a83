"""The queue before one speech model: the utterances of all jobs that wait for it share its batches.

The jobs take turns. The one whose turn it is fills the next batch with its utterances, longest
first; the room it leaves goes to the others' utterances of like length that are decoded in the
same way. So a job waits for no more than one batch of each job before it, and no batch waits for
company.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.domain.request import Decoding
from core.domain.watch import IsCancelled
from core.engine.accelerator import (
    ModelThread,
    device_faults_named,
    is_device_fault,
    is_out_of_memory,
    release_memory,
)
from core.errors import Cancelled, OutOfMemory
from core.media.audio import Samples
from core.media.cutting import Utterance
from core.speech.engine import Recognition

CANCEL_POLL_S = 0.5
"""How often a job that waits asks whether it is still wanted: on a CPU a batch of a large model
lasts long.
"""
LIKE = 0.5
"""How long, in parts of the longest, an utterance must be to fill up another job's batch: to decode
padding costs as much as sound.
"""

Decoded = tuple[Utterance, Recognition]


class Batcher:
    """Decodes for many threads at once; the model itself is called on its one thread alone."""

    def __init__(
        self,
        recognise: Callable[[Sequence[Samples], Decoding], list[Recognition]],
        thread: ModelThread,
        *,
        batch_s: float,
    ) -> None:
        """Take the function that decodes one batch, and the thread to call it on.

        `batch_s` is seconds of audio, padding included.
        """
        self._recognise = recognise
        self._thread = thread
        self._batch_s = batch_s
        self._lock = threading.Lock()
        self._jobs: list[_Job] = []  # all that are not over, in the order of their turns
        self._is_running = False

    def decode(
        self, utterances: Iterable[Utterance], decoding: Decoding, cancelled: IsCancelled
    ) -> Iterator[list[Decoded]]:
        """Decode a job's utterances, longest first; yield together those that shared a batch.

        Each utterance comes once; what has not been decoded when the caller turns away is dropped.
        A batch that memory does not hold is cut in two, and one that fails is tried again job by
        job, so that a job fails only by its own utterances.

        Raise Cancelled, OutOfMemory if one utterance is too much, ModelFailed if the device failed,
        and what the model raises.
        """
        job = _Job(utterances, decoding, cancelled)
        left = len(job.waiting)
        try:
            self._join(job)
            while left:
                decoded = job.result()
                left -= len(decoded)
                yield decoded
        finally:
            self._leave(job)

    def _join(self, job: _Job) -> None:
        with self._lock:
            self._jobs.append(job)
            if not self._is_running:
                self._thread.begin(self._run)
                self._is_running = True

    def _leave(self, job: _Job) -> None:
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
            job.waiting = []

    def _run(self) -> None:
        """Decode until nobody waits.

        What fails here fails for all: the device is lost, or it is a fault of ours.
        """
        try:
            with device_faults_named():
                while batch := self._next_batch():
                    self._decode(batch)
                    self._end_turn(batch[0].job)
        except Exception as error:
            with self._lock:
                jobs, self._jobs, self._is_running = self._jobs, [], False
            for job in jobs:
                job.results.put(error)

    def _next_batch(self) -> list[_Item]:
        """Take a batch out of the queue; it is empty if nobody waits.

        Its first utterance is of the job whose turn it is, and all are decoded as that one is.
        """
        with self._lock:
            waiting = [job for job in self._jobs if job.waiting and not job.cancelled()]
            self._is_running = bool(waiting)
            if not waiting:
                return []
            first, *others = waiting
            alike = [job.waiting for job in others if job.decoding == first.decoding]
            batch = _fill(first.waiting, alike, self._batch_s)
            taken = set(batch)
            for job in waiting:
                job.waiting = [item for item in job.waiting if item not in taken]
            return batch

    def _end_turn(self, job: _Job) -> None:
        """Put a job behind all others, also those that came while its batch ran."""
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
                self._jobs.append(job)

    def _decode(self, batch: list[_Item]) -> None:
        pieces = deque([batch])
        while pieces:
            piece = [item for item in pieces.popleft() if self._is_wanted(item.job)]
            if piece:
                pieces.extendleft(reversed(self._attempt(piece)))

    def _is_wanted(self, job: _Job) -> bool:
        with self._lock:
            return job in self._jobs and not job.cancelled()

    def _attempt(self, batch: list[_Item]) -> list[list[_Item]]:
        """Decode a batch and give each job its own; if that fails, return smaller ones to try."""
        try:
            samples = [item.utterance.samples for item in batch]
            recognitions = self._recognise(samples, batch[0].job.decoding)
            found = dict(zip(batch, recognitions, strict=True))
        except Exception as error:
            if is_device_fault(error):
                raise
            is_too_much = is_out_of_memory(error)
            pieces = _halves(batch) if is_too_much else _by_job(batch)
            if len(pieces) == 1:
                self._fail(batch[0].job, OutOfMemory(_TOO_MUCH) if is_too_much else error)
                pieces = []
        else:
            for own in _by_job(batch):
                own[0].job.results.put([(item.utterance, found[item]) for item in own])
            return []
        release_memory()
        return pieces

    def _fail(self, job: _Job, error: Exception) -> None:
        self._leave(job)
        job.results.put(error)


_TOO_MUCH = (
    "the speech model ran out of memory on one utterance; "
    "use a GPU with more memory, or try again later"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    job: _Job
    utterance: Utterance

    @property
    def duration(self) -> float:
        return self.utterance.duration


class _Job:
    """What one caller waits for."""

    def __init__(
        self, utterances: Iterable[Utterance], decoding: Decoding, cancelled: IsCancelled
    ) -> None:
        self.decoding = decoding
        self.cancelled = cancelled
        self.waiting = _longest_first(_Item(self, utterance) for utterance in utterances)
        self.results: queue.SimpleQueue[list[Decoded] | Exception] = queue.SimpleQueue()

    def result(self) -> list[Decoded]:
        """Wait for the next decoded utterances.

        Raise Cancelled at once, even mid-batch, or the batch's error.
        """
        while not self.cancelled():
            with contextlib.suppress(queue.Empty):
                result = self.results.get(timeout=CANCEL_POLL_S)
                if isinstance(result, Exception):
                    raise result
                return result
        raise Cancelled("the job was cancelled while it was transcribed")


def _longest_first(items: Iterable[_Item]) -> list[_Item]:
    return sorted(items, key=lambda item: item.duration, reverse=True)


def _fill(own: Sequence[_Item], others: Iterable[Sequence[_Item]], batch_s: float) -> list[_Item]:
    """Choose a batch of at most `batch_s` seconds, padding included, or of one utterance.

    All lists have the longest first.
    """
    longest = own[0].duration
    merged = heapq.merge(*others, key=lambda item: item.duration, reverse=True)
    batch: list[_Item] = []
    for item in itertools.chain(
        own, (item for item in merged if LIKE * longest <= item.duration <= longest)
    ):
        if batch and (len(batch) + 1) * longest > batch_s:
            break
        batch.append(item)
    return _longest_first(batch)


def _halves(batch: list[_Item]) -> list[list[_Item]]:
    middle = len(batch) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]


def _by_job(batch: Iterable[_Item]) -> list[list[_Item]]:
    parts: dict[_Job, list[_Item]] = {}
    for item in batch:
        parts.setdefault(item.job, []).append(item)
    return list(parts.values())
