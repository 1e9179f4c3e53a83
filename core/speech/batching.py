"""The queue in front of one speech model, in whose batches all waiting jobs share.

The jobs take turns. The one whose turn it is fills the next batch with its utterances, longest
first; the room it leaves goes to the others' utterances of like length and equal decoding, but for
key terms if the engine takes them for each utterance. So a job
waits for no more than one batch of each job before it, and no batch waits to be filled.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

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
"""Seconds between two looks whether a waiting job is still wanted.

On a CPU a batch of a large model lasts much longer.
"""
LIKE = 0.5
"""Least length, relative to the longest, of an utterance that fills up another job's batch.

Decoding padding costs as much as decoding sound.
"""

Decoded = tuple[Utterance, Recognition]
Mixed = Callable[[Sequence[Samples], Sequence[Decoding]], list[Recognition]]
"""Recognises utterances whose decodings differ in their key terms alone: one for each."""


class Batcher:
    """Decodes for many threads at once, but calls the model on one thread alone."""

    def __init__(
        self,
        recognise: Callable[[Sequence[Samples], Decoding], list[Recognition]],
        thread: ModelThread,
        *,
        batch_s: float,
        least_s: float = 0.0,
        recognise_mixed: Mixed | None = None,
    ) -> None:
        """Decode batches of `batch_s` seconds of audio, padding included, with `recognise`.

        An utterance counts as at least `least_s` seconds: the model pads it to that. With
        `recognise_mixed`, utterances share a batch even if their key terms differ.
        """
        self._recognise = recognise
        self._thread = thread
        self._batch_s = batch_s
        self._least_s = least_s
        self._mixed = recognise_mixed
        self._lock = threading.Lock()
        self._jobs: list[_Job] = []  # the unfinished ones, in the order of their turns
        self._is_running = False

    def decode(
        self, utterances: Iterable[Utterance], decoding: Decoding, cancelled: IsCancelled
    ) -> Iterator[list[Decoded]]:
        """Decode a job's utterances, longest first; yield together those that shared a batch.

        Each utterance comes once; those not yet decoded are dropped when the caller stops
        iterating. A batch too large for the memory is halved, and one that fails is tried again job
        by job, so that a job fails only because of its own utterances.

        Raise Cancelled, OutOfMemory if one utterance is too large, ModelFailed if the device fails,
        and whatever the model raises.
        """
        job = _Job(utterances, decoding, cancelled, least_s=self._least_s)
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
        """Decode until no job waits.

        An error that arrives here fails all jobs: the device is lost, or we have a bug.
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
        """Take a batch out of the queue, led by the job whose turn it is; empty if no job waits."""
        with self._lock:
            waiting = [job for job in self._jobs if job.waiting and not job.cancelled()]
            self._is_running = bool(waiting)
            if not waiting:
                return []
            first, *others = waiting
            alike = [job.waiting for job in others if self._go_together(job, first)]
            batch = _fill(first.waiting, alike, self._batch_s)
            taken = set(batch)
            for job in waiting:
                job.waiting = [item for item in job.waiting if item not in taken]
            return batch

    def _end_turn(self, job: _Job) -> None:
        """Put a job behind all others, even those that arrived while its batch ran."""
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
        """Decode a batch and deliver the results; if that fails, return smaller batches to try."""
        try:
            recognitions = self._recognised(batch)
            found = dict(zip(batch, recognitions, strict=True))
        except Exception as error:
            if is_device_fault(error):
                raise
            smaller = self._smaller(batch, error)
        else:
            for own in _by_job(batch):
                own[0].job.results.put([(item.utterance, found[item]) for item in own])
            return []
        release_memory()
        return smaller

    def _go_together(self, one: _Job, other: _Job) -> bool:
        if self._mixed is None:
            return one.decoding == other.decoding
        return replace(one.decoding, keyterms=()) == replace(other.decoding, keyterms=())

    def _recognised(self, batch: list[_Item]) -> list[Recognition]:
        samples = [item.utterance.samples for item in batch]
        decodings = [item.job.decoding for item in batch]
        if self._mixed is not None:
            return self._mixed(samples, decodings)
        return self._recognise(samples, decodings[0])

    def _smaller(self, batch: list[_Item], error: Exception) -> list[list[_Item]]:
        """Return the pieces of a failed batch to try; fail the job if there is only one."""
        is_too_large = is_out_of_memory(error)
        pieces = _halves(batch) if is_too_large else _by_job(batch)
        if len(pieces) > 1:
            return pieces
        job = batch[0].job
        self._leave(job)
        job.results.put(OutOfMemory(_TOO_LARGE) if is_too_large else error)
        return []


_TOO_LARGE = (
    "the speech model ran out of memory on one utterance; "
    "use a GPU with more memory, or try again later"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    job: _Job
    utterance: Utterance
    duration: float
    """Seconds, padding included, if no other utterance is in the batch."""


class _Job:
    """The utterances of one call of `decode`, and their results."""

    def __init__(
        self,
        utterances: Iterable[Utterance],
        decoding: Decoding,
        cancelled: IsCancelled,
        *,
        least_s: float,
    ) -> None:
        self.decoding = decoding
        self.cancelled = cancelled
        self.waiting = _longest_first(
            _Item(self, utterance, max(utterance.duration, least_s)) for utterance in utterances
        )
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

    All lists are sorted, longest first.
    """
    longest = own[0].duration
    merged = heapq.merge(*others, key=lambda item: item.duration, reverse=True)
    like = (item for item in merged if LIKE * longest <= item.duration <= longest)
    batch: list[_Item] = []
    for item in itertools.chain(own, like):
        if batch and (len(batch) + 1) * longest > batch_s:
            break
        batch.append(item)
    return _longest_first(batch)


def _halves(batch: list[_Item]) -> list[list[_Item]]:
    middle = len(batch) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]


def _by_job(batch: Iterable[_Item]) -> list[list[_Item]]:
    items_of: dict[_Job, list[_Item]] = {}
    for item in batch:
        items_of.setdefault(item.job, []).append(item)
    return list(items_of.values())
