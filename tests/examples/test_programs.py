"""sync, progress, errors and split: what a user reads when all goes well, and when it does not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.untimed import untimed
from core.domain.timeline import Diarization, Transcript, Transcription, Turn, Word
from core.domain.usage import Usage
from core.errors import DownloadFailed, InvalidBase64, InvalidUrl
from core.transcript.assembly import assemble
from core.wire.form import DiarizationFormat, Form, TranscriptFormat
from core.wire.job_input import DiarizationInput, TranscriptionInput
from core.wire.render import render
from emulator import faults
from emulator.job import Status
from emulator.scripted import Reply, Scripted
from emulator.server import Server
from examples import client, errors, progress, split, sync
from tests.examples.conftest import (
    DURATION_S,
    ROOT,
    SPEAKERS,
    SPOKEN,
    TEXT,
    URL,
    Behaviour,
    Platform,
    Run,
    Worker,
    command,
    until,
)

FORMATS = [str(one) for one in TranscriptFormat]
WHOLE = assemble(SPOKEN, SPEAKERS, duration_s=DURATION_S)


def shown(transcript: Transcript, response_format: str) -> str:
    """What a program prints of a transcript."""
    answer = render(transcript, Form(TranscriptFormat(response_format), timestamps=False))
    text = (
        answer[response_format]
        if response_format in ("text", "srt", "vtt", "html")
        else json.dumps(answer, indent=2, ensure_ascii=False)
    )
    return f"{text}\n"


def plain(out: str, response_format: str) -> str:
    """What a program printed, without the seconds that the work took."""
    if "json" not in response_format:
        return out
    return f"{json.dumps(untimed(json.loads(out)), indent=2, ensure_ascii=False)}\n"


def failing(error: Exception, times: int = 10) -> Behaviour:
    """Fail so many times."""
    left = [error] * times

    def fail(_: object) -> None:
        if left:
            raise left.pop()

    return fail


# all of them


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("program", [sync, progress, errors])
def test_a_program_prints_the_answer_in_the_format_asked_for(
    program: Any, response_format: str, platform: Platform, run: Run
) -> None:
    """The transcript alone on standard output; warnings beside it."""
    endpoint = platform.open(Worker())
    ended = run(program.main, URL, "--endpoint", endpoint.name, "--format", response_format)
    whole = shown(replace(WHOLE, usage=Usage(DURATION_S, "embedded")), response_format)
    assert ended.code == 0
    assert plain(ended.out, response_format) == plain(whole, response_format)
    assert "warning: a speaker is heard for a second only" in ended.err


@pytest.mark.parametrize("program", [sync, progress, errors])
def test_a_failed_job_is_one_line_with_its_code(program: Any, platform: Platform, run: Run) -> None:
    """What the worker said, nothing printed as an answer, not exit code 0."""
    endpoint = platform.open(Worker())
    ended = run(program.main, "https://example.com/missing.mp3", "--endpoint", endpoint.name)
    assert ended.code != 0
    assert ended.out == ""
    assert (
        "download_failed: example.com answered with HTTP status 404; check that the link is right"
        in ended.err
    )
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("program", [sync, progress])
def test_every_code_that_a_worker_may_give_is_read(
    program: Any, platform: Platform, run: Run
) -> None:
    """Also the one with digits."""
    endpoint = platform.open(Worker(behaviour=failing(InvalidBase64("that is no base64"))))
    ended = run(program.main, URL, "--endpoint", endpoint.name)
    assert "invalid_base64: that is no base64" in ended.err


@pytest.mark.parametrize(
    "fault",
    [
        faults.TooManyRequests(retry_after_s=None),
        faults.ServerError(503),
        faults.ConnectionReset(),
        faults.LostReply(),
        faults.TruncatedJson(),
        faults.TruncatedJson(closed=True),
        faults.HtmlPage(status=200),
        faults.HtmlPage(status=502),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("program", "route"), [(sync, "runsync"), (progress, "run"), (progress, "status")]
)
@pytest.mark.usefixtures("no_pauses")
def test_a_request_that_goes_wrong_is_made_again(
    fault: faults.ExchangeFault, program: Any, route: str, platform: Platform, run: Run
) -> None:
    """Whatever the network does to one request, the answer comes."""
    endpoint = platform.open(Worker(), faults=faults.Script({route: [fault, fault]}))
    ended = run(program.main, URL, "--endpoint", endpoint.name)
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")
    assert endpoint.requests[route] >= 3


def test_the_pause_that_the_server_asks_for_is_kept(platform: Platform, run: Run) -> None:
    """429 with Retry-After: 2 is not asked again before."""
    endpoint = platform.open(
        Worker(), faults=faults.Script({"runsync": [faults.TooManyRequests(retry_after_s=2)]})
    )
    started = time.monotonic()
    ended = run(sync.main, URL, "--endpoint", endpoint.name)
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")
    assert time.monotonic() - started >= 2


@pytest.mark.parametrize("program", [sync, progress])
@pytest.mark.usefixtures("no_pauses", "platform")
def test_without_a_network_the_program_says_so(program: Any, run: Run) -> None:
    """Where it looked, at once; and after a few tries, that it gives up."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = run(program.main, URL, "--endpoint", "any", "--base-url", f"http://127.0.0.1:{port}/v2")
    assert (ended.code, ended.out) == (1, "")
    said = (
        f"the endpoint at http://127.0.0.1:{port} cannot be reached, or the connection broke off "
    )
    first, last = ended.err.splitlines()
    assert first == f"{said}(ConnectError); trying again"
    assert last == f"endpoint_unavailable: {said}(ConnectError)"


@pytest.mark.parametrize("program", [sync, progress])
def test_a_wrong_key_is_not_tried_again(program: Any, platform: Platform, run: Run) -> None:
    """It says what to check, and never shows the key."""
    with Server(api_key="another") as strict:
        endpoint = strict.add("strict")
        ended = run(program.main, URL, "--endpoint", endpoint.name, "--base-url", strict.base_url)
    assert ended.code == 1
    assert ended.err.endswith(
        "endpoint_refused: check RUNPOD_API_KEY and the endpoint's id (HTTP status 401)"
    )
    assert "SECRET" not in ended.err
    assert endpoint.requests["run"] + endpoint.requests["runsync"] == 1
    assert not platform.opened


def test_a_newline_behind_the_key_is_not_part_of_it(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The request reaches the platform, which knows the key and not the endpoint."""
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRETKEY\n")
    with Server(api_key="rpa_SECRETKEY") as strict:
        ended = run(sync.main, URL, "--endpoint", "gone", "--base-url", strict.base_url)
    assert ended.err.endswith("(HTTP status 404)")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RUNPOD_API_KEY", "", "RUNPOD_API_KEY is not set; put the key of your account into it"),
        (
            "RUNPOD_API_KEY",
            "rpa SECRET",
            "RUNPOD_API_KEY: give ASCII letters, digits and signs, without blanks",
        ),
        (
            "RUNPOD_ENDPOINT_BASE_URL",
            "api.runpod.ai/v2",
            "--base-url must begin with https:// (or http://)",
        ),
        (
            "RUNPOD_ENDPOINT_BASE_URL",
            "http://host:port",
            "--base-url or the endpoint's id does not make a URL",
        ),
    ],
)
@pytest.mark.usefixtures("platform")
def test_a_wrong_setting_is_named(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """Before anything is sent."""
    monkeypatch.setenv(variable, value)
    assert run(sync.main, URL, "--endpoint", "any").err == said


@pytest.mark.usefixtures("platform")
def test_a_file_that_is_not_there_is_named(tmp_path: Path, run: Run) -> None:
    """Not a traceback."""
    ended = run(sync.main, tmp_path / "gone.wav", "--endpoint", "any")
    assert (ended.code, ended.err) == (1, f"{tmp_path / 'gone.wav'}: No such file or directory")


@pytest.mark.parametrize("program", [sync, progress, errors])
@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ([], {}),
        (["--language", "en"], {"language": "en"}),
        (["--timestamps"], {"timestamps": True}),
        (["--no-diarize"], {"diarize": False}),
        (["--num-speakers", 2], {"num_speakers": 2}),
    ],
)
def test_the_options_of_a_request_reach_the_worker(
    program: Any, options: list[object], fields: dict[str, object], platform: Platform, run: Run
) -> None:
    """Each as the field of its name; what is not said is left out."""
    worker = Worker()
    endpoint = platform.open(worker)
    ended = run(program.main, URL, *options, "--endpoint", endpoint.name, "--format", "json")
    (job,) = endpoint.queue.ever
    assert job.input == {"audio_url": URL, "response_format": "json", **fields}
    answer = json.loads(ended.out)
    assert ("timestamps" in answer, "num_speakers" in answer) == (
        "timestamps" in fields,
        "diarize" not in fields,
    )


# sync


def test_a_job_that_outlasts_runsync_is_waited_for(
    platform: Platform, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer then comes from /status, and the job ran once."""
    monkeypatch.setattr(client, "SYNC_WAIT_S", 1)
    worker = Worker(behaviour=lambda _: time.sleep(2))
    endpoint = platform.open(worker)
    ended = run(sync.main, URL, "--endpoint", endpoint.name)
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")
    assert endpoint.requests["status"] > 1
    assert len(worker.asked) == 1


# progress


def test_progress_is_shown_while_the_job_runs(platform: Platform, run: Run) -> None:
    """Each stage once, in order, then the answer."""
    stages = (
        {"stage": "downloading", "percent": 100},
        {"stage": "transcribing", "percent": 40},
        {"stage": "transcribing", "percent": 80},
    )
    endpoint = platform.open(Worker(), stages=stages)
    ended = run(progress.main, URL, "--endpoint", endpoint.name)
    lines = ended.err.splitlines()
    assert [line for line in lines if "ing " in line and "warning" not in line] == [
        "downloading 100 %",
        "transcribing 40 %",
        "transcribing 80 %",
    ]
    assert all(before != after for before, after in pairwise(lines))
    assert (ended.code, ended.out) == (0, f"{TEXT}\n")


@pytest.fixture
def start(platform: Platform) -> Callable[..., subprocess.Popen[str]]:
    """Starts a program in a process of its own."""
    assert platform

    def start_process(program: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(program, *arguments),
            cwd=ROOT,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start_process


Start = Callable[..., "subprocess.Popen[str]"]


def test_ctrl_c_cancels_the_job(platform: Platform, start: Start, stuck: Behaviour) -> None:
    """One cancel reaches the platform, the program says one word, no traceback."""
    endpoint = platform.open(Worker(behaviour=stuck))
    process = start("progress", URL, "--endpoint", endpoint.name)
    (job,) = until(
        lambda: [
            job
            for job in endpoint.queue.ever
            if job.status is Status.IN_PROGRESS and endpoint.requests["status"] > 1
        ]
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert "Traceback" not in err
    assert [cancel.job_id for cancel in endpoint.queue.cancellations] == [job.id]
    assert job.status is Status.CANCELLED


def test_ctrl_c_cancels_a_job_whose_id_is_still_on_its_way(
    platform: Platform, start: Start, stuck: Behaviour
) -> None:
    """The answer to /run drips in while the user has enough: no job is left behind."""
    endpoint = platform.open(
        Worker(behaviour=stuck),
        faults=faults.Script({"run": [faults.Drip(piece=4, interval_s=0.1)]}),
    )
    process = start("progress", URL, "--endpoint", endpoint.name)
    (job,) = until(lambda: list(endpoint.queue.ever))
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert endpoint.requests["status"] == 0
    assert job.status is Status.CANCELLED


# errors


@pytest.mark.usefixtures("no_pauses")
def test_what_may_pass_is_tried_again(platform: Platform, run: Run) -> None:
    """A job that failed twice with a code that is worth another try is answered the third time."""
    worker = Worker(
        behaviour=failing(
            DownloadFailed("the connection to example.com broke off; try again", retryable=True),
            times=2,
        )
    )
    endpoint = platform.open(worker)
    ended = run(errors.main, URL, "--endpoint", endpoint.name)
    assert (ended.code, ended.out, len(worker.asked)) == (0, f"{TEXT}\n", 3)
    assert endpoint.requests["cancel"] == 0  # those jobs had ended


@pytest.mark.usefixtures("no_pauses")
def test_a_job_whose_status_cannot_be_read_is_cancelled(
    platform: Platform, run: Run, stuck: Behaviour
) -> None:
    """Before the next attempt, so that nobody pays for two; and after the last."""
    endpoint = platform.open(Worker(behaviour=stuck), faults=Scripted(status=[Reply(503)]))
    ended = run(errors.main, URL, "--endpoint", endpoint.name, "--attempts", 2)
    assert ended.code == errors.TRY_LATER
    assert [job.status for job in endpoint.queue.ever] == [Status.CANCELLED] * 2
    assert [one.job_id for one in endpoint.queue.cancellations] == [
        job.id for job in endpoint.queue.ever
    ]


@pytest.mark.usefixtures("no_pauses")
def test_a_job_that_cannot_be_cancelled_either_is_told_of(
    platform: Platform, run: Run, stuck: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    """It may go on; the program ends with why it gave up."""
    down = Scripted(status=[Reply(503)], cancel=[Reply(503)])
    endpoint = platform.open(Worker(behaviour=stuck), faults=down)
    ended = run(errors.main, URL, "--endpoint", endpoint.name, "--attempts", 1)
    assert ended.code == errors.TRY_LATER
    assert ended.err.splitlines()[-2].startswith("endpoint_unavailable: the endpoint is busy")
    assert "a job may go on: it could not be cancelled" in caplog.text


@pytest.mark.usefixtures("no_pauses")
def test_what_does_not_pass_ends_with_the_code_for_later(platform: Platform, run: Run) -> None:
    """After as many attempts as were asked for: exit code 75, EX_TEMPFAIL."""
    worker = Worker(
        behaviour=failing(
            DownloadFailed("the connection to example.com broke off; try again", retryable=True)
        )
    )
    endpoint = platform.open(worker)
    ended = run(errors.main, URL, "--endpoint", endpoint.name, "--attempts", 2)
    assert (ended.code, len(worker.asked)) == (75, 2)
    assert "It may pass: try again later." in ended.err


def test_what_will_fail_again_is_asked_once(platform: Platform, run: Run) -> None:
    """Exit code 65, EX_DATAERR: change the request."""
    worker = Worker(
        behaviour=failing(InvalidUrl("not a URL that is fetched; give a full http(s) or s3 URL"))
    )
    endpoint = platform.open(worker)
    ended = run(errors.main, URL, "--endpoint", endpoint.name)
    assert (ended.code, len(worker.asked)) == (65, 1)
    assert ended.err == (
        "invalid_url: not a URL that is fetched; give a full http(s) or s3 URL\nThe same request "
        "will fail again: change it.\n"
    )


@pytest.mark.parametrize(
    ("strikes", "said", "code"),
    [
        (
            [faults.ResultOverLimit()],
            "endpoint_failed: the job ended without an answer; perhaps it was too large",
            65,
        ),
        (
            [faults.WorkerKilled(), faults.WorkerKilled()],
            "endpoint_failed: the job failed and its worker gave no reason",
            75,
        ),
    ],
    ids=["too large", "worker died"],
)
def test_what_the_platform_says_without_words_is_put_into_words(
    strikes: list[faults.JobFault], said: str, code: int, platform: Platform, run: Run
) -> None:
    """A job without an output, and one whose workers died."""
    endpoint = platform.open(
        Worker(behaviour=lambda _: time.sleep(0.5)), faults=faults.Script(jobs=strikes)
    )
    ended = run(errors.main, URL, "--endpoint", endpoint.name, "--attempts", 1)
    assert ended.err.startswith(said)
    assert ended.code == code


def test_a_job_that_is_no_longer_known_has_expired(platform: Platform, run: Run) -> None:
    """Here because somebody emptied the queue."""
    endpoint = platform.server.add("purged")
    platform.opened.append("purged")
    endpoint.faults = Purge(platform.server)
    ended = run(errors.main, URL, "--endpoint", "purged", "--attempts", 1)
    assert ended.code == errors.TRY_LATER
    assert ended.err.startswith("job_expired: the platform no longer has the job")
    assert endpoint.requests["cancel"] == 0


class Purge:
    """Empties the queue before a status is answered."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def exchange(self, route: str) -> faults.ExchangeFault | None:
        """On the emulator's thread."""
        if route == "status":
            self._server.endpoints["purged"].purge()
        return None

    def job(self, moment: faults.Moment) -> faults.JobFault | None:
        """None."""
        del moment
        return None


# split


def split_endpoints(
    platform: Platform, words: Worker, turns: Worker
) -> tuple[Any, Any, list[object]]:
    """Open both; the last are the options that name them."""
    transcription, diarization = platform.open(words), platform.open(turns)
    return (
        transcription,
        diarization,
        ["--transcription", transcription.name, "--diarization", diarization.name],
    )


@pytest.mark.parametrize("response_format", [name for name in FORMATS if name != "html"])
def test_split_prints_what_the_single_worker_would(
    response_format: str, platform: Platform, run: Run
) -> None:
    """To the byte, in every format but the page, whose timeline has the turns that were sent."""
    words, turns = Worker(TranscriptionInput), Worker(DiarizationInput)
    _, _, options = split_endpoints(platform, words, turns)
    ended = run(split.main, URL, *options, "--format", response_format, "--num-speakers", 2)
    assert (ended.code, ended.out) == (0, shown(WHOLE, response_format))
    assert [request.num_speakers for request in turns.asked] == [2]


def test_split_asks_both_at_the_same_time(platform: Platform, run: Run) -> None:
    """Neither ends before both have begun."""
    workers = [Worker(TranscriptionInput), Worker(DiarizationInput)]

    def meet(_: object) -> None:
        until(lambda: all(worker.asked for worker in workers))

    for worker in workers:
        worker.behaviour = meet
    _, _, options = split_endpoints(platform, *workers)
    assert run(split.main, URL, *options).code == 0


@pytest.mark.parametrize("culprit", ["transcription", "diarization"])
def test_split_cancels_the_sibling_of_a_job_that_failed(
    culprit: str, platform: Platform, run: Run, stuck: Behaviour
) -> None:
    """And says why the other failed."""
    words, turns = (
        Worker(TranscriptionInput, behaviour=stuck),
        Worker(DiarizationInput, behaviour=stuck),
    )
    guilty, innocent = (words, turns) if culprit == "transcription" else (turns, words)

    def fail(_: object) -> None:
        until(lambda: innocent.asked)
        raise InvalidUrl("not a URL that is fetched; give a full http(s) or s3 URL")

    guilty.behaviour = fail
    transcription, diarization, options = split_endpoints(platform, words, turns)
    ended = run(split.main, URL, *options)
    assert (ended.code, ended.out, ended.err) == (
        1,
        "",
        "invalid_url: not a URL that is fetched; give a full http(s) or s3 URL",
    )
    failed, cancelled = (
        (transcription, diarization) if culprit == "transcription" else (diarization, transcription)
    )
    assert [job.status for job in failed.queue.ever] == [Status.FAILED]
    assert [job.status for job in cancelled.queue.ever] == [Status.CANCELLED]


def test_ctrl_c_cancels_both_jobs_of_split(
    platform: Platform, start: Start, stuck: Behaviour
) -> None:
    """None is left to run for nobody."""
    transcription, diarization, options = split_endpoints(
        platform,
        Worker(TranscriptionInput, behaviour=stuck),
        Worker(DiarizationInput, behaviour=stuck),
    )
    process = start("split", URL, *options)
    until(lambda: transcription.requests["status"] and diarization.requests["status"])
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert [job.status for one in (transcription, diarization) for job in one.queue.ever] == [
        Status.CANCELLED
    ] * 2


_times = st.floats(0, 30)


@st.composite
def _answers(draw: st.DrawFn) -> tuple[Transcription, Diarization]:
    starts = sorted(draw(st.lists(_times, max_size=12)))
    texts = st.sampled_from(["so,", "then", "we", "went.", "No.", "Dr.", "ünï"])
    confidences = st.one_of(st.none(), st.floats(0, 1))
    words = tuple(
        Word(start, start + draw(st.floats(0, 3)), draw(texts), draw(confidences))
        for start in starts
    )
    spoken = sorted(draw(st.lists(_times, max_size=8)))
    turns = tuple(
        Turn(start, start + draw(st.floats(0, 5)), draw(st.sampled_from("123"))) for start in spoken
    )
    warnings = tuple(
        draw(st.lists(st.sampled_from(["cut short", "forced"]), max_size=2, unique=True))
    )
    language = draw(st.sampled_from([None, "en", "de"]))
    return Transcription(words, language=language, warnings=warnings), Diarization(
        turns, draw(st.sampled_from([turns, ()])), warnings[:1]
    )


@given(_answers())
def test_merging_on_the_client_gives_what_core_gives(
    answers: tuple[Transcription, Diarization],
) -> None:
    """From the answers as they come over the wire, whatever the models found."""
    transcription, diarization = answers
    said = render(
        assemble(transcription, None, duration_s=40),
        Form(TranscriptFormat.VERBOSE_JSON, timestamps=False),
    )
    spoken = render(replace(diarization, duration=40), Form(DiarizationFormat.JSON))
    merged = split.merge(json.loads(json.dumps(said)), json.loads(json.dumps(spoken)))
    assert merged == assemble(transcription, diarization, duration_s=40)
