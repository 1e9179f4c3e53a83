"""The client of other endpoints, against scripted replies on loopback: every rule of when to try
again, and how every job can end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    DeadlineExceeded,
    EndpointRefused,
    EndpointUnavailable,
    JobExpired,
    JobFailed,
    SourceTooLarge,
    WorkerError,
)
from core.remote import Address, Pace, connect, request_body
from core.remote import Endpoint as Client
from core.remote.rest import JobState, Malformed, Status, output_of, read_id
from core.wire.answers import read_diarization, read_transcription
from core.wire.limits import MAX_RUN_BYTES
from emulator.scripted import Reply, Script, Scripted, serve
from tests.replies import HTML, KEY, QUEUED, RESET, completed, failed, state

QUICK = Pace(
    tries=4,
    first_wait_s=0.02,
    longest_wait_s=0.05,
    jitter_s=0.01,
    request_s=5,
    first_poll_s=0.01,
    longest_poll_s=0.05,
)
TLS = httpx2.create_ssl_context(trust_env=False)
DONE = completed({"text": "done"})
BUSY = Reply(503, "busy")


@dataclass
class Outcome:
    """What one job came to."""

    result: object
    endpoint: Scripted
    took_s: float
    progress: list[tuple[str, float]]

    @property
    def counts(self) -> dict[str, int]:
        """How often each route was asked."""
        return {route: len(self.endpoint.of(route)) for route in ("run", "status", "cancel")}


def run(
    *,
    deadline_s: float = 20,
    pace: Pace = QUICK,
    cancel_when: Callable[[Scripted], bool] | None = None,
    **scripts: Script,
) -> Outcome:
    """Run one job; the result is the output, or the error.

    `cancel_when` is asked all the time whether to cancel it.
    """
    endpoint = Scripted(**{"status": [DONE], **scripts})
    progress: list[tuple[str, float]] = []

    async def job() -> object:
        async with connect(KEY, pace=pace, tls=TLS) as client:
            one = Client(Address("words", f"{server.base_url}/words"), client, pace)
            body = request_body({"audio_url": "https://example.com/a"}, timeout_s=deadline_s)
            result: object = "cancelled"
            async with anyio.create_task_group() as group:
                if cancel_when:
                    group.start_soon(cancel, group.cancel_scope)
                try:
                    deadline = anyio.current_time() + deadline_s
                    result = await one.run(
                        body, deadline=deadline, report=lambda *told: progress.append(told)
                    )
                except WorkerError as error:
                    result = error
                group.cancel_scope.cancel()
            return result

    async def cancel(scope: anyio.CancelScope) -> None:
        assert cancel_when
        while not cancel_when(endpoint):
            await anyio.sleep(0.005)
        scope.cancel()

    with serve(words=endpoint) as server:
        started = time.monotonic()
        result = asyncio.run(job())
        return Outcome(result, endpoint, time.monotonic() - started, progress)


@pytest.fixture(autouse=True)
def _nothing_unretrieved(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test leaves a task with an exception that nobody looked at; no line of a log has the
    key.
    """
    caplog.set_level(logging.DEBUG)
    yield
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert KEY not in caplog.text


# how a job goes well


def test_a_job_is_submitted_with_its_policy_and_watched_until_it_ends() -> None:
    """With the key, the input and the time that is left, and its output comes back."""
    outcome = run(status=[QUEUED, state("IN_PROGRESS"), DONE], deadline_s=60)
    assert outcome.result == {"text": "done"}
    assert outcome.counts == {"run": 1, "status": 3, "cancel": 0}
    (asked,) = outcome.endpoint.of("run")
    assert asked.key == f"Bearer {KEY}"
    assert asked.body == {
        "input": {"audio_url": "https://example.com/a"},
        "policy": {"executionTimeout": 60_000, "ttl": 60_000},
    }
    (job,) = outcome.endpoint.jobs
    assert {asked.job_id for asked in outcome.endpoint.of("status")} == {job.id}


def test_the_platforms_bounds_hold_for_the_policy() -> None:
    """At least 5 s to run and 10 s to live, at most a week."""
    assert json.loads(request_body({}, timeout_s=0.5))["policy"] == {
        "executionTimeout": 5000,
        "ttl": 10_000,
    }
    assert json.loads(request_body({}, timeout_s=1e9))["policy"] == {
        "executionTimeout": 604_800_000,
        "ttl": 604_800_000,
    }


def test_progress_of_the_worker_is_passed_on_and_anything_else_is_not() -> None:
    """Only what has the shape of our workers' progress."""
    told = [
        {"stage": "decoding", "percent": 20},
        "half",
        {"stage": 1},
        {"percent": 5},
        {"stage": "transcribing", "percent": 250},
        None,
    ]
    outcome = run(status=[*(state("IN_PROGRESS", output=output) for output in told), DONE])
    assert outcome.progress == [("decoding", 0.2), ("transcribing", 1.0)]


def test_the_consoles_word_for_in_progress_is_understood() -> None:
    """RUNNING is no end."""
    assert run(status=[state("RUNNING"), DONE]).result == {"text": "done"}


@given(elapsed_s=st.floats(0, 1e5))
def test_a_poll_comes_late_by_a_small_share_of_the_time_it_took(elapsed_s: float) -> None:
    """A tenth of a second at first, never much more than a twentieth of what has gone by, and 2 s
    at the most; with jitter.
    """
    waits = [Pace().until_poll_s(elapsed_s) for _ in range(8)]
    assert all(0.075 <= wait <= 2.5 for wait in waits)
    assert all(wait <= max(0.125, 0.0625 * elapsed_s) for wait in waits)
    assert len(set(waits)) > 1


# when it is tried again


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
@pytest.mark.parametrize("route", ["run", "status"])
def test_what_may_pass_is_tried_again(route: str, status: int) -> None:
    """On every route, several times."""
    good = {"run": Reply(body={"id": "job-x"}), "status": DONE}[route]
    outcome = run(**{route: [Reply(status, "busy"), Reply(status, "busy"), good]})
    assert outcome.result == {"text": "done"}
    assert outcome.counts[route] == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 413, 422])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    """And says which setting to look at."""
    outcome = run(run=[Reply(status, "no", {"Location": "/elsewhere"})])
    assert isinstance(outcome.result, EndpointRefused)
    assert f"HTTP status {status}; check " in str(outcome.result)
    assert outcome.counts == {"run": 1, "status": 0, "cancel": 0}


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_look_at_a_job_ends_it(status: int) -> None:
    """It cannot be followed any more, so it is cancelled."""
    outcome = run(status=[Reply(status, "no")])
    assert isinstance(outcome.result, EndpointRefused)
    assert outcome.counts == {"run": 1, "status": 1, "cancel": 1}


def test_an_endpoint_that_stays_busy_is_given_up_after_so_many_tries() -> None:
    """Ten, as it comes; here four. The error may pass by itself."""
    assert Pace().tries == 10
    outcome = run(run=[BUSY])
    assert isinstance(outcome.result, EndpointUnavailable)
    assert outcome.result.retryable
    assert outcome.counts == {"run": 4, "status": 0, "cancel": 0}


def test_a_job_that_cannot_be_followed_any_more_is_cancelled() -> None:
    """Where all looks at it fail."""
    outcome = run(status=[BUSY])
    assert isinstance(outcome.result, EndpointUnavailable)
    assert outcome.counts == {"run": 1, "status": 4, "cancel": 1}


def test_retry_after_is_obeyed() -> None:
    """In seconds."""
    outcome = run(
        run=[Reply(429, "slow down", {"Retry-After": "1"}), Reply(body={"id": "job-x"})],
        deadline_s=2,
    )
    assert outcome.result == {"text": "done"}
    first, second = outcome.endpoint.of("run")
    assert second.at - first.at >= 1


def test_a_retry_after_longer_than_the_job_has_ends_at_the_deadline() -> None:
    """Here it is a date."""
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    outcome = run(
        run=[Reply(429, "slow down", {"Retry-After": in_an_hour}), Reply(body={"id": "job-x"})],
        deadline_s=2,
    )
    assert isinstance(outcome.result, DeadlineExceeded)
    assert 2 <= outcome.took_s <= 3


def test_a_retry_after_that_cannot_be_read_counts_as_none() -> None:
    """The usual wait takes its place."""
    outcome = run(
        run=[Reply(429, "slow down", {"Retry-After": "soon"}), Reply(body={"id": "job-x"})]
    )
    assert outcome.result == {"text": "done"}


def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    """Nothing listens."""

    async def ask() -> None:
        async with connect(KEY, pace=QUICK, tls=TLS) as client:
            one = Client(Address("words", "http://127.0.0.1:9/v2/words"), client, QUICK)
            await one.run(
                request_body({}, timeout_s=5),
                deadline=anyio.current_time() + 5,
                report=lambda *_: None,
            )

    with pytest.raises(EndpointUnavailable, match="cannot be reached"):
        asyncio.run(ask())


# lost and broken answers


@pytest.mark.parametrize(
    "lost",
    [
        RESET,
        HTML,
        Reply(body='{"id'),
        Reply(body=[]),
        Reply(body={"id": "../../x"}),
        Reply(body={"id": "."}),
        Reply(body={"id": ".."}),
        Reply(body={"id": "..a"}),
        Reply(body={"id": "x" * 201}),
        Reply(body='{"id": "..", "sta'),
        Reply(504, "slow"),
        Reply(524, "slow"),
    ],
)
def test_a_job_whose_submission_was_not_answered_is_submitted_once_more(lost: Reply) -> None:
    """And never a third time: both may be running."""
    assert run(run=[lost, Reply(body={"id": "job-x"})]).result == {"text": "done"}
    outcome = run(run=[lost])
    assert isinstance(outcome.result, EndpointUnavailable)
    assert outcome.counts == {"run": 2, "status": 0, "cancel": 0}


def test_busy_answers_and_a_lost_one_do_not_add_up() -> None:
    """An endpoint that says that it is busy has not taken the job."""
    outcome = run(run=[BUSY, RESET, BUSY, Reply(body={"id": "job-x"})])
    assert outcome.result == {"text": "done"}


def test_an_answer_cut_off_behind_the_id_is_not_lost() -> None:
    """The job is known, so it is not submitted again."""
    outcome = run(run=[Reply(body='{"id": "job-7-u1", "sta')])
    assert outcome.result == {"text": "done"}
    assert outcome.counts["run"] == 1
    assert outcome.endpoint.of("status")[0].job_id == "job-7-u1"


@given(
    st.text(max_size=30)
    .flatmap(
        lambda text: st.sampled_from([text, f'{{"id": "{text}"}}', f'{{"x": 1, "id":"{text}", "st'])
    )
    .map(str.encode)
)
def test_no_answer_to_a_submission_gives_an_id_that_is_none(content: bytes) -> None:
    """Whatever comes: an id that can stand in a URL, or an error."""
    try:
        found = read_id(content)
    except Malformed:
        return
    assert found.replace("-", "").replace("_", "").replace(".", "").isalnum()


BROKEN = {
    "reset": RESET,
    "html": HTML,
    "truncated": Reply(body='{"id": "job", "status": "COMPL'),
    "shorter than told": Reply(body='{"id": "job"', missing=4000),
    "a list": Reply(body=[1]),
    "no status": Reply(body={"id": "job"}),
    "unknown status": state("ON_HOLIDAY"),
    "not json": Reply(body="COMPLETED"),
    "null": Reply(body=None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_look_at_a_job_is_tried_again_and_then_a_typed_error(name: str) -> None:
    """A gateway's page or half an answer says nothing about the job."""
    pace = replace(QUICK, request_s=0.3)
    assert run(status=[BROKEN[name], DONE], pace=pace).result == {"text": "done"}
    outcome = run(status=[BROKEN[name]], pace=pace)
    assert isinstance(outcome.result, EndpointUnavailable)
    assert outcome.counts == {"run": 1, "status": 4, "cancel": 1}


def test_an_answer_that_drips_is_cut_off_as_a_whole() -> None:
    """Each byte comes in time, all of them do not."""
    pace = replace(QUICK, request_s=0.3)
    outcome = run(status=[Reply(body="x" * 1000, drip_s=0.05), DONE], pace=pace)
    assert outcome.result == {"text": "done"}
    assert outcome.took_s < 2


# how a job ends


@pytest.mark.parametrize(
    ("reply", "kind", "code", "retryable", "words"),
    [
        (
            failed("unsupported_audio", "not a recording"),
            JobFailed,
            "unsupported_audio",
            False,
            "not a recording",
        ),
        (
            failed("out_of_memory", "too large"),
            JobFailed,
            "out_of_memory",
            True,
            "too large",
        ),
        (
            failed("download_interrupted", "the host answered 503"),
            JobFailed,
            "download_interrupted",
            True,
            "503",
        ),
        (
            state(
                "FAILED",
                error="download_failed: the host answered 503",
                output={"success": False, "code": "download_failed", "retryable": True},
            ),
            JobFailed,
            "download_failed",
            True,
            "503",
        ),
        (
            completed({"error": "out_of_memory: too large", "success": False}),
            JobFailed,
            "out_of_memory",
            True,
            "too large",
        ),
        (
            completed({"error": "/root/x.py", "success": False}),
            JobFailed,
            "endpoint_failed",
            True,
            "no reason",
        ),
        (
            failed("x" * 64, "as long as codes may be"),
            JobFailed,
            "x" * 64,
            False,
            "as long as codes may be",
        ),
        (failed("x" * 65, "too long"), JobFailed, "endpoint_failed", True, "no reason"),
        (failed("x" * 10**6, "too long"), JobFailed, "endpoint_failed", True, "no reason"),
        (
            failed("of_a_newer_worker", "anything"),
            JobFailed,
            "of_a_newer_worker",
            False,
            "anything",
        ),
        (failed("invalid_base64", "not base64"), JobFailed, "invalid_base64", False, "not base64"),
        (
            state("FAILED", error="model_failed: the GPU failed"),
            JobFailed,
            "model_failed",
            True,
            "the GPU failed",
        ),
        (
            state("FAILED", error="empty_audio: no bytes"),
            JobFailed,
            "empty_audio",
            False,
            "no bytes",
        ),
        (
            state("FAILED", error="job timed out after 1 retries"),
            JobFailed,
            "endpoint_failed",
            True,
            "died or gave no answer",
        ),
        (
            state("FAILED", error='{"error_message": "/root/x.py"}'),
            JobFailed,
            "endpoint_failed",
            True,
            "no reason",
        ),
        (
            state("FAILED", error={"message": "/root/x.py"}),
            JobFailed,
            "endpoint_failed",
            True,
            "no reason",
        ),
        (state("FAILED"), JobFailed, "endpoint_failed", True, "no reason"),
        (state("CANCELLED"), JobFailed, "endpoint_failed", True, "cancelled"),
        (
            state("TIMED_OUT"),
            DeadlineExceeded,
            "deadline_exceeded",
            True,
            "longer than its endpoint allows",
        ),
        (state("COMPLETED"), JobFailed, "endpoint_failed", True, "without an answer"),
        (
            completed({"success": False, "code": "empty_audio"}),
            JobFailed,
            "endpoint_failed",
            True,
            "no reason",
        ),
        (
            state("COMPLETED", error="empty_audio: no bytes", output={}),
            JobFailed,
            "empty_audio",
            False,
            "no bytes",
        ),
        (Reply(404, {"error": "not found"}), JobExpired, "job_expired", True, "no longer knows"),
    ],
)
def test_every_end_of_a_job_is_known(
    reply: Reply, kind: type[WorkerError], code: str, retryable: bool, words: str
) -> None:
    """With the worker's own code where it gave one; nothing that another program wrote is passed
    on; and there is nothing to cancel.
    """
    outcome = run(status=[QUEUED, reply])
    error = outcome.result
    assert type(error) is kind
    assert (error.code, error.retryable, error.refresh_worker) == (code, retryable, False)
    assert words in str(error)
    assert "/root" not in str(error)
    assert outcome.counts == {"run": 1, "status": 2, "cancel": 0}


def test_every_code_of_ours_is_passed_on() -> None:
    """Whatever letters, digits and underscores it is made of."""

    def codes(kind: type[WorkerError]) -> set[str]:
        return {kind.code}.union(*map(codes, kind.__subclasses__()))

    for code in codes(WorkerError):
        with pytest.raises(JobFailed, match=r"^as it is$") as caught:
            output_of(JobState(status=Status.FAILED, error=f"{code}: as it is"), "words")
        assert caught.value.code == code


@pytest.mark.parametrize(
    "scripts",
    [
        {"status": [QUEUED]},
        {"run": [BUSY]},
        {"run": [Reply(body={"id": "job-x"}, delay_s=4)]},
        {"status": [Reply(body={}, delay_s=4)]},
        {"status": [QUEUED], "cancel": [Reply(body={}, delay_s=4)]},
        {"status": [QUEUED], "cancel": [BUSY]},
        {"run": [Reply(body=" " * 1000, drip_s=0.1)]},
    ],
    ids=[
        "queue",
        "busy",
        "slow to take it",
        "slow to tell",
        "slow to cancel",
        "busy to cancel",
        "drip",
    ],
)
def test_nothing_goes_on_behind_the_deadline_and_a_second(scripts: dict[str, Any]) -> None:
    """Wherever the endpoint hangs."""
    outcome = run(deadline_s=1, pace=replace(QUICK, tries=1000, request_s=30), **scripts)
    assert isinstance(outcome.result, DeadlineExceeded)
    assert outcome.took_s < 2


# taking a job back


def test_a_job_that_nobody_waits_for_is_cancelled_exactly_once() -> None:
    """While it waits or runs."""
    outcome = run(status=[QUEUED], cancel_when=lambda endpoint: len(endpoint.of("status")) > 1)
    assert outcome.result == "cancelled"
    (job,) = outcome.endpoint.jobs
    assert [asked.job_id for asked in outcome.endpoint.of("cancel")] == [job.id]


def test_a_job_that_is_cancelled_while_it_is_submitted_is_taken_back_too() -> None:
    """Its id is awaited, for else it would run for nobody."""
    outcome = run(
        run=[Reply(body={"id": "job-late"}, delay_s=0.4)],
        cancel_when=lambda endpoint: bool(endpoint.of("run")),
    )
    assert outcome.result == "cancelled"
    assert [asked.job_id for asked in outcome.endpoint.of("cancel")] == ["job-late"]
    assert outcome.counts["status"] == 0


def test_a_submission_that_stays_unanswered_does_not_hold_up_who_cancelled() -> None:
    """Only as long as taking back may take."""
    outcome = run(
        run=[Reply(body={"id": "job-late"}, delay_s=3)],
        cancel_when=lambda endpoint: bool(endpoint.of("run")),
        pace=replace(QUICK, cancel_s=0.5),
    )
    assert outcome.result == "cancelled"
    assert outcome.took_s < 2


@pytest.mark.parametrize(
    "reply", [Reply(404, "gone"), Reply(400, "done"), BUSY, RESET, Reply(body={}, delay_s=2)]
)
def test_trouble_with_taking_back_does_not_hide_why(reply: Reply) -> None:
    """The caller hears the cause, and soon."""
    outcome = run(
        status=[Reply(401, "no")],
        cancel=[reply],
        pace=replace(QUICK, cancel_s=0.5),
    )
    assert isinstance(outcome.result, EndpointRefused)
    assert outcome.took_s < 2


def test_a_cancel_that_failed_is_tried_again() -> None:
    """A busy moment must not leave a job running."""
    outcome = run(
        status=[QUEUED],
        cancel=[BUSY, state("CANCELLED")],
        cancel_when=lambda endpoint: bool(endpoint.of("status")),
    )
    assert outcome.counts["cancel"] == 2


def test_a_cancel_that_is_told_to_wait_longer_than_it_has_is_tried_again_in_time() -> None:
    """Else the job would run for nobody."""
    outcome = run(
        status=[QUEUED],
        cancel=[Reply(429, "slow down", {"Retry-After": "60"}), state("CANCELLED")],
        cancel_when=lambda endpoint: bool(endpoint.of("status")),
        pace=replace(QUICK, cancel_s=2.0),
    )
    assert outcome.counts["cancel"] == 2


def test_a_submission_that_is_answered_late_and_cannot_be_cancelled_has_half_a_second_in_all() -> (
    None
):
    """Behind the deadline; not one for its id and another for taking it back."""
    outcome = run(
        deadline_s=1,
        run=[Reply(body={"id": "job-late"}, delay_s=1.4)],
        cancel=[Reply(body={}, delay_s=4)],
    )
    assert isinstance(outcome.result, DeadlineExceeded)
    assert [asked.job_id for asked in outcome.endpoint.of("cancel")] == ["job-late"]
    assert outcome.took_s < 1.75


# payloads and answers


def test_a_request_over_the_platforms_limit_is_refused_with_what_to_do() -> None:
    """It is measured as it is sent."""
    room = MAX_RUN_BYTES - len(request_body({"audio_base64": ""}, timeout_s=3600))
    assert len(request_body({"audio_base64": "A" * room}, timeout_s=3600)) == MAX_RUN_BYTES
    with pytest.raises(
        SourceTooLarge,
        match=r"10\.0 MB and the platform carries 10 MB .*; put the recording where a URL",
    ):
        request_body({"audio_base64": "A" * (room + 1)}, timeout_s=3600)


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        [],
        {},
        {"text": "of another worker"},
        {"words": [{"word": "a", "start": "x", "end": 1}]},
    ],
)
def test_an_answer_of_another_worker_says_which_setting_is_wrong(output: object) -> None:
    """It will be the same the next time."""
    for name, read in {
        "transcription": lambda: read_transcription(output, language=None),
        "diarization": lambda: read_diarization(output),
    }.items():
        with pytest.raises(EndpointRefused, match=f"check {name.upper()}_ENDPOINT_ID") as caught:
            read()
        assert not caught.value.retryable


def test_health_says_no_only_to_a_key_that_is_refused() -> None:
    """All else may pass before a job comes, and is logged."""

    async def check(reply: Reply) -> None:
        async with connect(KEY, pace=QUICK, tls=TLS) as client:
            with serve(words=Scripted(health=[reply])) as server:
                address = Address("words", f"{server.base_url}/words")
                await Client(address, client, QUICK).check()

    for reply in (Reply(body={}), Reply(404, "?"), BUSY, RESET, HTML):
        asyncio.run(check(reply))
    for status in (401, 403):
        with pytest.raises(EndpointRefused, match="RUNPOD_API_KEY"):
            asyncio.run(check(Reply(status, "no")))
