"""Scripted endpoints: what clients read, and what is remembered of their requests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from emulator import faults
from emulator.scripted import Reply, Scripted, serve
from emulator.server import Server
from emulator.simulated import Line
from tests.emulator.conftest import Caller, until

Open = Callable[[Scripted], Caller]
numbers = itertools.count()


@pytest.fixture
def opened(server: Server, http: httpx2.Client) -> Iterator[Open]:
    """Opens a scripted endpoint for a caller, and closes it."""
    name = f"scripted{next(numbers)}"

    def open_endpoint(scripted: Scripted) -> Caller:
        scripted.open(server, name)
        return Caller(http, server.endpoints[name])

    yield open_endpoint
    server.remove(name)


def test_replies_come_in_order_and_the_last_one_for_ever(opened: Open) -> None:
    """Each route has an order of its own."""
    client = opened(Scripted(status=[Reply(503), Reply(200), Reply(404)], health=[Reply(401)]))
    assert [client.get("status/x").status_code for _ in range(4)] == [503, 200, 404, 404]
    assert client.get("health").status_code == 401


def test_the_emulator_answers_for_whatever_the_script_leaves_out(opened: Open) -> None:
    """That is a route without a script, or a None in a script."""
    scripted = Scripted(status=[Reply(503), None])
    client = opened(scripted)
    job_id = client.run({"n": 1})
    assert client.get(f"status/{job_id}").status_code == 503
    assert client.status(job_id) == {"id": job_id, "status": "IN_QUEUE"}
    assert [job.id for job in scripted.jobs] == [job_id]


def test_a_function_chooses_by_the_request(opened: Open) -> None:
    """It gets the request."""
    client = opened(Scripted(status=lambda asked: Reply(body={"asked": asked.job_id})))
    assert client.get("status/this").json() == {"asked": "this"}
    assert client.get("status/that").json() == {"asked": "that"}


def test_every_request_is_remembered(opened: Open) -> None:
    """With its route, job, key and body, in order, even if a fault struck it."""
    scripted = Scripted(cancel=[faults.ServerError()])
    client = opened(scripted)
    before = time.monotonic()
    job_id = client.run({"n": 1})
    client.post(f"cancel/{job_id}")
    run, cancel = scripted.asked
    assert (run.route, run.job_id, run.key) == ("run", "", "Bearer any")
    assert run.body == {"input": {"n": 1}}
    assert (cancel.route, cancel.job_id) == ("cancel", job_id)
    assert before <= run.at <= cancel.at <= time.monotonic()
    assert scripted.of("cancel") == [cancel]


def test_a_workers_requests_are_remembered_too(opened: Open, http: httpx2.Client) -> None:
    """Its polls, its progress and its results, by the job's id."""
    scripted = Scripted()
    client = opened(scripted)
    job_id = client.run({"n": 1})
    assert http.get(f"{client.url}/job-take/me").json() == {"id": job_id, "input": {"n": 1}}
    http.post(f"{client.url}/job-done/me/{job_id}?gpu=none", json={"output": 2})
    assert [asked.route for asked in scripted.asked] == ["run", "job-take", "job-done"]
    assert (scripted.asked[2].job_id, scripted.asked[2].body) == (job_id, {"output": 2})
    assert client.status(job_id)["output"] == 2


def test_a_body_that_is_not_json_is_remembered_as_none(opened: Open, http: httpx2.Client) -> None:
    """The emulator refuses it as ever."""
    scripted = Scripted()
    client = opened(scripted)
    assert http.post(f"{client.url}/run", content=b"{").status_code == 400
    assert scripted.asked[0].body is None


def test_a_handler_does_the_jobs(opened: Open) -> None:
    """The script can hide that for a while."""

    async def handler(job: dict[str, Any], line: Line) -> object:
        del line
        return {"twice": 2 * job["input"]["n"]}

    scripted = Scripted(handler, status=[Reply(503), None])
    client = opened(scripted)
    job_id = client.run({"n": 2})
    assert client.get(f"status/{job_id}").status_code == 503
    assert client.wait(job_id)["output"] == {"twice": 4}


@pytest.mark.parametrize(
    ("reply", "body", "content_type"),
    [
        (Reply(body={"a": [1]}), b'{"a": [1]}', "application/json"),
        (Reply(), b"null", "application/json"),
        (Reply(body='{"id'), b'{"id', "application/json"),
        (Reply(body="<p>", headers={"Content-Type": "text/html"}), b"<p>", "text/html"),
    ],
)
def test_a_string_goes_out_as_it_is_and_anything_else_as_json(
    opened: Open, reply: Reply, body: bytes, content_type: str
) -> None:
    """The headers of the script go with it."""
    answered = opened(Scripted(status=[reply])).get("status/x")
    assert (answered.content, answered.headers["content-type"]) == (body, content_type)


def test_headers_go_out_too(opened: Open) -> None:
    """One may say when to come back, even if it makes no sense."""
    client = opened(Scripted(run=[Reply(429, "slow down", {"Retry-After": "soon"})]))
    answered = client.post("run", {"input": 1})
    assert (answered.status_code, answered.headers["retry-after"]) == (429, "soon")


def test_a_reply_can_take_its_time(opened: Open) -> None:
    """It takes it before the answer, or before each byte."""
    client = opened(Scripted(status=[Reply(delay_s=0.2), Reply(body="0123", drip_s=0.05)]))
    started = time.monotonic()
    client.get("status/x")
    assert time.monotonic() - started >= 0.2
    started = time.monotonic()
    assert client.get("status/x").content == b"0123"
    assert time.monotonic() - started >= 3 * 0.05


def test_bytes_that_are_promised_may_never_come(opened: Open) -> None:
    """The connection stays open, so a client can only lose its patience."""
    client = opened(Scripted(status=[Reply(body="{", missing=1)]))
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{client.url}/status/x", timeout=0.3)


def test_a_client_that_goes_before_the_reply_is_no_error_of_the_emulator(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nobody left to answer."""
    scripted = Scripted(health=[Reply(delay_s=60)])
    client = opened(scripted)
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{client.url}/health", timeout=0.1)
    until(lambda: scripted.asked)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_fault_can_be_part_of_a_script(opened: Open) -> None:
    """Here the connection is reset."""
    client = opened(Scripted(status=[faults.ConnectionReset(), Reply()]))
    with pytest.raises(httpx2.ReadError):
        client.get("status/x")
    assert client.get("status/x").status_code == 200


def test_several_endpoints_are_served_by_their_names() -> None:
    """They are served as long as the context lasts."""
    with serve(one=Scripted(health=[Reply(201)]), two=Scripted(health=[Reply(202)])) as server:
        answers = [httpx2.get(f"{server.base_url}/{name}/health") for name in ("one", "two")]
    assert [answer.status_code for answer in answers] == [201, 202]
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{server.base_url}/one/health")
