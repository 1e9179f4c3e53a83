"""The queue by itself, on a clock that moves only when a test moves it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from emulator.job import Job, Policy, Status
from emulator.queue import Queue, Retention

WORKERS = st.sampled_from(["a", "b", "c"])
RETENTION = Retention(run_s=1800, runsync_s=60)


class Clock:
    """Seconds since the test began."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class JobQueue(RuleBasedStateMachine):
    """Clients, workers and time do what they like, in any order."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.ended: list[Job] = []
        self.queue = Queue(self.clock, RETENTION, self.ended.append)
        self.retried: list[Job] = []

    @rule(
        target=jobs,
        sync=st.booleans(),
        low=st.booleans(),
        timeout=st.integers(5, 50),
        ttl=st.integers(10, 100),
    )
    def submit(self, sync: bool, low: bool, timeout: int, ttl: int) -> Job:
        """A client submits a job."""
        return self.queue.clients.submit({"x": 1}, Policy(timeout, ttl, low), sync=sync)

    @rule(target=jobs, worker=WORKERS, most=st.integers(1, 3))
    def take(self, worker: str, most: int) -> object:
        """A worker takes jobs, and never gets more than it asked for."""
        taken = self.queue.workers.take(worker, most)
        assert len(taken) <= most
        return multiple()

    @rule(job=jobs, worker=WORKERS, error=st.sampled_from([None, "CODE: no", {"a": "dict"}]))
    def finish(self, job: Job, worker: str, error: object) -> None:
        """Any worker posts a result. It counts only from the one that holds the job."""
        held = job in self.queue.held(worker)
        assert (
            self.queue.workers.finish(
                job.id, worker, {"output": 1} | ({"error": error} if error else {})
            )
            == held
        )

    @rule(job=jobs, worker=WORKERS)
    def progress(self, job: Job, worker: str) -> None:
        """Progress changes no status."""
        before = job.status
        self.queue.workers.progress(job.id, worker, {"percent": 1})
        assert job.status is before

    @rule(job=jobs)
    def cancel(self, job: Job) -> None:
        """A client cancels. A job that has ended stays as it was."""
        before = job.status
        self.queue.clients.cancel(job.id)
        assert job.status is (before if before.final else Status.CANCELLED) or job.forgotten

    @rule(job=jobs)
    def retry(self, job: Job) -> None:
        """A client asks for one more try."""
        if self.queue.clients.retry(job.id):
            self.retried.append(job)

    @rule(worker=WORKERS)
    def lose_worker(self, worker: str) -> None:
        """A worker dies and holds nothing any more."""
        self.queue.workers.lose_worker(worker, "killed")
        assert self.queue.held(worker) == []

    @rule(worker=WORKERS, claims=st.booleans())
    def ping(self, worker: str, claims: bool) -> None:
        """A worker names the jobs that it holds, or forgets to."""
        self.queue.workers.ping(
            worker, [job.id for job in self.queue.held(worker)] if claims else [], settle_s=4
        )

    @rule()
    def purge(self) -> None:
        """A client empties the queue."""
        self.queue.clients.purge()
        assert self.queue.waiting() == []

    @rule(seconds=st.integers(1, 40))
    def pass_time(self, seconds: int) -> None:
        """Time passes, and the queue notices."""
        self.clock.now += seconds
        self.queue.sweep()

    @invariant()
    def every_job_is_somewhere(self) -> None:
        """A job waits, or a worker holds it, or it has ended: none is lost or in two places."""
        waiting = self.queue.waiting()
        held = [job for worker in "abc" for job in self.queue.held(worker)]
        assert len({id(job) for job in waiting}) == len(waiting)
        for job in self.queue.ever:
            places = waiting.count(job) + held.count(job) + job.status.final
            assert places == 1, (job.status, places)

    @invariant()
    def every_end_is_told_once(self) -> None:
        """A job ends once for its submission and once for each retry that a client asked for."""
        for job in self.queue.ever:
            ends = sum(1 for step in job.history if step.status.final)
            assert ends == sum(1 for ended in self.ended if ended is job)
            assert ends == 1 + self.retried.count(job) - (not job.status.final)

    @invariant()
    def nobody_is_run_more_than_twice_on_the_platforms_own(self) -> None:
        """The platform retries once. Each retry that a client asks for allows two more attempts."""
        assert all(job.attempts <= 2 * (1 + self.retried.count(job)) for job in self.queue.ever)

    @invariant()
    def nothing_is_kept_too_long(self) -> None:
        """A job past its retention or its ttl is forgotten, as of the last sweep."""
        self.queue.sweep()
        for job in self.queue.ever:
            if not job.forgotten:
                assert self.clock.now - job.submitted_at < job.policy.ttl_s
                kept = RETENTION.runsync_s if job.sync else RETENTION.run_s
                assert job.finished_at is None or self.clock.now - job.finished_at < kept
            else:
                assert self.queue.get(job.id) is None
                assert job.status.final


JobQueue.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJobQueue = JobQueue.TestCase


def a_queue() -> tuple[Queue, Clock]:
    """Return an empty queue and its clock."""
    clock = Clock()
    return Queue(clock, RETENTION), clock


def test_jobs_are_handed_out_in_the_order_in_which_they_came() -> None:
    """First come, first served, up to what the worker asked for."""
    queue, _ = a_queue()
    jobs = [queue.clients.submit(number) for number in range(3)]
    assert queue.workers.take("a", 2) == jobs[:2]
    assert queue.workers.take("a", 2) == jobs[2:]


def test_jobs_of_low_priority_wait_for_the_others() -> None:
    """They are handed out when no others wait."""
    queue, _ = a_queue()
    low, normal = queue.clients.submit(1, Policy(low_priority=True)), queue.clients.submit(2)
    assert queue.workers.take("a", 2) == [normal, low]


def test_a_lost_job_is_first_in_the_queue_and_fails_when_lost_again() -> None:
    """It is retried once as on the platform, then FAILED with the platform's words."""
    queue, _ = a_queue()
    lost, other = queue.clients.submit(1), queue.clients.submit(2)
    queue.workers.take("a")
    queue.workers.lose_worker("a", "killed")
    assert queue.waiting() == [lost, other]
    queue.workers.take("b")
    queue.workers.lose_worker("b", "killed")
    assert lost.wire()["status"] == "FAILED"
    assert lost.wire()["error"] == "job timed out after 1 retries"
    assert lost.wire()["retries"] == 1
    assert queue.figures().retried == 1


def test_a_result_from_a_worker_that_lost_the_job_is_ignored() -> None:
    """Only the answer of the worker that holds it counts."""
    queue, _ = a_queue()
    job = queue.clients.submit(1)
    queue.workers.take("a")
    queue.workers.lose_worker("a", "silent")
    queue.workers.take("b")
    assert not queue.workers.finish(job.id, "a", {"output": "late"})
    assert queue.workers.finish(job.id, "b", {"output": "right"})
    assert job.wire()["output"] == "right"


def test_progress_after_the_end_is_ignored() -> None:
    """The result stays."""
    queue, _ = a_queue()
    job = queue.clients.submit(1)
    queue.workers.take("a")
    queue.workers.finish(job.id, "a", {"output": "done"})
    assert not queue.workers.progress(job.id, "a", {"percent": 99})
    assert (job.status, job.output) == (Status.COMPLETED, "done")


def test_times_are_told_in_milliseconds() -> None:
    """The delay lasts until the last hand-out, the execution from there to the end."""
    queue, clock = a_queue()
    job = queue.clients.submit(1)
    clock.now = 1.5
    queue.workers.take("a")
    clock.now = 4.0
    queue.workers.finish(job.id, "a", {"output": 1})
    assert job.wire() == {
        "id": job.id,
        "status": "COMPLETED",
        "delayTime": 1500,
        "executionTime": 2500,
        "workerId": "a",
        "output": 1,
    }


def test_results_are_kept_by_the_way_they_were_asked_for() -> None:
    """A result of /runsync is kept for a minute, one of /run for half an hour."""
    queue, clock = a_queue()
    sync, run = queue.clients.submit(1, sync=True), queue.clients.submit(2)
    for job in queue.workers.take("a", 2):
        queue.workers.finish(job.id, "a", {})
    clock.now = 59.9
    queue.sweep()
    assert queue.get(sync.id)
    clock.now = 60
    queue.sweep()
    assert queue.get(sync.id) is None
    clock.now = 1799.9
    queue.sweep()
    assert queue.get(run.id)
    clock.now = 1800
    queue.sweep()
    assert queue.get(run.id) is None


def test_a_job_over_its_execution_timeout_is_stopped() -> None:
    """It is TIMED_OUT, and its worker must hear of it."""
    queue, clock = a_queue()
    job = queue.clients.submit(1, Policy(execution_timeout_s=5))
    clock.now = 100
    queue.workers.take("a")
    clock.now = 104.9
    assert not queue.sweep()
    clock.now = 105
    queue.sweep()
    assert job.status is Status.TIMED_OUT
    assert queue.workers.stops("a") == [job.id]


def test_a_job_over_its_ttl_is_gone_wherever_it_was() -> None:
    """Whether it waits or runs, clients no longer find it, and its worker must hear of it."""
    queue, clock = a_queue()
    running, waiting = (
        queue.clients.submit(1, Policy(ttl_s=10)),
        queue.clients.submit(2, Policy(ttl_s=10)),
    )
    queue.workers.take("a")
    clock.now = 10
    queue.sweep()
    assert queue.get(running.id) is None
    assert queue.get(waiting.id) is None
    assert queue.workers.stops("a") == [running.id]
    assert queue.workers.take("b") == []


def test_a_job_that_its_worker_never_claims_is_lost() -> None:
    """After two pings without its id, some seconds after the hand-out, it is handed out again."""
    queue, clock = a_queue()
    job = queue.clients.submit(1)
    queue.workers.take("a")
    clock.now = 3
    assert queue.workers.ping("a", [], settle_s=4) == []
    clock.now = 5
    assert queue.workers.ping("a", [], settle_s=4) == []
    assert queue.workers.ping("a", [], settle_s=4) == [job]
    assert job.status is Status.IN_QUEUE


def test_a_claimed_job_stays_its_workers() -> None:
    """A worker that once named the job and then lost its result keeps it until the timeout."""
    queue, clock = a_queue()
    job = queue.clients.submit(1)
    queue.workers.take("a")
    queue.workers.ping("a", [job.id], settle_s=4)
    clock.now = 100
    assert [queue.workers.ping("a", [], settle_s=4) for _ in range(5)] == [[]] * 5


def test_a_stop_that_had_no_effect_is_repeated() -> None:
    """While the worker's pings name a cancelled job, the worker hears of it again."""
    queue, _ = a_queue()
    job = queue.clients.submit(1)
    queue.workers.take("a")
    queue.clients.cancel(job.id)
    assert queue.workers.stops("a") == [job.id]
    assert queue.workers.stops("a") == []
    queue.workers.ping("a", [job.id], settle_s=4)
    assert queue.workers.stops("a") == [job.id]
    queue.workers.ping("a", [], settle_s=4)
    assert queue.workers.stops("a") == []


def test_an_empty_input_does_not_reach_the_worker() -> None:
    """The platform drops it, and the SDK then refuses the job."""
    queue, _ = a_queue()
    assert "input" not in queue.clients.submit({}).payload()
    assert queue.clients.submit({"a": 1}).payload()["input"] == {"a": 1}


def test_an_error_that_is_not_a_string_is_lost() -> None:
    """The client reads COMPLETED without output."""
    queue, _ = a_queue()
    job = queue.clients.submit(1)
    queue.workers.take("a")
    queue.workers.finish(job.id, "a", {"output": {"a": 1}, "error": {"code": "X"}})
    assert job.wire()["status"] == "COMPLETED"
    assert not {"output", "error"} & job.wire().keys()


def test_every_cancel_is_on_record() -> None:
    """This includes one for an unknown job, and one too many."""
    queue, _ = a_queue()
    job = queue.clients.submit(1)
    for job_id in (job.id, job.id, "nobody"):
        queue.clients.cancel(job_id)
    assert [(cancel.job_id, cancel.was) for cancel in queue.cancellations] == [
        (job.id, Status.IN_QUEUE),
        (job.id, Status.CANCELLED),
        ("nobody", None),
    ]
