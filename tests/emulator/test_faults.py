"""Things that go wrong on purpose: what a client sees, and what becomes of the job behind it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from emulator import faults
from emulator.endpoint import Endpoint
from emulator.faults import Schedule, Script, Seeded
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from tests.emulator.conftest import QUICK, Caller, until

numbers = itertools.count()
ALL_EXCHANGES = tuple(faults.EXCHANGES.values())


async def answer(job: dict[str, Any], line: Line) -> object:
    """Take the time that the job asks for, then answer."""
    await asyncio.sleep(job["input"].get("sleep", 0))
    return {"done": True}


Open = Callable[..., tuple[Caller, Endpoint]]


@pytest.fixture
def opened(server: Server, http: httpx2.Client) -> Iterator[Open]:
    """Opens endpoints with one worker and a schedule, and closes them."""
    names = []

    def open_endpoint(
        schedule: Schedule | None = None, workers: int = 1
    ) -> tuple[Caller, Endpoint]:
        name = f"fault{next(numbers)}"
        names.append(name)
        endpoint = server.simulate(
            name, answer, bounds=Bounds(workers, workers), rules=QUICK, faults=schedule
        )
        return Caller(http, endpoint), endpoint

    yield open_endpoint
    for name in names:
        server.remove(name)


def test_too_many_requests_says_when_to_come_back(opened: Open) -> None:
    """The answer is 429 with Retry-After. There is no job, and the next request is served."""
    client, endpoint = opened(Script({"run": [faults.TooManyRequests(retry_after_s=3)]}))
    refused = client.post("run", {"input": {"n": 1}})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert endpoint.queue.ever == []
    client.run({"n": 1})


@pytest.mark.parametrize(("accepted", "jobs"), [(False, 0), (True, 1)])
def test_a_server_error_may_hide_that_the_job_was_taken(
    opened: Open, accepted: bool, jobs: int
) -> None:
    """The answer is 500 either way: the client cannot know whether there is a job."""
    client, endpoint = opened(Script({"run": [faults.ServerError(accepted=accepted)]}))
    assert client.post("run", {"input": {"n": 1}}).status_code == 500
    assert len(endpoint.queue.ever) == jobs


def test_a_reset_is_an_error_of_the_connection(opened: Open) -> None:
    """It is neither an answer nor an end. Nothing was done."""
    client, endpoint = opened(Script({"run": [faults.ConnectionReset()]}))
    with pytest.raises(httpx2.ReadError, match="reset"):
        client.post("run", {"input": {"n": 1}})
    assert endpoint.queue.ever == []


def test_a_lost_reply_leaves_a_job_that_the_client_has_no_id_of(opened: Open) -> None:
    """The job was accepted, and runs."""
    client, endpoint = opened(Script({"run": [faults.LostReply(silence_s=0.1)]}))
    started = time.monotonic()
    with pytest.raises(httpx2.ReadError):
        client.post("run", {"input": {"n": 1}})
    assert time.monotonic() - started >= 0.1
    until(lambda: [job.status for job in endpoint.queue.ever] == ["COMPLETED"])


def test_a_client_that_goes_during_the_silence_is_no_error_of_the_emulator(
    opened: Open, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nobody left whose connection could be reset."""
    client, endpoint = opened(Script({"run": [faults.LostReply(silence_s=5)]}))
    impatient = {"headers": {"Authorization": "Bearer any"}, "timeout": 0.5}
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{server.base_url}/{endpoint.name}/run", json={"input": {"n": 1}}, **impatient)
    client.wait(client.run({"sleep": 0.5}))
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_drip_is_whole_in_the_end(opened: Open) -> None:
    """But it takes its time."""
    client, _ = opened(Script({"run": [faults.Drip(piece=10, interval_s=0.02)]}))
    started = time.monotonic()
    answered = client.post("run", {"input": {"n": 1}})
    assert answered.json()["status"] == "IN_QUEUE"
    assert time.monotonic() - started >= 0.02 * (len(answered.content) // 10)


def test_truncated_json_is_a_valid_answer_that_cannot_be_read(opened: Open) -> None:
    """The answer is 200 and half a body."""
    client, _ = opened(Script({"run": [faults.TruncatedJson()]}))
    answered = client.post("run", {"input": {"n": 1}})
    assert answered.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answered.json()


def test_a_closed_connection_ends_an_answer_early(opened: Open) -> None:
    """The header promised more."""
    client, _ = opened(Script({"run": [faults.TruncatedJson(closed=True)]}))
    with pytest.raises(httpx2.RemoteProtocolError):
        client.post("run", {"input": {"n": 1}})


@pytest.mark.parametrize("status", [200, 502, 524])
def test_a_page_of_a_proxy_is_not_json(opened: Open, status: int) -> None:
    """It is HTML with the wanted status."""
    client, _ = opened(Script({"run": [faults.HtmlPage(status)]}))
    answered = client.post("run", {"input": {"n": 1}})
    assert (answered.status_code, answered.headers["content-type"]) == (status, "text/html")


def test_a_killed_worker_is_replaced_and_its_job_done_by_another(opened: Open) -> None:
    """The job is retried once: the client sees COMPLETED and `retries`."""
    client, endpoint = opened(Script(jobs=[faults.WorkerKilled(after_s=0.05)]))
    job = client.wait(client.run({"sleep": 0.2}))
    assert (job["status"], job["retries"]) == ("COMPLETED", 1)
    assert endpoint.workers.ever[0].exit_code == -9
    assert endpoint.queue.ever[0].attempts == 2


def test_a_job_whose_workers_are_killed_twice_has_failed(opened: Open) -> None:
    """The error is in the platform's words."""
    client, _ = opened(Script(jobs=[faults.WorkerKilled(), faults.WorkerKilled()]))
    job = client.wait(client.run({"sleep": 0.2}))
    assert (job["status"], job["error"]) == ("FAILED", "job timed out after 1 retries")


def test_a_job_handed_out_after_sigterm_is_dropped_by_its_worker_and_run_by_the_next(
    opened: Open,
) -> None:
    """Nothing is lost: it goes back to the queue when the worker is gone."""
    client, endpoint = opened(Script(jobs=[faults.HandOutAfterSigterm(lead_s=0.05)]))
    job = client.wait(client.run({"n": 1}))
    assert (job["status"], job["retries"]) == ("COMPLETED", 1)
    assert job["workerId"] != endpoint.workers.ever[0].id
    assert endpoint.workers.ever[0].exit_code == 0


def test_a_result_can_count_as_too_large(opened: Open) -> None:
    """The job is COMPLETED without output."""
    client, _ = opened(Script(jobs=[faults.ResultOverLimit()]))
    job = client.wait(client.run({"n": 1}))
    assert job["status"] == "COMPLETED"
    assert "output" not in job


def test_late_progress_does_no_harm(opened: Open) -> None:
    """The result stays."""
    client, endpoint = opened(Script(jobs=[faults.LateProgress()]))
    job_id = client.run({"n": 1})
    client.wait(job_id)
    until(lambda: endpoint.workers.figures().idle)
    assert client.status(job_id)["output"] == {"done": True}


def test_late_progress_can_reopen_a_job_as_the_platform_once_did(opened: Open) -> None:
    """It then stays IN_PROGRESS until its execution timeout."""
    client, _ = opened(Script(jobs=[faults.LateProgress(reopens=True)]))
    job_id = client.run({"n": 1}, policy={"executionTimeout": 500})
    until(lambda: client.status(job_id).get("output") == {"stage": "late", "percent": 50})
    assert client.wait(job_id)["status"] == "TIMED_OUT"


def test_a_script_strikes_in_order_and_lets_pass_where_it_says_so(opened: Open) -> None:
    """Each route has an order of its own."""
    client, _ = opened(
        Script({"run": [None, faults.ServerError(503)], "health": [faults.ServerError()]})
    )
    assert [client.post("run", {"input": {"n": 1}}).status_code for _ in range(3)] == [
        200,
        503,
        200,
    ]
    assert [client.get("health").status_code for _ in range(2)] == [500, 200]


def draws(schedule: Seeded, routes: list[str]) -> list[faults.ExchangeFault | None]:
    """Return the faults for these exchanges."""
    return [schedule.exchange(route) for route in routes]


def test_the_same_seed_strikes_the_same_exchanges_of_a_route() -> None:
    """Other routes in between change nothing."""
    menu = {"run": ALL_EXCHANGES, "status": ALL_EXCHANGES}
    alone = draws(Seeded(7, menu), ["run"] * 50)
    among = draws(Seeded(7, menu), ["run", "status"] * 50)[::2]
    assert alone == among
    assert alone != draws(Seeded(8, menu), ["run"] * 50)


def test_a_seeded_schedule_strikes_its_share_and_no_more_than_it_may() -> None:
    """It remembers every strike."""
    schedule = Seeded(1, {"run": ALL_EXCHANGES}, rate=0.25)
    struck = [fault for fault in draws(schedule, ["run"] * 1000) if fault]
    assert 200 <= len(struck) <= 300
    assert [fault for _, _, fault in schedule.struck] == struck
    assert set(map(type, struck)) == set(map(type, ALL_EXCHANGES))
    limited = Seeded(1, {"run": ALL_EXCHANGES}, rate=1, most=3)
    assert sum(1 for fault in draws(limited, ["run"] * 10) if fault) == 3


@pytest.mark.parametrize("seed", range(10))
def test_whatever_goes_wrong_no_job_is_left_behind(opened: Open, seed: int) -> None:
    """A client that asks until it gets an answer sees every job end.

    Nothing stays in the queue or with a worker.
    """
    exchanges = (
        faults.TooManyRequests(0),
        faults.ServerError(accepted=True),
        faults.LostReply(),
        faults.TruncatedJson(),
        faults.HtmlPage(),
    )
    jobs = (
        faults.WorkerKilled(),
        faults.HandOutAfterSigterm(lead_s=0.01),
        faults.ResultOverLimit(),
        faults.LateProgress(),
    )
    schedule = Seeded(seed, {"run": exchanges, "status": exchanges}, jobs, rate=0.3)
    client, endpoint = opened(schedule, workers=2)

    def stubborn(ask: Callable[[], httpx2.Response]) -> Any:
        for _ in range(100):
            try:
                answered = ask()
                if answered.status_code == 200:
                    return answered.json()
            except (httpx2.HTTPError, ValueError):
                continue
        raise AssertionError("never understood")

    for job_id in [
        stubborn(lambda: client.post("run", {"input": {"sleep": 0.01}}))["id"] for _ in range(5)
    ]:
        until(
            lambda job_id=job_id: (
                stubborn(lambda: client.get(f"status/{job_id}"))["status"]
                in ("COMPLETED", "FAILED")
            )
        )
    until(lambda: not endpoint.queue.unfinished())
    assert schedule.struck
    assert len(endpoint.queue.ever) >= 5
