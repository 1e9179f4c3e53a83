"""The REST API over HTTP, as clients meet it, in front of simulated workers."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from emulator.endpoint import Endpoint
from emulator.rules import Retention
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from tests.emulator.conftest import QUICK, Caller, until

numbers = itertools.count()


async def answer(job: dict[str, Any], line: Line) -> object:
    """Do what the input asks for, in this order."""
    asked = job["input"]
    for percent in asked.get("progress", ()):
        await line.progress({"percent": percent})
    for piece in asked.get("stream", ()):
        line.stream(piece)
    await asyncio.sleep(asked.get("sleep", 0))
    return "x" * asked["grow"] if "grow" in asked else asked.get("return", {"done": True})


Open = Callable[..., tuple[Caller, Endpoint]]


@pytest.fixture
def opened(server: Server, http: httpx2.Client) -> Iterator[Open]:
    """Opens endpoints with one worker, or with none, and closes them."""
    names = []

    def open_endpoint(workers: int = 1, **rules: Any) -> tuple[Caller, Endpoint]:
        name = f"api{next(numbers)}"
        names.append(name)
        bounds = Bounds(min_workers=workers, max_workers=max(1, workers))
        own = replace(QUICK, **rules)
        endpoint = (
            server.simulate(name, answer, bounds=bounds, rules=own)
            if workers
            else server.add(name, rules=own)
        )
        return Caller(http, endpoint), endpoint

    yield open_endpoint
    for name in names:
        server.remove(name)


def test_run_answers_at_once_and_status_tells_the_rest(opened: Open) -> None:
    """First come the id and IN_QUEUE, then times, worker and output."""
    client, _ = opened()
    first = client.post("run", {"input": {"return": {"text": "hej"}}}).json()
    assert first == {"id": first["id"], "status": "IN_QUEUE"}
    assert first["id"].endswith("-u1")
    job = client.wait(first["id"])
    assert job.keys() == {"id", "status", "delayTime", "executionTime", "workerId", "output"}
    assert (job["status"], job["output"]) == ("COMPLETED", {"text": "hej"})


def test_runsync_answers_with_the_result(opened: Open) -> None:
    """One request is enough, and the id shows which it was."""
    client, _ = opened()
    job = client.post("runsync", {"input": {"sleep": 0.05}}).json()
    assert (job["status"], job["output"]) == ("COMPLETED", {"done": True})
    assert job["id"].startswith("sync-")
    assert job["executionTime"] >= 50


def test_runsync_gives_up_waiting_and_the_job_goes_on(opened: Open) -> None:
    """After `wait` milliseconds it answers with the status, and /status knows the end."""
    client, _ = opened()
    job = client.post("runsync", {"input": {"sleep": 0.5}}, wait=30).json()
    assert job["status"] in ("IN_QUEUE", "IN_PROGRESS")
    assert "output" not in job
    assert client.wait(job["id"])["status"] == "COMPLETED"


def test_a_key_is_needed(opened: Open, server: Server) -> None:
    """Without one there is no answer. If the emulator has a key, no other will do."""
    client, endpoint = opened()
    assert httpx2.get(f"{server.base_url}/{endpoint.name}/health").status_code == 401
    with Server(api_key="right", rules=QUICK) as guarded:
        guarded.add("one")
        answers = [
            httpx2.get(
                f"{guarded.base_url}/one/health", headers={"Authorization": f"Bearer {key}"}
            ).status_code
            for key in ("wrong", "right")
        ]
    assert answers == [401, 200]
    assert client.get("health").status_code == 200


def test_an_unknown_endpoint_is_not_found(http: httpx2.Client) -> None:
    """The answer names it, and the known ones."""
    answered = http.post("/nowhere/run", json={"input": 1})
    assert answered.status_code == 404
    assert "nowhere" in answered.json()["error"]


@pytest.mark.parametrize("route", ["status/none", "stream/none"])
def test_an_unknown_job_is_not_found(opened: Open, route: str) -> None:
    """The answer is 404, as on the platform."""
    client, _ = opened(workers=0)
    assert client.get(route).status_code == 404


@pytest.mark.parametrize("route", ["cancel/none", "retry/none"])
def test_nothing_can_be_done_to_an_unknown_job(opened: Open, route: str) -> None:
    """The answer is 404, as on the platform."""
    client, _ = opened(workers=0)
    assert client.post(route).status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "valid dictionary"),
        ({}, "input"),
        ({"input": 1, "webhook": "ftp://x"}, "webhook"),
        ({"input": 1, "policy": 5}, "policy"),
        ({"input": 1, "policy": {"executionTimeout": 1}}, "policy.executionTimeout"),
        ({"input": 1, "policy": {"ttl": 1}}, "policy.ttl"),
    ],
)
def test_a_wrong_request_is_refused(opened: Open, body: object, said: str) -> None:
    """The answer is 400 and says why. There is no job."""
    client, endpoint = opened(workers=0)
    answered = client.post("run", body)
    assert answered.status_code == 400
    assert said in answered.json()["error"]
    assert endpoint.queue.ever == []


def test_a_body_that_is_not_json_is_refused(opened: Open, http: httpx2.Client) -> None:
    """The answer is 400."""
    _, endpoint = opened(workers=0)
    assert http.post(f"/{endpoint.name}/run", content=b"{").status_code == 400


@pytest.mark.parametrize(
    ("route", "limit"), [("run", QUICK.run_limit), ("runsync", QUICK.runsync_limit)]
)
def test_a_request_over_the_limit_is_refused(opened: Open, route: str, limit: int) -> None:
    """The answer is 413. A request with one byte less is accepted."""
    client, _ = opened()
    room = limit - len(json.dumps({"input": {"x": ""}}, separators=(",", ":")))
    assert client.post(route, {"input": {"x": "x" * (room + 1)}}).status_code == 413
    assert client.post(route, {"input": {"x": "x" * room}}).status_code == 200


def test_a_result_over_the_limit_is_lost(opened: Open) -> None:
    """The job is COMPLETED without output, as on the platform: the worker gets 400 and gives up."""
    client, _ = opened()
    job = client.wait(client.run({"grow": QUICK.run_limit}))
    assert job["status"] == "COMPLETED"
    assert "output" not in job


def test_an_error_of_the_handler_fails_the_job_and_keeps_the_output(opened: Open) -> None:
    """The string stays as it was, and so does everything beside it. The job is not retried."""
    client, endpoint = opened()
    job = client.wait(client.run({"return": {"error": "CODE: no", "success": False}}))
    assert (job["status"], job["error"], job["output"]) == (
        "FAILED",
        "CODE: no",
        {"success": False},
    )
    assert endpoint.queue.ever[0].attempts == 1


def test_an_empty_input_fails_as_on_the_platform(opened: Open) -> None:
    """It does not reach the worker, which then refuses the job twice."""
    client, _ = opened()
    job = client.wait(client.run({}))
    assert (job["status"], job["error"]) == ("FAILED", "job timed out after 1 retries")


def test_progress_is_shown_while_the_job_runs(opened: Open) -> None:
    """The last update is the `output`."""
    client, _ = opened()
    job_id = client.run({"progress": [10, 20], "sleep": 0.5})
    job = until(lambda: (seen := client.status(job_id)).get("output") and seen)
    assert (job["status"], job["output"]) == ("IN_PROGRESS", {"percent": 20})
    assert client.wait(job_id)["output"] == {"done": True}


def test_a_stream_is_drained_by_reading_it(opened: Open) -> None:
    """Each piece is read once, even after the end."""
    client, _ = opened()
    job_id = client.run({"stream": ["a", "b"]})
    client.wait(job_id)
    assert client.get(f"stream/{job_id}").json() == {
        "status": "COMPLETED",
        "stream": [{"output": "a"}, {"output": "b"}],
    }
    assert client.get(f"stream/{job_id}").json() == {"status": "COMPLETED", "stream": []}


def test_cancelling_a_waiting_job_takes_it_from_the_queue(opened: Open) -> None:
    """No worker ever gets it."""
    client, endpoint = opened(workers=0)
    job_id = client.run(1)
    assert client.post(f"cancel/{job_id}").json() == {"id": job_id, "status": "CANCELLED"}
    assert client.status(job_id)["status"] == "CANCELLED"
    assert endpoint.queue.waiting() == []


def test_cancelling_a_running_job_stops_it_and_frees_its_worker(opened: Open) -> None:
    """The worker posts nothing and takes the next job."""
    client, endpoint = opened()
    job_id = client.run({"sleep": 100})
    client.wait(job_id, "IN_PROGRESS")
    client.post(f"cancel/{job_id}")
    assert client.wait(client.run({"return": 1}))["output"] == 1
    assert client.status(job_id)["status"] == "CANCELLED"
    assert [step.status for step in endpoint.queue.ever[0].history] == [
        "IN_QUEUE",
        "IN_PROGRESS",
        "CANCELLED",
    ]


def test_cancelling_an_ended_job_changes_nothing(opened: Open) -> None:
    """The answer is the status that the job has."""
    client, _ = opened()
    job_id = client.run({"return": 1})
    client.wait(job_id)
    assert client.post(f"cancel/{job_id}").json() == {"id": job_id, "status": "COMPLETED"}
    assert client.status(job_id)["output"] == 1


def test_a_failed_job_can_be_retried_under_its_id(opened: Open) -> None:
    """It runs again from the start. A job that succeeded cannot be retried."""
    client, endpoint = opened()
    failed, fine = client.run({"return": {"error": "CODE: no"}}), client.run({"return": 1})
    client.wait(failed)
    client.wait(fine)
    assert client.post(f"retry/{failed}").json() == {"id": failed, "status": "IN_QUEUE"}
    client.wait(failed)
    assert endpoint.queue.ever[0].attempts == 2
    refused = client.post(f"retry/{fine}")
    assert refused.status_code == 400
    assert "COMPLETED" in refused.json()["error"]


def test_purging_drops_what_waits(opened: Open) -> None:
    """The answer says how many jobs."""
    client, endpoint = opened(workers=0)
    job_id = client.run(1)
    client.run(2)
    assert client.post("purge-queue").json() == {"removed": 2, "status": "completed"}
    assert client.get(f"status/{job_id}").status_code == 404
    assert endpoint.queue.unfinished() == []


def test_health_counts_jobs_and_workers(opened: Open) -> None:
    """The names are the platform's."""
    client, _ = opened()
    client.wait(client.run({"return": {"error": "CODE: no"}}))
    running = client.run({"sleep": 100})
    client.wait(running, "IN_PROGRESS")
    client.run({"return": 1})
    assert client.get("health").json() == {
        "jobs": {"completed": 0, "failed": 1, "inProgress": 1, "inQueue": 1, "retried": 0},
        "workers": {
            "idle": 0,
            "initializing": 0,
            "ready": 0,
            "running": 1,
            "throttled": 0,
            "unhealthy": 0,
        },
    }
    client.post(f"cancel/{running}")
    until(lambda: client.get("health").json()["workers"]["idle"] == 1)
    assert client.get("health").json()["jobs"]["completed"] == 1


def test_results_are_forgotten_after_their_time(opened: Open) -> None:
    """Then the answer is 404, sooner after /runsync than after /run."""
    client, endpoint = opened(retention=Retention(run_s=0.6, runsync_s=0.1))
    job_id = client.run({"return": 1})
    client.wait(job_id)
    sync_id = client.post("runsync", {"input": {"return": 1}}).json()["id"]
    until(lambda: client.get(f"status/{sync_id}").status_code == 404)
    until(lambda: client.get(f"status/{job_id}").status_code == 404)
    ended, forgotten = endpoint.queue.ever[0].finished_at, time.monotonic()
    assert ended is not None
    assert forgotten - ended >= 0.6


def test_a_job_over_its_execution_timeout_is_timed_out_and_stopped(opened: Open) -> None:
    """Its worker is free again."""
    client, _ = opened()
    job_id = client.run({"sleep": 100}, policy={"executionTimeout": 50})
    assert client.wait(job_id)["status"] == "TIMED_OUT"
    assert client.wait(client.run({"return": 1}))["output"] == 1


def test_a_job_over_its_ttl_is_not_found(opened: Open) -> None:
    """It makes no difference whether it runs or waits."""
    client, endpoint = opened()
    running, waiting = (client.run({"sleep": 100}, policy={"ttl": 300}) for _ in range(2))
    client.wait(running, "IN_PROGRESS")
    for job_id in (running, waiting):
        until(lambda job_id=job_id: client.get(f"status/{job_id}").status_code == 404)
    assert {job.status for job in endpoint.queue.ever} == {"TIMED_OUT"}


def test_requests_are_counted_by_route(opened: Open) -> None:
    """Tests can see how often a client has asked."""
    client, endpoint = opened(workers=0)
    job_id = client.run(1)
    client.status(job_id)
    client.status(job_id)
    client.post(f"cancel/{job_id}")
    assert endpoint.requests == {"run": 1, "status": 2, "cancel": 1}


def test_half_a_character_reaches_the_worker_and_comes_back(
    opened: Open, http: httpx2.Client
) -> None:
    """A lone surrogate, which UTF-8 does not have, travels as its escape."""
    client, _ = opened(workers=0)
    half = b'{"input": {"text": "\\ud800 \\u00e9"}}'
    job_id = http.post(f"{client.url}/run", content=half).json()["id"]
    taken = http.get(f"{client.url}/job-take/me").json()
    assert taken == {"id": job_id, "input": {"text": "\ud800 \u00e9"}}
    http.post(f"{client.url}/job-done/me/{job_id}", content=half.replace(b"input", b"output"))
    assert client.status(job_id)["output"] == {"text": "\ud800 \u00e9"}
