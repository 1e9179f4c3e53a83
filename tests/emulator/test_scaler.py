"""The number of workers, with simulated ones that start and end at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from emulator.endpoint import Endpoint
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import KILLED, Line, SimulatedLauncher, SimulatedWorker
from emulator.workers import Handle
from tests.emulator.conftest import QUICK, Caller, until

numbers = itertools.count()

Open = Callable[..., tuple[Caller, Endpoint]]


async def answer(job: dict[str, Any], line: Line) -> object:
    """Take the time that the job asks for, then answer."""
    await asyncio.sleep(job["input"].get("sleep", 0))
    return job["input"].get("return", line.worker_id)


class BrokenWorker:
    """A worker that ends before it takes a job, as one with a wrong setting does."""

    def terminate(self) -> None:
        """It has ended already."""

    def kill(self) -> None:
        """It has ended already."""

    async def wait(self) -> int:
        """Return at once."""
        return 1


class BreaksFirst:
    """Starts broken workers, then sound ones."""

    def __init__(self, broken: int) -> None:
        self.broken = broken
        self.starts: list[float] = []

    async def launch(self, endpoint: Endpoint, worker_id: str) -> Handle:
        """Start one."""
        self.starts.append(endpoint.clock())
        if len(self.starts) <= self.broken:
            return BrokenWorker()
        return SimulatedWorker(endpoint, answer, worker_id=worker_id)


@pytest.fixture
def opened(server: Server, http: httpx2.Client) -> Iterator[Open]:
    """Opens endpoints with bounds, and closes them."""
    names = []

    def open_endpoint(
        bounds: Bounds, launcher: Any = None, **rules: Any
    ) -> tuple[Caller, Endpoint]:
        name = f"scale{next(numbers)}"
        names.append(name)
        endpoint = server.add(name, rules=replace(QUICK, **rules))
        server.scale(endpoint, launcher or SimulatedLauncher(answer), bounds)
        return Caller(http, endpoint), endpoint

    yield open_endpoint
    for name in names:
        server.remove(name)


def test_there_is_no_worker_without_a_job_and_one_with(opened: Open) -> None:
    """The endpoint scales from zero, and back to zero when it is idle for long enough."""
    client, endpoint = opened(Bounds(0, 3, idle_timeout_s=0.1))
    assert endpoint.workers.ever == []
    client.wait(client.run({"n": 1}))
    assert len(endpoint.workers.ever) == 1
    until(lambda: endpoint.workers.present() == [])
    worker = endpoint.workers.ever[0]
    assert worker.exit_code == 0
    assert worker.gone_at is not None
    assert worker.gone_at - endpoint.queue.ever[0].finished_at >= 0.1


def test_the_minimum_is_always_there(opened: Open) -> None:
    """They are there before the first job, and when idle."""
    _, endpoint = opened(Bounds(2, 3, idle_timeout_s=0.01))
    until(lambda: endpoint.workers.figures().idle == 2)
    assert len(endpoint.workers.ever) == 2


def test_there_are_as_many_workers_as_jobs_up_to_the_maximum(opened: Open) -> None:
    """The other jobs wait, and are done in the end."""
    client, endpoint = opened(Bounds(0, 3))
    jobs = [client.run({"sleep": 1.0}) for _ in range(5)]
    until(lambda: endpoint.workers.figures().running == 3)
    assert client.get("health").json()["jobs"]["inQueue"] == 2
    assert {client.wait(job_id)["status"] for job_id in jobs} == {"COMPLETED"}
    assert len(endpoint.workers.ever) == 3


def test_a_worker_for_several_jobs_gets_them_in_one_take(opened: Open, server: Server) -> None:
    """With room for four, four run side by side on one worker."""
    client, endpoint = opened(
        Bounds(0, 2, jobs_per_worker=4), SimulatedLauncher(answer, concurrency=4)
    )
    jobs = server.call(lambda: [endpoint.submit({"sleep": 0.2}) for _ in range(4)])
    assert len({client.wait(job.id)["workerId"] for job in jobs}) == 1
    assert max(job.handed_at for job in jobs) < min(job.finished_at for job in jobs)


def test_a_job_of_low_priority_starts_no_worker(opened: Open) -> None:
    """It is done when a worker runs anyway."""
    client, endpoint = opened(Bounds(0, 1))
    low = client.run({"n": 1}, policy={"lowPriority": True})
    client.get("health")
    assert endpoint.workers.ever == []
    client.wait(client.run({"n": 1}))
    assert client.wait(low)["status"] == "COMPLETED"


def test_a_cold_start_is_shown(opened: Open) -> None:
    """It shows as `initializing`, and by its duration."""
    client, endpoint = opened(Bounds(0, 1), SimulatedLauncher(answer, cold_start_s=0.3))
    job_id = client.run({"n": 1})
    until(lambda: client.get("health").json()["workers"]["initializing"] == 1)
    assert client.wait(job_id)["delayTime"] >= 300
    assert endpoint.workers.ever[0].cold_start_s >= 0.3


def test_a_worker_that_dies_is_replaced(opened: Open, server: Server) -> None:
    """It is replaced at once: the minimum holds."""
    client, endpoint = opened(Bounds(1, 1))
    job_id = client.run({"sleep": 0.2})
    first = client.wait(job_id, "IN_PROGRESS")["workerId"]
    server.call(endpoint.kill, first)
    job = client.wait(job_id)
    assert job["workerId"] != first
    assert (job["status"], job["retries"]) == ("COMPLETED", 1)
    assert endpoint.workers.ever[0].exit_code == KILLED


def test_a_worker_that_asks_to_be_replaced_is(opened: Open) -> None:
    """With `refresh_worker` beside the result, the job is done and the next one runs elsewhere."""
    client, endpoint = opened(Bounds(1, 1))
    refreshed = client.wait(client.run({"return": {"fine": True, "refresh_worker": True}}))
    assert (refreshed["status"], refreshed["output"]) == ("COMPLETED", {"fine": True})
    assert client.wait(client.run({"n": 1}))["workerId"] != refreshed["workerId"]
    assert endpoint.workers.ever[0].exit_code == 0


def test_a_draining_worker_finishes_what_it_has_and_gets_nothing_new(
    opened: Open, server: Server
) -> None:
    """It answers the running job, and the next worker the waiting one."""
    client, endpoint = opened(Bounds(1, 1))
    running = client.run({"sleep": 0.3})
    first = client.wait(running, "IN_PROGRESS")["workerId"]
    waiting = client.run({"n": 1})
    server.call(endpoint.drain, endpoint.workers.get(first))
    assert client.wait(running)["workerId"] == first
    assert client.wait(waiting)["workerId"] != first
    assert [job.attempts for job in endpoint.queue.ever] == [1, 1]


def test_a_worker_that_does_not_end_in_its_grace_period_is_killed_and_its_job_requeued(
    opened: Open, server: Server
) -> None:
    """The next worker does the job."""
    client, endpoint = opened(Bounds(1, 1), grace_s=0.1)
    job_id = client.run({"sleep": 0.5})
    first = client.wait(job_id, "IN_PROGRESS")["workerId"]
    server.call(endpoint.drain, endpoint.workers.get(first))
    job = client.wait(job_id)
    assert (job["status"], job["retries"]) == ("COMPLETED", 1)
    assert endpoint.workers.ever[0].exit_code == KILLED


def test_what_cannot_start_is_tried_again_less_and_less_often(opened: Open) -> None:
    """The endpoint is unhealthy meanwhile. The job waits and is done in the end."""
    launcher = BreaksFirst(2)
    client, endpoint = opened(Bounds(0, 1), launcher)
    job_id = client.run({"n": 1})
    until(lambda: client.get("health").json()["workers"]["unhealthy"] == 1)
    assert client.wait(job_id)["status"] == "COMPLETED"
    first, second, third = launcher.starts
    assert second - first >= 1
    assert third - second >= 2
    assert endpoint.queue.ever[0].attempts == 1


def test_closing_ends_all_workers(server: Server) -> None:
    """Busy ones end too, after their grace period."""
    endpoint = server.simulate(
        "closing", answer, bounds=Bounds(2, 2), rules=replace(QUICK, grace_s=0.1)
    )
    server.call(endpoint.submit, {"sleep": 100})
    until(lambda: endpoint.workers.figures().running == 1)
    server.remove("closing")
    assert endpoint.workers.present() == []
    assert sorted(worker.exit_code for worker in endpoint.workers.ever) == [KILLED, 0]
