"""The queue before one model: who shares a batch with whom, whose turn it is, and whose failure is
whose.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.request import Decoding
from core.domain.timeline import Word
from core.engine.accelerator import ModelThread
from core.errors import Cancelled, ModelFailed, OutOfMemory
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance
from core.speech.batching import CANCEL_POLL_S, LIKE, Batcher
from core.speech.engine import Recognition

WAIT_S = 60.0
"""More than anything here takes, on a busy machine too."""
HOLDER = 99
"""The job that holds the model until all others wait."""

Piece = tuple[int, float]
"""Whose utterance, and how many seconds it lasts."""


def utterance(job: int, duration_s: float) -> Utterance:
    """Every sample is the job's number."""
    return Utterance(np.full(round(duration_s * SAMPLE_RATE), job, np.float32), 0.0)


def piece(samples: Samples) -> Piece:
    """Whose utterance these samples are, and how long it is."""
    return int(samples[0]), len(samples) / SAMPLE_RATE


def assert_set(event: threading.Event) -> None:
    """Wait for an event."""
    assert event.wait(WAIT_S)


class Held:
    """A model that hears whose utterance it is; its first batch, the holder's, lasts until it is
    let go.
    """

    def __init__(self, fail: Callable[[list[Piece]], None] = lambda _: None) -> None:
        self.batches: list[list[Piece]] = []
        self.decodings: list[Decoding] = []
        self.mixed: list[set[tuple[str, ...]]] = []
        self.holds, self.goes = threading.Event(), threading.Event()
        self._fail = fail

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Decode a batch, or fail as told."""
        batch = [piece(samples) for samples in arrays]
        if batch[0][0] == HOLDER:
            self.holds.set()
            assert_set(self.goes)
        else:
            self._fail(batch)
            self.batches.append(batch)
            self.decodings.append(decoding)
        return [
            Recognition((Word(0.0, duration_s, f"{job}: {duration_s}"),))
            for job, duration_s in batch
        ]

    def recognise_mixed(
        self, arrays: Sequence[Samples], decodings: Sequence[Decoding]
    ) -> list[Recognition]:
        """Decode a batch in which each utterance has its own key terms."""
        self.mixed.append({decoding.keyterms for decoding in decodings})
        return self.recognise(arrays, decodings[0])


class Rush:
    """Jobs that come in a known order while the model is held."""

    def __init__(self, model: Held, batch_s: float = 40.0, *, mixes: bool = False) -> None:
        self.model = model
        self.batcher = Batcher(
            model.recognise,
            ModelThread("speech"),
            batch_s=batch_s,
            recognise_mixed=model.recognise_mixed if mixes else None,
        )
        self._pool = ThreadPoolExecutor(32)
        self.holder = self.add(HOLDER, [1.0])
        assert_set(model.holds)

    def add(
        self,
        job: int,
        durations_s: Iterable[float],
        cancelled: Callable[[], bool] = lambda: False,
        decoding: Decoding = Decoding(),  # noqa: B008  frozen
    ) -> Future[list[float]]:
        """Start a job and wait until it waits; it gives the lengths of its utterances as they are
        decoded.
        """
        joined = threading.Event()

        def is_cancelled() -> bool:
            joined.set()  # asked for the first time when the job has joined
            return cancelled()

        def work() -> list[float]:
            heard = []
            pieces = [utterance(job, duration_s) for duration_s in durations_s]
            for decoded in self.batcher.decode(pieces, decoding, is_cancelled):
                heard += [own.duration for own, _ in decoded]
                assert all(
                    recognition.words[0].text == f"{job}: {own.duration}"
                    for own, recognition in decoded
                )
            return heard

        future = self._pool.submit(work)
        assert_set(joined)
        return future

    def __enter__(self) -> "Rush":
        return self

    def __exit__(self, *_: object) -> None:
        self.model.goes.set()
        self._pool.shutdown()


def rush(
    *jobs: Sequence[float], batch_s: float = 40.0
) -> tuple[list[list[Piece]], list[list[float]]]:
    """Let jobs, given by their utterances' lengths, come in order while the model is held; the
    batches, and what each job got.
    """
    model = Held()
    with Rush(model, batch_s) as crowd:
        futures = [crowd.add(number, durations_s) for number, durations_s in enumerate(jobs)]
        model.goes.set()
        return model.batches, [future.result(WAIT_S) for future in futures]


# --- who shares a batch ---

JOBS = st.lists(
    st.lists(st.integers(1, 300).map(lambda tenths: tenths / 10), min_size=1, max_size=8),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(JOBS, st.floats(1, 60))
def test_every_utterance_is_decoded_once_for_its_own_job_in_batches_of_bounded_size(jobs, batch_s):
    """Whoever comes together: no batch, padding included, is longer than it may be, unless one
    utterance is.
    """
    batches, heard = rush(*jobs, batch_s=batch_s)
    assert [sorted(own) for own in heard] == [sorted(job) for job in jobs]
    assert sorted(one for batch in batches for one in batch) == sorted(
        (number, one) for number, job in enumerate(jobs) for one in job
    )
    assert all(
        len(batch) == 1 or len(batch) * max(one for _, one in batch) <= batch_s + 1e-6
        for batch in batches
    )


@settings(max_examples=60)
@given(JOBS, st.floats(1, 60))
def test_no_job_waits_longer_than_one_batch_of_each_other_job(jobs, batch_s):
    """From its arrival to its end, a job is in one at least of as many batches in a row as there
    are jobs.
    """
    batches, _ = rush(*jobs, batch_s=batch_s)
    for number in range(len(jobs)):
        turns = [index for index, batch in enumerate(batches) if number in dict(batch)]
        assert max(
            later - earlier for earlier, later in zip([-1, *turns], turns, strict=False)
        ) <= len(jobs)


def test_room_in_a_batch_goes_to_the_nearest_lengths_of_the_other_jobs():
    """Four utterances of 10 s fit; the job whose turn it is has two, and of the others 9 and 8 s
    are nearest.
    """
    batches, _ = rush([10.0, 7.0], [12.0, 9.0, 3.0], [8.0, 6.0])
    assert batches[0] == [(0, 10.0), (1, 9.0), (2, 8.0), (0, 7.0)]


def test_room_in_a_batch_is_not_filled_with_padding():
    """Much shorter utterances of others are cheaper in a batch of their own, much longer ones would
    make this one dear.
    """
    batches, _ = rush([10.0], [30.0, 10.0 * LIKE - 0.1])
    assert batches == [[(0, 10.0)], [(1, 30.0)], [(1, 10.0 * LIKE - 0.1)]]


def test_utterances_count_as_the_window_that_the_model_hears_them_in():
    """Short ones do not crowd a batch of a model that pads them all to the same length."""
    model = Held()
    model.goes.set()
    batcher = Batcher(model.recognise, ModelThread("speech"), batch_s=100, least_s=30)
    pieces = [utterance(1, duration_s) for duration_s in (1.0, 29.0, 2.0, 5.0, 3.0)]
    assert len(list(batcher.decode(pieces, Decoding(), lambda: False))) == 2
    assert [len(batch) for batch in model.batches] == [3, 2]


def test_one_job_alone_has_the_batches_that_it_would_have_anyway():
    """Its utterances by length, longest first, its own short ones beside its long ones."""
    assert rush([5.0, 20.0, 1.0, 10.0])[0] == [[(0, 20.0), (0, 10.0)], [(0, 5.0), (0, 1.0)]]


def test_a_short_job_behind_a_long_one_is_in_the_next_batch():
    """It came while a batch of the long job ran: its turn is before the long job's next."""
    batches, _ = rush([20.0] * 12, [20.0])
    assert (1, 20.0) in batches[1]
    assert sum((0, 20.0) in batch for batch in batches) == 7
    model = Held()
    with Rush(model) as crowd:
        crowd.add(HOLDER, [20.0] * 6)
        short = crowd.add(1, [20.0])
        model.goes.set()
        short.result(WAIT_S)
    assert (1, 20.0) in model.batches[0]


def test_a_batch_waits_for_no_company():
    """What comes alone is decoded alone, at once."""
    model = Held()
    batcher = Batcher(model.recognise, ModelThread("speech"), batch_s=40.0)
    assert [
        own.duration
        for decoded in batcher.decode([utterance(0, 3.0)], Decoding(), lambda: False)
        for own, _ in decoded
    ] == [3.0]
    assert model.batches == [[(0, 3.0)]]


def test_a_batch_holds_utterances_that_are_decoded_in_one_way():
    """Jobs in two languages come by turns, however much room a batch has."""
    model = Held()
    english, german = Decoding("en"), Decoding("de")
    with Rush(model, batch_s=1000.0) as crowd:
        jobs = [
            crowd.add(number, [1.0, 1.1, 1.2], decoding=decoding)
            for number, decoding in enumerate([english, german, english, german])
        ]
        model.goes.set()
        assert [sorted(job.result(WAIT_S)) for job in jobs] == [[1.0, 1.1, 1.2]] * 4
    assert [sorted({job for job, _ in batch}) for batch in model.batches] == [[0, 2], [1, 3]]
    assert model.decodings == [english, german]


# --- cancelled ---


def test_a_cancelled_job_ends_while_a_batch_still_runs_and_leaves_nothing_in_the_queue():
    """Within the poll and a little; the other job's answer is what it would have been."""
    model, cancelled = Held(), threading.Event()
    with Rush(model) as crowd:
        goes_on, stopped = (
            crowd.add(0, [10.0, 9.0, 8.0]),
            crowd.add(1, [10.0] * 20, cancelled.is_set),
        )
        cancelled.set()
        asked = time.monotonic()
        with pytest.raises(Cancelled):
            stopped.result(WAIT_S)
        assert time.monotonic() - asked < 2.0
        assert not crowd.holder.done()
        model.goes.set()
        assert goes_on.result(WAIT_S) == [10.0, 9.0, 8.0]
    assert model.batches == [[(0, 10.0), (0, 9.0), (0, 8.0)]]


def test_a_job_cancelled_in_its_batch_gets_nothing_more_decoded_and_its_neighbour_everything():
    """The flag is looked at before every batch, not only at the poll."""
    cancelled = threading.Event()
    model = Held(lambda batch: cancelled.set() if 1 in dict(batch) else None)
    with Rush(model) as crowd:
        goes_on, stopped = crowd.add(0, [20.0] * 5), crowd.add(1, [20.0] * 5, cancelled.is_set)
        model.goes.set()
        assert goes_on.result(WAIT_S) == [20.0] * 5
        with pytest.raises(Cancelled):
            stopped.result(WAIT_S)
    assert sum(job == 1 for batch in model.batches for job, _ in batch) == 2


def test_what_a_caller_no_longer_asks_for_is_not_decoded():
    """Who turns away in the middle takes the rest of the utterances along; only what has begun goes
    on.
    """
    turned_away = threading.Event()
    model = Held(lambda _: assert_set(turned_away) if model.batches else None)
    batcher = Batcher(model.recognise, ModelThread("speech"), batch_s=10.0)
    answers = batcher.decode([utterance(1, 10.0)] * 5, Decoding(), lambda: False)
    next(answers)
    answers.close()
    turned_away.set()
    assert len(list(batcher.decode([utterance(2, 10.0)], Decoding(), lambda: False))) == 1
    assert [(1, 10.0)] in model.batches
    assert len(model.batches) <= 3


# --- failures ---


def too_much(most: int, size_s: float = 1e9) -> Callable[[list[Piece]], None]:
    """Memory for so many utterances, none of them longer than that; torch's own allocator gives the
    error.
    """

    def fail(batch: list[Piece]) -> None:
        if len(batch) > most or max(one for _, one in batch) > size_s:
            torch.empty(1 << 50)

    return fail


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_shared_batch_that_memory_does_not_hold_is_halved(most):
    """Each job gets each utterance once, however small the pieces."""
    model = Held(too_much(most))
    with Rush(model) as crowd:
        first, second = crowd.add(0, [10.0, 9.0]), crowd.add(1, [8.0, 7.0, 6.0])
        model.goes.set()
        assert sorted(first.result(WAIT_S)) == [9.0, 10.0]
        assert sorted(second.result(WAIT_S)) == [6.0, 7.0, 8.0]
    assert max(map(len, model.batches)) <= most


def test_an_utterance_too_large_for_memory_fails_its_own_job_alone():
    """The one beside it in the batch is decoded."""
    with Rush(Held(too_much(4, size_s=9.5))) as crowd:
        large, small = crowd.add(0, [10.0, 9.0]), crowd.add(1, [9.0, 8.0])
        crowd.model.goes.set()
        with pytest.raises(OutOfMemory, match="on one utterance"):
            large.result(WAIT_S)
        assert sorted(small.result(WAIT_S)) == [8.0, 9.0]


def test_an_utterance_that_the_model_cannot_take_fails_its_own_job_alone():
    """A shared batch that fails is tried again job by job, and the error is what the model said."""

    def fail(batch: list[Piece]) -> None:
        if (0, 9.0) in batch:
            raise ValueError("not this one")

    with Rush(Held(fail)) as crowd:
        poisoned, sound = crowd.add(0, [10.0, 9.0]), crowd.add(1, [10.0, 9.5])
        crowd.model.goes.set()
        with pytest.raises(ValueError, match="not this one"):
            poisoned.result(WAIT_S)
        assert sorted(sound.result(WAIT_S)) == [9.5, 10.0]
    assert crowd.model.batches == [[(1, 10.0), (1, 9.5)]]


def test_a_lost_device_fails_all_that_wait_and_nobody_waits_for_ever():
    """After such a fault no batch can succeed in this process."""

    def fail(_: list[Piece]) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with Rush(Held(fail)) as crowd:
        jobs = [crowd.add(number, [20.0] * 3) for number in range(4)]
        crowd.model.goes.set()
        for job in jobs:
            with pytest.raises(ModelFailed) as caught:
                job.result(WAIT_S)
            assert caught.value.refresh_worker


def test_a_fault_in_a_cancel_flag_leaves_nobody_waiting():
    """What breaks on the model's own thread is told to all, and the next job is served."""
    broken = threading.Event()

    def cancelled() -> bool:
        if broken.is_set() and threading.current_thread().name.startswith("speech"):
            raise RuntimeError("broken flag")
        return False

    with Rush(Held()) as crowd:
        jobs = [crowd.add(0, [10.0]), crowd.add(1, [10.0], cancelled)]
        broken.set()
        crowd.model.goes.set()
        for job in jobs:
            with pytest.raises(RuntimeError, match="broken flag"):
                job.result(WAIT_S)
        assert crowd.add(2, [5.0]).result(WAIT_S) == [5.0]


# --- many ---


def test_many_jobs_of_many_windows_all_end_and_no_thread_stays():
    """64 jobs, the most that a worker takes, of three windows each, and a few of them cancelled on
    the way.
    """
    before = threading.active_count()
    with ThreadPoolExecutor(64) as pool:
        batcher = Batcher(Held().recognise, ModelThread("speech"), batch_s=30.0)
        done = list(pool.map(three_windows, [batcher] * 64, range(64)))
        del batcher
    assert done == [None if job % 8 == 0 else 12 for job in range(64)]
    gc.collect()
    deadline = time.monotonic() + WAIT_S
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def three_windows(batcher: Batcher, job: int) -> int | None:
    """Do a job; how many utterances were decoded, or None where it was cancelled, as every eighth
    is after its first batch.
    """
    cancelled = threading.Event()
    count = 0
    for _ in range(3):
        try:
            for decoded in batcher.decode(
                [utterance(job, 1.0 + job % 7)] * 4, Decoding(), cancelled.is_set
            ):
                count += len(decoded)
                if job % 8 == 0:
                    cancelled.set()
        except Cancelled:
            return None
    return count


def test_a_job_that_waits_is_at_rest():
    """While a batch runs, a waiting job looks at its flag now and then, and no more."""
    looks = []
    with Rush(Held()) as crowd:
        crowd.add(0, [10.0], lambda: bool(looks.append(time.monotonic())))
        time.sleep(3 * CANCEL_POLL_S)
        assert 1 <= len(looks) <= 5


@pytest.mark.parametrize("mixes", [True, False])
def test_jobs_with_other_key_terms_share_a_batch_if_the_model_can(mixes):
    """Each utterance comes with its own; another language has a batch of its own in any case."""
    model = Held()
    asked = [Decoding(), Decoding(keyterms=("a",)), Decoding(keyterms=("b",)), Decoding("de")]
    with Rush(model, mixes=mixes) as jobs:
        found = [jobs.add(job, [5.0], decoding=one) for job, one in enumerate(asked, start=1)]
        model.goes.set()
        assert [one.result(10) for one in found] == [[5.0]] * 4
    shared = [sorted(job for job, _ in batch) for batch in model.batches]
    assert shared == ([[1, 2, 3], [4]] if mixes else [[1], [2], [3], [4]])
    assert model.mixed[1:] == ([{(), ("a",), ("b",)}, {()}] if mixes else [])
