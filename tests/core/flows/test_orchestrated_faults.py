"""The orchestrator's flow on the emulator while things go wrong: 200 schedules of faults, 200
branches that fail at any moment, and callers who cancel at any moment.

Each case is made from its number alone. One case by itself, with all that happened in it:

    python -m tests.core.flows.test_orchestrated_faults faults 17        (or: failures, cancels)
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import random
import sys
import threading
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx2
import pytest

from bench.untimed import untimed
from core.domain.watch import Watch
from core.errors import WorkerError
from core.flows.orchestrated import OrchestratedFlow
from core.remote import Address, Pace
from core.settings import Settings
from core.wire.form import TranscriptFormat
from core.wire.job_input import DiarizationInput, TranscriptionInput, parse
from emulator import faults
from emulator.endpoint import Endpoint
from emulator.faults import Schedule, Script, Seeded
from emulator.job import Job, Status
from emulator.rules import Rules
from emulator.scaler import Bounds
from emulator.server import Server
from emulator.simulated import Line
from tests.asking import ask
from tests.split import Recording, recording

AT_ONCE = 12
"""Cases side by side: nearly all they do is wait."""
LATE_S = 1.0
"""After its deadline a job must have ended within this."""
SOON_S = 5.0
"""When what was cancelled has stopped."""
TTL_S = 10.0
"""The least that the platform allows: what nobody knows of ends then."""
FOREVER_S = 600.0
RULES = Rules(poll_s=2, grace_s=0.5, tick_s=0.02)
PACE = Pace(
    tries=6,
    first_wait_s=0.02,
    longest_wait_s=0.2,
    jitter_s=0.02,
    request_s=1.0,
    connect_s=1.0,
    cancel_s=1.5,
    first_poll_s=0.02,
    longest_poll_s=0.1,
)
PATIENT = replace(PACE, request_s=60.0, connect_s=60.0, cancel_s=60.0)
"""Where no answer is to get lost."""
CODES = {"endpoint_unavailable", "endpoint_failed", "job_expired", "deadline_exceeded"}
"""What faults alone may come to."""
KEY = "rpa_SECRETKEY"
SETTINGS = Settings(runpod_api_key=KEY)  # type: ignore[arg-type]
TLS = httpx2.create_ssl_context(trust_env=False)
names = itertools.count()

pytestmark = pytest.mark.filterwarnings("error:coroutine:RuntimeWarning", "error::ResourceWarning")


class Clock(threading.Thread):
    """Time as far as this process could use it: while a busy machine makes it wait, this clock
    stands still.
    """

    TICK_S = 0.01

    def __init__(self) -> None:
        super().__init__(name="clock", daemon=True)
        self._ticks: list[float] = []
        self.start()

    def run(self) -> None:
        """Tick."""
        while True:
            time.sleep(self.TICK_S)
            self._ticks.append(time.monotonic())

    def seconds(self, since: float, until: float) -> float:
        """How much passed between two moments of the real clock."""
        return self.TICK_S * (bisect(self._ticks, until) - bisect(self._ticks, since))


class Heard(logging.Handler):
    """What the client of the endpoints warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if "could not be cancelled" in (line := record.getMessage()):
            self.lines.append(line)


clock = Clock()
heard = Heard()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One emulator for all cases; each opens endpoints of its own.

    It and the flow have seen a job, for the first one is slow.
    """
    with Server(rules=RULES) as running:
        run_cancel(running, -1)
        yield running


@dataclass
class Unseen:
    """What went wrong where no caller looks: in tasks, threads, finalisers and logs."""

    records: list[logging.LogRecord] = field(default_factory=list)
    hooked: list[object] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """In words."""
        gc.collect()
        loud = [
            record
            for record in self.records
            if record.levelno >= logging.ERROR
            and record.name.split(".")[0] in ("asyncio", "emulator", "uvicorn")
        ]
        secrets = [
            record
            for record in self.records
            if any(secret in record.getMessage() for secret in (KEY, "geheim", "audio_url"))
        ]
        return [f"unseen: {one.name}: {one.getMessage()}" for one in (*loud, *secrets)] + [
            f"unseen: {one}" for one in self.hooked
        ]


@pytest.fixture
def unseen(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unseen]:
    """Watches all of it; the flow's event loops run in debug mode."""
    seen = Unseen()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.records.append(record)

    listener = Listener(logging.INFO)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setattr(
        sys,
        "unraisablehook",
        lambda said: seen.hooked.append(f"{said.exc_value!r} in {said.object!r}"),
    )
    monkeypatch.setattr(
        "threading.excepthook",
        lambda said: seen.hooked.append(f"{said.exc_value!r} in {said.thread}"),
    )
    logging.getLogger().addHandler(listener)
    logging.getLogger("parakeet").setLevel(logging.INFO)
    for library in (
        "httpx2",
        "stamina",
        "asyncio",
    ):  # as handlers.runpod.worker has it; and asyncio's warnings of a busy machine
        monkeypatch.setattr(logging.getLogger(library), "level", logging.ERROR)
    yield seen
    logging.getLogger().removeHandler(listener)


# one job of the orchestrator, behind which anything may happen


@dataclass
class Case:
    """One question to the orchestrator, made from a number, and what came of it."""

    number: int
    chance: random.Random
    job_timeout_s: float
    fanout: int
    question: dict[str, object]
    answer: dict[str, Any] | None = None
    code: str | None = None
    took_s: float = 0.0
    complaints: list[str] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    struck: list[tuple[str, int, faults.Fault]] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    """All that were ever submitted."""
    cancelled: list[Status | None] = field(default_factory=list)
    """What the jobs that were cancelled were doing then."""
    known: set[str] = field(default_factory=set)
    """Ids of jobs that were looked at."""
    ended: dict[str, float] = field(default_factory=dict)
    """When a look at a job showed that it had ended."""
    at_work: int = 0
    """Workers that do something for it now."""

    @classmethod
    def draw(cls, kind: str, number: int, job_timeout_s: Sequence[float], **fields: object) -> Case:
        """Make one up."""
        chance = random.Random(f"{kind}/{number}")
        question = {
            "audio_url": f"https://example.com/{number}.mp3?token=geheim",
            "response_format": str(chance.choice(list(TranscriptFormat))),
            "timestamps": chance.random() < 0.5,
            **fields,
        }
        return cls(
            number, chance, chance.choice(job_timeout_s), chance.choice((1, 1, 2, 3)), question
        )

    @property
    def recording(self) -> Recording:
        """What is heard in it."""
        return recording(self.number)

    def ask(
        self,
        server: Server,
        words: Endpoint,
        turns: Endpoint,
        pace: Pace = PATIENT,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run it; keeps the answer or the code, and complains of what is neither or comes late."""
        flow = self._flow(server, words, turns, pace)
        logging.getLogger("parakeet.remote").addHandler(heard)
        for endpoint in (words, turns):
            endpoint.find = partial(self._find, endpoint.find)
        started = time.monotonic()
        try:
            watch = Watch(lambda _, fraction: self.shown.append(fraction), cancelled)
            self.answer = ask(flow, self.question, watch)
        except WorkerError as error:
            self.code = error.code
        except BaseException as error:
            self.complain(f"not one typed error: {error!r}")
        self.took_s = clock.seconds(started, time.monotonic())
        if self.took_s > self.job_timeout_s + LATE_S:
            self.complain(f"ended {self.took_s - self.job_timeout_s:.2f} s after its deadline")
        if self.shown != sorted(self.shown):
            self.complain(f"progress went back: {self.shown}")
        if self.answer is not None and json.dumps(untimed(self.answer)) not in self._right():
            self.complain("a wrong answer")

    async def words(self, job: dict[str, Any], line: Line, seconds: float) -> object:
        """Answer as the transcription worker does, after a while in which it tells how far it
        is.
        """
        request = parse(TranscriptionInput, job["input"])
        await self._work(line, "transcribing", seconds)
        return self.recording.words(request)

    async def turns(self, job: dict[str, Any], line: Line, seconds: float) -> object:
        """The same for the diarization worker."""
        parse(DiarizationInput, job["input"])
        await self._work(line, "diarizing", seconds)
        return self.recording.turns()

    async def _work(self, line: Line, stage: str, seconds: float) -> None:
        self.at_work += 1
        try:
            await line.progress({"stage": "decoding", "percent": 10})
            await asyncio.sleep(seconds / 2)
            await line.progress({"stage": stage, "percent": 50})
            await asyncio.sleep(seconds / 2)
        finally:
            self.at_work -= 1

    def expect_nothing_left(self, opened: Sequence[Endpoint], within_s: float) -> None:
        """Every job that was ever submitted ends soon, nobody works on, and none was allowed to
        live longer than its caller waits.
        """
        if not comes_true(lambda: not unfinished(opened), within_s):
            self.complain(f"{len(unfinished(opened))} jobs have not ended {within_s} s later")
        if not comes_true(lambda: not self.at_work, SOON_S):
            self.complain(f"{self.at_work} workers go on")
        self.jobs = [job for endpoint in opened for job in endpoint.queue.ever]
        if any(job.policy.ttl_s > max(TTL_S, self.job_timeout_s) for job in self.jobs):
            self.complain("a job may outlive its deadline")

    def expect_nobody_forgot_a_job(self, opened: Sequence[Endpoint]) -> None:
        """A job whose id the flow had, for it looked at it, does not go on; or else the log says
        that it could not be cancelled in time.

        Who loses the answer to `/run` has no id.
        """

        def forgotten() -> set[str]:
            return {
                job.id
                for job in unfinished(opened)
                if job.id in self.known and not any(job.id in line for line in heard.lines)
            }

        if not comes_true(lambda: not forgotten(), LATE_S):
            self.complain(f"{len(forgotten())} jobs that it knew of go on")

    def expect_each_cancelled_once(self, opened: Sequence[Endpoint]) -> None:
        """A job that had not ended was cancelled exactly once; one that had ended at most once, and
        not where the flow had seen it.
        """
        every = [one for endpoint in opened for one in endpoint.queue.cancellations]
        self.cancelled = [one.was for one in every]
        for job in self.jobs:
            cancels = [one for one in every if one.job_id == job.id]
            if job.status is Status.CANCELLED and [one.was for one in cancels] not in (
                [Status.IN_QUEUE],
                [Status.IN_PROGRESS],
            ):
                self.complain(f"a job was cancelled so often: {cancels}")
            if len(cancels) > 1:
                self.complain(f"a job that had ended was cancelled {len(cancels)} times")
            if any(
                clock.seconds(self.ended.get(job.id, one.at), one.at) > SEEN_S for one in cancels
            ):
                self.complain(f"a job that was seen to have ended was cancelled: {cancels}")
        if len(self.jobs) > self.fanout + 1:
            self.complain(f"{len(self.jobs)} jobs were submitted")

    def complain(self, what: str) -> None:
        """Note what must not be."""
        self.complaints.append(f"{self.number}: {what}")

    def _flow(
        self, server: Server, words: Endpoint, turns: Endpoint, pace: Pace
    ) -> OrchestratedFlow:
        where = [
            Address(name, f"{server.base_url}/{one.name}")
            for name, one in (("transcription", words), ("diarization", turns))
        ]
        changes: dict[str, object] = {
            "transcription_fanout": self.fanout,
            "job_timeout": self.job_timeout_s,
        }
        return OrchestratedFlow(*where, SETTINGS.model_copy(update=changes), TLS, pace)

    def _find(self, find: Callable[[str], Job | None], job_id: str) -> Job | None:
        self.known.add(job_id)
        job = find(job_id)
        if job and job.status.final:
            self.ended.setdefault(job_id, time.monotonic())
        return job

    def _right(self) -> set[str]:
        """The single worker's answer; where the caller can do without speakers, also that without,
        and a warning that says why.
        """
        shape: dict[str, Any] = {
            "response_format": TranscriptFormat(str(self.question["response_format"])),
            "timestamps": self.question["timestamps"],
        }
        right = [self.recording.whole(**shape)]
        if self.question.get("on_diarization_error") == "transcript_only":
            told = [
                f"no speakers: diarization failed with {code}; this is the transcript alone"
                for code in CODES
            ]
            right += [self.recording.words_alone(**shape, warnings=(one,)) for one in told]
        return {json.dumps(answer) for answer in right}


@contextmanager
def endpoints(
    server: Server,
    words: Callable[..., Any],
    turns: Callable[..., Any],
    workers: tuple[int, int] = (3, 2),
    schedules: tuple[Schedule | None, Schedule | None] = (None, None),
) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Two endpoints with simulated workers, for one case; an endpoint with none keeps its jobs in
    the queue.
    """
    opened = []
    for handler, most, schedule in zip((words, turns), workers, schedules, strict=True):
        bounds = Bounds(0 if most == 0 else 1, most, idle_timeout_s=60)
        opened.append(
            server.simulate(f"e{next(names)}", handler, bounds=bounds, faults=schedule)
            if most
            else server.add(f"e{next(names)}")
        )
    try:
        yield opened[0], opened[1]
    finally:
        for endpoint in opened:
            server.remove(endpoint.name)


def unfinished(opened: Sequence[Endpoint]) -> list[Job]:
    """The jobs that wait or run."""
    return [job for endpoint in opened for job in list(endpoint.queue.ever) if not job.status.final]


def comes_true(look: Callable[[], bool], within_s: float) -> bool:
    """Wait for something; gives whether it came."""
    deadline = time.monotonic() + within_s
    while not (came := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return came


def side_by_side(run: Callable[[Server, int], Case], server: Server, count: int) -> list[Case]:
    """Run the cases from 0 on, some at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: run(server, number), range(count)))


# 200 schedules of faults

EXCHANGES: tuple[faults.ExchangeFault, ...] = (
    faults.TooManyRequests(retry_after_s=1),
    faults.TooManyRequests(retry_after_s=None),
    faults.ServerError(),
    faults.ServerError(503, accepted=True),
    faults.ConnectionReset(),
    faults.LostReply(),
    faults.LostReply(silence_s=PACE.request_s + 1),
    faults.Drip(piece=100, interval_s=0.01),
    faults.Drip(piece=4, interval_s=0.1),
    faults.TruncatedJson(),
    faults.TruncatedJson(closed=True),
    faults.HtmlPage(502),
    faults.HtmlPage(200, accepted=True),
)
JOBS: tuple[faults.JobFault, ...] = (
    faults.WorkerKilled(after_s=0.03),
    faults.HandOutAfterSigterm(lead_s=0.03),
    faults.ResultOverLimit(),
    faults.LateProgress(),
    faults.LateProgress(reopens=True),
)


def run_schedule(server: Server, number: int) -> Case:
    """One job under a schedule of faults on both endpoints; afterwards nothing may be left of
    it.
    """
    case = Case.draw("faults", number, (1.0, 2.0, 3.0))
    case.question["on_diarization_error"] = case.chance.choice(("fail", "fail", "transcript_only"))
    rate = case.chance.choice((0.1, 0.2, 0.4))
    menu = dict.fromkeys(("run", "status", "cancel"), EXCHANGES)
    schedules = [Seeded(case.chance.randrange(2**32), menu, JOBS, rate=rate) for _ in range(2)]

    def seconds() -> float:
        return FOREVER_S if case.chance.random() < 0.04 else case.chance.uniform(0.02, 0.4)

    with endpoints(
        server,
        lambda job, line: case.words(job, line, seconds()),
        lambda job, line: case.turns(job, line, seconds()),
        schedules=(schedules[0], schedules[1]),
    ) as opened:
        case.ask(server, *opened, pace=PACE)
        if case.code is not None and case.code not in CODES:
            case.complain(f"the code {case.code}")
        case.struck = [struck for schedule in schedules for struck in schedule.struck]
        case.expect_nobody_forgot_a_job(opened)
        case.expect_nothing_left(opened, TTL_S + LATE_S)
    return case


def test_every_schedule_of_faults_ends_in_the_right_answer_or_one_typed_error(
    server: Server, unseen: Unseen
) -> None:
    """In time, with nothing left in any endpoint and nothing gone wrong unseen; and the schedules
    do strike.
    """
    cases = side_by_side(run_schedule, server, 200)
    assert not (
        told := [complaint for case in cases for complaint in case.complaints] + unseen.complaints()
    ), "\n".join(told)
    struck = Counter(fault for case in cases for _, _, fault in case.struck)
    assert min(struck[fault] for fault in (*EXCHANGES, *JOBS)) >= 3, struck
    assert sum(case.answer is not None for case in cases) >= 20
    assert sum(case.code is not None for case in cases) >= 20


# one of several jobs fails, or the caller does not want the answer any more

SEEN_S = 1.0
"""Until then the answer that says that a job has ended may be on its way."""


def hesitant(chance: random.Random) -> Schedule | None:
    """Now and then submissions take half a second each."""
    return (
        Script({"run": [faults.Drip(piece=3, interval_s=0.02)] * 3})
        if chance.random() < 0.33
        else None
    )


class Failure(Exception):
    """A job that fails and says nothing that can be passed on."""


async def _coded(line: Line) -> object:
    return {"error": "damaged_audio: it is broken"}


async def _silent(line: Line) -> object:
    raise Failure


async def _without_output(line: Line) -> object:
    return {}


async def _killed(line: Line) -> object:
    line.endpoint.kill(line.worker_id)
    await asyncio.sleep(FOREVER_S)
    return {}


async def _of_another_worker(line: Line) -> object:
    return {"text": "of another worker"}


FAILURES: dict[str, tuple[Callable[[Line], Any], str]] = {
    "coded": (_coded, "damaged_audio"),
    "silent": (_silent, "endpoint_failed"),
    "without output": (_without_output, "endpoint_failed"),
    "killed twice": (_killed, "endpoint_failed"),
    "of another worker": (_of_another_worker, "endpoint_refused"),
}
"""Ways in which a job can fail, and the code that the caller reads."""


def run_failure(server: Server, number: int) -> Case:
    """One of a recording's jobs fails at any moment, while the others are being submitted, wait,
    run, end, or have ended.
    """
    case = Case.draw("failures", number, (300.0,))
    chance = case.chance
    failing = chance.randrange(-1, case.fanout)  # a part of the words, or the turns
    fail, code = FAILURES[chance.choice(list(FAILURES))]
    moment = chance.uniform(0, 0.5)
    others = {
        index: chance.choice((FOREVER_S, max(0.0, moment + chance.uniform(-0.1, 0.1)), 0.0))
        for index in range(-1, case.fanout)
    }
    if 0.0 in others.values():
        moment += 0.9

    async def words(job: dict[str, Any], line: Line) -> object:
        index = job["input"].get("part", {"index": 0})["index"]
        return (
            await case.words(job, line, others[index]) if index != failing else await failed(line)
        )

    async def turns(job: dict[str, Any], line: Line) -> object:
        return await case.turns(job, line, others[-1]) if failing != -1 else await failed(line)

    async def failed(line: Line) -> object:
        await asyncio.sleep(moment)
        return await fail(line)

    of_words, of_turns = (
        (chance.choice((0, 1, 3)), 2) if failing == -1 else (3, chance.choice((0, 1)))
    )
    slow = (None, hesitant(chance)) if failing != -1 else (hesitant(chance), None)
    with endpoints(server, words, turns, (of_words, of_turns), slow) as opened:
        case.ask(server, *opened)
        if case.code != code:
            case.complain(f"the caller reads {case.code}, not {code}")
        case.expect_nothing_left(opened, SOON_S)
        case.expect_each_cancelled_once(opened)
    return case


def run_cancel(server: Server, number: int) -> Case:
    """The caller cancels at any moment, from before the first submission to after the answer."""
    case = Case.draw("cancels", number, (300.0,))
    chance = case.chance
    seconds, workers = (
        chance.choice((FOREVER_S, chance.uniform(0, 1.0))),
        chance.choice(((3, 1), (1, 1), (3, 0), (0, 0))),
    )
    ends = seconds < FOREVER_S and workers == (3, 1)
    moment = time.monotonic() + (
        FOREVER_S if ends and chance.random() < 0.5 else chance.uniform(0, 1.0)
    )
    with endpoints(
        server,
        lambda job, line: case.words(job, line, seconds),
        lambda job, line: case.turns(job, line, seconds),
        workers,
        (hesitant(chance), hesitant(chance)),
    ) as opened:
        case.ask(server, *opened, cancelled=lambda: time.monotonic() >= moment)
        if case.code not in (None, "cancelled"):
            case.complain(f"the caller reads {case.code}")
        case.expect_nothing_left(opened, SOON_S)
        case.expect_each_cancelled_once(opened)
    return case


def test_where_one_fails_at_any_moment_each_other_that_runs_is_cancelled_once(
    server: Server, unseen: Unseen
) -> None:
    """And the caller reads why the one failed."""
    cases = side_by_side(run_failure, server, 200)
    assert not (
        told := [complaint for case in cases for complaint in case.complaints] + unseen.complaints()
    ), "\n".join(told)
    taken_back = Counter(was for case in cases for was in case.cancelled)
    assert min(taken_back[Status.IN_QUEUE], taken_back[Status.IN_PROGRESS]) >= 20
    assert sum(not case.cancelled for case in cases) >= 5


def test_a_caller_who_cancels_at_any_moment_ends_each_job_once(
    server: Server, unseen: Unseen
) -> None:
    """Or gets the whole answer, where it was there already."""
    cases = side_by_side(run_cancel, server, 100)
    assert not (
        told := [complaint for case in cases for complaint in case.complaints] + unseen.complaints()
    ), "\n".join(told)
    assert sum(case.answer is not None for case in cases) >= 3
    assert sum(case.code == "cancelled" for case in cases) >= 30


def main() -> None:
    """Run one case and print all that happened."""
    kind, number = sys.argv[1], int(sys.argv[2])
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)6d %(name)s | %(message)s")
    for library in ("httpx2", "stamina"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with Server(rules=RULES) as server:
        case = {"faults": run_schedule, "failures": run_failure, "cancels": run_cancel}[kind](
            server, number
        )
    print(
        f"\n{case.code or 'answered'} after {case.took_s:.2f} of {case.job_timeout_s} s, fan-out "
        f"{case.fanout}: {case.question}"
    )
    for place, nth, fault in case.struck:
        print(f"  {place} {nth}: {fault}")
    for job in case.jobs:
        print(f"  {job.id}")
        for step in job.history:
            print(f"    {step.at - job.submitted_at:6.2f} s {step.status}: {step.cause}")
    print("\n".join(case.complaints) or "no complaint")


if __name__ == "__main__":
    main()
