"""What a job takes: each kind of work counts once, whoever does it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from core.domain.usage import ALWAYS, Stopwatch, Work

STEP_S = 0.02


def test_every_kind_is_told_even_if_there_was_none() -> None:
    """A reader never has to ask whether a name is there; the orchestrator's own come with it."""
    clock = Stopwatch()
    assert clock.spent_s == dict.fromkeys(map(str, ALWAYS), 0.0)
    with clock.at(Work.DIARIZATION):
        pass
    assert list(clock.spent_s) == [*map(str, ALWAYS), "diarization"]


def test_threads_side_by_side_count_once() -> None:
    """Four threads that work at the same time take no longer than the job does."""
    clock = Stopwatch()
    together = threading.Barrier(4)

    def work() -> None:
        with clock.at(Work.SPEECH):
            together.wait(10)
            time.sleep(STEP_S)

    began = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(work) for _ in range(4)]:
            one.result()
    assert STEP_S <= clock.spent_s["speech"] <= time.perf_counter() - began + 0.001


def test_work_in_the_midst_of_other_work_is_not_counted_twice() -> None:
    """The speech model pulls samples: the time in which they are decoded is decoding alone."""
    clock = Stopwatch()

    def blocks():
        for index in range(2):
            time.sleep(STEP_S)
            yield index

    began = time.perf_counter()
    with clock.at(Work.SPEECH):
        heard = [*clock.each(Work.DECODE, blocks())]
        time.sleep(STEP_S)
    whole_s = time.perf_counter() - began
    assert heard == [0, 1]
    spent_s = clock.spent_s
    assert spent_s["decode"] >= 2 * STEP_S
    assert spent_s["speech"] >= STEP_S
    assert spent_s["speech"] + spent_s["decode"] <= whole_s + 0.002


def test_tasks_of_one_thread_do_not_take_each_others_time() -> None:
    """The orchestrator waits for both endpoints on one thread."""
    clock = Stopwatch()

    async def wait(work: Work, steps: int) -> None:
        with clock.at(work):
            for _ in range(steps):
                await asyncio.sleep(STEP_S)

    async def both() -> None:
        await asyncio.gather(wait(Work.TRANSCRIPTION, 3), wait(Work.DIARIZATION, 1))

    asyncio.run(both())
    assert clock.spent_s["transcription"] >= 3 * STEP_S
    assert STEP_S <= clock.spent_s["diarization"] < clock.spent_s["transcription"]


def test_a_failure_ends_the_measuring() -> None:
    """What is raised in the midst of work leaves nobody at it."""
    clock = Stopwatch()
    with contextlib.suppress(ZeroDivisionError), clock.at(Work.DOWNLOAD):
        _ = 1 / 0
    before = clock.spent_s["download"]
    time.sleep(STEP_S)
    assert clock.spent_s["download"] == before


def test_what_others_measured_is_added() -> None:
    """Two workers that each fetched the recording have fetched it twice."""
    clock = Stopwatch()
    clock.add({Work.DOWNLOAD: 1.5, Work.SPEECH: 2.0})
    clock.add({Work.DOWNLOAD: 0.5})
    assert (clock.spent_s["download"], clock.spent_s["speech"]) == (2.0, 2.0)
