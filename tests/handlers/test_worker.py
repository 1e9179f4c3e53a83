"""The adapter in a real SDK worker process behind the emulator. Only the flow obeys the test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import __version__
from core.wire.form import Form, TranscriptFormat
from core.wire.limits import MAX_RUN_BYTES
from core.wire.render import render
from emulator.server import Server
from tests import media
from tests.handlers.flows import ENVELOPE, SECRET, said
from tests.launched import Launched, launched

FLOWS = "tests.handlers.flows"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The platform."""
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def worker(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One real worker process for all tests of this module; it must end cleanly."""
    private = {"RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS": "true"}
    with launched(server, FLOWS, tmp_path_factory.mktemp("adapter"), **private) as running:
        yield running
    assert running.exit_codes == {0}


@pytest.fixture(scope="module")
def host() -> Iterator[media.Host]:
    """A place for answers."""
    with media.host() as running:
        yield running


def run(worker: Launched, do: str, name: str = "", *, sync: bool = False) -> dict[str, object]:
    """Run one job and return what was posted last."""
    worker.submit(name or do, {"do": do}, sync=sync)
    return worker.result(name or do)


def test_the_flows_answer_is_the_jobs_output(worker: Launched) -> None:
    """What a flow found is posted as it is rendered, with the version."""
    assert run(worker, "answer") == {"output": render(said(SECRET), Form(TranscriptFormat.TEXT))}


def test_a_failed_job_has_an_error_and_no_output(worker: Launched) -> None:
    """Clients tell a failure by the missing output; the code is in front of the sentence."""
    assert run(worker, "coded") == {
        "error": "download_interrupted: the host answered 503; try again"
    }


def test_a_poisoned_process_asks_to_be_replaced(worker: Launched) -> None:
    """A failure that leaves the process in doubt posts stopPod, so the platform starts a fresh
    worker.
    """
    assert run(worker, "poison") == {
        "error": "model_failed: the GPU failed; the worker is replaced",
        "stopPod": True,
    }


def test_failures_can_be_outputs(server: Server, tmp_path: Path) -> None:
    """With FAILURES=output a failed job completes: it has no error beside the output, but in it."""
    with launched(server, FLOWS, tmp_path, FAILURES="output") as other:
        assert run(other, "coded", "coded-output") == {
            "output": {
                "error": "download_interrupted: the host answered 503; try again",
                "success": False,
            }
        }
        assert run(other, "poison", "poison-output") == {
            "output": {
                "error": "model_failed: the GPU failed; the worker is replaced",
                "success": False,
            },
            "stopPod": True,
        }


def test_half_a_character_does_not_lose_the_answer(worker: Launched) -> None:
    """The SDK could not send it: it is a question mark, in answers and in errors."""
    posted = run(worker, "half")
    assert posted["output"] == render(said("Why? é ?"), Form(TranscriptFormat.TEXT))
    assert run(worker, "half_error") == {"error": "invalid_url: the host ? is none"}


def test_the_limit_is_of_all_that_is_sent(worker: Launched) -> None:
    """To the byte, what the SDK puts around the answer included."""
    assert len(run(worker, "largest")["output"]["text"]) == MAX_RUN_BYTES - ENVELOPE
    assert str(run(worker, "too_large")["error"]).startswith("output_too_large: ")


@pytest.mark.parametrize("do", ["bug", "nan", "numpy"])
def test_a_fault_of_ours_is_an_internal_error_without_its_text(worker: Launched, do: str) -> None:
    """Unmapped exceptions and answers that are not JSON become `internal_error`, with no traceback
    and no value in it.
    """
    posted = run(worker, do)
    assert str(posted["error"]).startswith("internal_error: ")
    assert "Traceback" not in str(posted)
    assert SECRET not in str(posted)


def test_an_answer_over_the_platforms_limit_is_an_error_that_says_what_to_do(
    worker: Launched,
) -> None:
    """12 MB are too much for /run and pass by /runsync: the size is that of the bytes sent."""
    assert str(run(worker, "large")["error"]).startswith("output_too_large: the answer has 12.0 MB")
    assert "error" not in run(worker, "large", "large-sync", sync=True)


@pytest.mark.parametrize("do", ["answer", "large", "half"])
def test_an_answer_of_any_size_can_be_put_elsewhere(
    worker: Launched, host: media.Host, do: str
) -> None:
    """As the JSON that the output would have been; the output says where it is and how to check
    it.
    """
    place = host.place(f"/{do}.json?sig=canary", media.takes())
    worker.submit(f"put-{do}", {"do": do, "output_url": place})
    receipt = worker.result(f"put-{do}")["output"]
    (body,) = (host.taken.pop(path) for path in list(host.taken))
    assert receipt == {
        "success": True,
        "version": __version__,
        "language": None,
        "language_confidence": None,
        "duration": 1.0,
        "coverage": None,
        "warnings": [],
        "stored": {
            "url": f"http://127.0.0.1:{host.server_port}/{do}.json",
            "bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        },
    }
    spoken = {"answer": SECRET, "large": "é" * 6_000_000, "half": "Why? é ?"}
    assert json.loads(body) == render(said(spoken[do]), Form(TranscriptFormat.TEXT))
    assert "canary" not in worker.log


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("http://169.254.169.254/a", "blocked_address: output_url: 169.254.169.254 leads to"),
        ("result.json", "invalid_url: output_url: give a presigned"),
        ("s3://bucket/key", "storage_not_configured: output_url: s3:// needs"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_the_work(
    worker: Launched, place: str, code: str
) -> None:
    """The flow, which would fail in another way, does not run."""
    worker.submit(place, {"do": "bug", "output_url": place})
    assert str(worker.result(place)["error"]).startswith(code)


def test_an_answer_that_cannot_be_put_fails_the_job(worker: Launched, host: media.Host) -> None:
    """A program that waits for the file must not read of a success."""
    worker.submit("gone", {"do": "answer", "output_url": host.place("/gone", media.status(403))})
    assert str(worker.result("gone")["error"]).startswith("upload_failed: 127.0.0.1 answered")


def test_progress_arrives_in_order_and_ends_before_the_result(worker: Launched) -> None:
    """Progress is sent at most about once a second, never goes back, and nothing follows the
    result.
    """
    run(worker, "progress")
    run(worker, "answer", "after-progress")
    posts = worker.posts("progress")
    percents = [post["output"]["percent"] for post in posts[:-1]]
    assert 1 <= len(percents) <= 4
    assert percents == sorted(percents)
    assert posts[-1]["output"]["text"] == "done"


def test_a_cancelled_job_sees_the_flag_and_posts_nothing(worker: Launched) -> None:
    """The stop signal reaches the working thread, and the worker goes on with the next job."""
    worker.submit("cancelled", {"do": "wait"})
    worker.wait_for_line("cancelled", "Started")
    worker.cancel("cancelled")
    worker.wait_for_log("saw the cancel flag")
    assert run(worker, "answer", "after-cancel")["output"]
    assert worker.posts("cancelled") == []


def test_a_worker_says_which_version_it_is(worker: Launched) -> None:
    """In its log at the start, and in every answer."""
    worker.wait_for_log(f"parakeet-workers {__version__}")
    assert run(worker, "answer", "versioned")["output"]["version"] == __version__


def test_the_log_holds_no_transcript(worker: Launched) -> None:
    """Neither the SDK's lines nor ours print answers or the texts of unmapped exceptions."""
    run(worker, "answer", "logged")
    run(worker, "bug", "logged-bug")
    worker.wait_for_line("logged-bug", "Finished")
    assert SECRET not in worker.log
    assert "KeyError at flows.py:" in worker.log


def test_a_worker_whose_models_fail_ends_before_its_first_job(
    server: Server, tmp_path: Path
) -> None:
    """The fitness check runs the flow; where it raises, the process ends with code 1."""
    with launched(server, FLOWS, tmp_path, MODEL_ID="broken") as worker:
        assert worker.wait_for_end().exit_code == 1


def test_a_wrong_setting_stops_the_worker_with_one_line_that_names_it(
    server: Server, tmp_path: Path
) -> None:
    """CHUNK_DURATION=abc ends the start with code 1; the last line says which variable and why."""
    with launched(server, FLOWS, tmp_path, CHUNK_DURATION="abc") as worker:
        ended = worker.wait_for_end()
    assert ended.exit_code == 1
    assert ended.log.splitlines()[-1].startswith("invalid_settings: CHUNK_DURATION: ")
