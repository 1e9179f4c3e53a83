"""The adapter in a real SDK worker process, against the worker protocol on loopback; only the flow
is told what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import __version__
from core.wire.form import Form, TranscriptFormat
from core.wire.render import render
from tests.handlers.flows import SECRET, said
from tests.platform import Platform, Worker, platform

FLOWS = "tests.handlers.flows"


@pytest.fixture(scope="module")
def server() -> Iterator[Platform]:
    """The platform's side of the protocol."""
    with platform() as running:
        yield running


@pytest.fixture(scope="module")
def worker(server: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One real worker process for all tests of this module; it must end cleanly."""
    running = Worker(FLOWS, tmp_path_factory.mktemp("adapter") / "log", **server.environment)
    yield running
    assert running.stop() == 0


def run(server: Platform, do: str, job_id: str = "") -> dict[str, object]:
    """Run one job and give what was posted last."""
    server.submit(job_id or do, {"do": do})
    return server.result(job_id or do)


def test_the_flows_answer_is_the_jobs_output(server: Platform, worker: Worker) -> None:
    """What a flow found is posted as it is rendered, with the version."""
    assert run(server, "answer") == {"output": render(said(SECRET), Form(TranscriptFormat.TEXT))}


def test_a_coded_error_is_a_string_with_its_code_beside_it(
    server: Platform, worker: Worker
) -> None:
    """An error is `code: sentence`, and code, success and retryable stand in the output."""
    assert run(server, "coded") == {
        "error": "download_failed: the host answered 503; try again",
        "output": {"success": False, "code": "download_failed", "retryable": True},
    }


def test_a_poisoned_process_asks_to_be_replaced(server: Platform, worker: Worker) -> None:
    """A failure that leaves the process in doubt posts stopPod, so the platform starts a fresh
    worker.
    """
    posted = run(server, "poison")
    assert posted["stopPod"] is True
    assert posted["output"] == {"success": False, "code": "model_failed", "retryable": True}


@pytest.mark.parametrize("do", ["bug", "nan", "numpy"])
def test_a_fault_of_ours_is_an_internal_error_without_its_text(
    server: Platform, worker: Worker, do: str
) -> None:
    """Unmapped exceptions and answers that are not JSON become `internal_error`, with no traceback
    and no value in it.
    """
    posted = run(server, do)
    assert str(posted["error"]).startswith("internal_error: ")
    assert "Traceback" not in str(posted)
    assert SECRET not in str(posted)


def test_an_answer_over_the_platforms_limit_is_an_error_that_says_what_to_do(
    server: Platform, worker: Worker
) -> None:
    """12 MB are too much for /run and pass by /runsync: the size is that of the bytes sent."""
    assert str(run(server, "large")["error"]).startswith("output_too_large: the answer has 12.0 MB")
    assert "error" not in run(server, "large", "sync-large")


def test_progress_arrives_in_order_and_ends_before_the_result(
    server: Platform, worker: Worker
) -> None:
    """Progress is sent at most about once a second, never goes back, and nothing follows the
    result.
    """
    run(server, "progress")
    run(server, "answer", "after-progress")
    posts = server.posts["progress"]
    percents = [post["output"]["percent"] for post in posts[:-1]]
    assert 1 <= len(percents) <= 4
    assert percents == sorted(percents)
    assert posts[-1]["output"]["text"] == "done"


def test_a_cancelled_job_sees_the_flag_and_posts_nothing(server: Platform, worker: Worker) -> None:
    """The stop signal reaches the working thread, and the worker goes on with the next job."""
    server.submit("cancelled", {"do": "wait"})
    worker.wait_for_log("cancelled | Started")
    server.stops.put("cancelled")
    worker.wait_for_log("saw the cancel flag")
    assert run(server, "answer", "after-cancel")["output"]
    assert server.posts["cancelled"] == []


def test_a_worker_says_which_version_it_is(server: Platform, worker: Worker) -> None:
    """In its log at the start, and in every answer."""
    worker.wait_for_log(f"parakeet-workers {__version__}")
    assert run(server, "answer", "versioned")["output"]["version"] == __version__


def test_the_log_holds_no_transcript(server: Platform, worker: Worker) -> None:
    """Neither the SDK's lines nor ours print answers or the texts of unmapped exceptions."""
    run(server, "answer", "logged")
    run(server, "bug", "logged-bug")
    worker.wait_for_log("logged-bug | Finished")
    assert SECRET not in worker.log
    assert "KeyError at flows.py:" in worker.log


def test_a_worker_whose_models_fail_ends_before_its_first_job(
    server: Platform, tmp_path: Path
) -> None:
    """The fitness check runs the flow; where it raises, the process ends with code 1."""
    worker = Worker(FLOWS, tmp_path / "log", MODEL_ID="broken", **server.environment)
    assert worker.process.wait(timeout=60) == 1


def test_a_wrong_setting_stops_the_worker_with_one_line_that_names_it(
    server: Platform, tmp_path: Path
) -> None:
    """CHUNK_DURATION=abc ends the start with code 1; the last line says which variable and why."""
    worker = Worker(FLOWS, tmp_path / "log", CHUNK_DURATION="abc", **server.environment)
    assert worker.process.wait(timeout=60) == 1
    assert worker.log.splitlines()[-1].startswith("invalid_settings: CHUNK_DURATION: ")
