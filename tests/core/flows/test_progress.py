"""The progress of a whole job: it is as far as what is furthest behind, and never goes back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from core.domain.watch import Stage, Watch
from core.flows.progress import JobProgress

WORKING = (Stage.DOWNLOADING, Stage.DECODING, Stage.TRANSCRIBING, Stage.DIARIZING)


@dataclass
class Seen:
    """What a caller saw."""

    steps: list[tuple[Stage, float]] = field(default_factory=list)

    @property
    def watch(self) -> Watch:
        """The caller's."""
        return Watch(lambda stage, fraction: self.steps.append((stage, fraction)))


def test_a_job_of_one_branch_passes_through_its_stages() -> None:
    """Fetching and decoding are its first tenth."""
    seen = Seen()
    watch = JobProgress(seen.watch).together
    for stage in (Stage.DOWNLOADING, Stage.DECODING, Stage.TRANSCRIBING):
        watch.report(stage, 0.0)
    watch.report(Stage.TRANSCRIBING, 0.5)
    watch.report(Stage.TRANSCRIBING, 1.0)
    assert seen.steps == [
        (Stage.DOWNLOADING, 0.0),
        (Stage.DECODING, 0.05),
        (Stage.TRANSCRIBING, 0.1),
        (Stage.TRANSCRIBING, 0.1 + 0.9 * 0.5),
        (Stage.TRANSCRIBING, 1.0),
    ]


def test_of_two_branches_the_slower_one_is_shown() -> None:
    """With its stage."""
    seen = Seen()
    progress = JobProgress(seen.watch, branches=2)
    progress.together.report(Stage.DECODING, 1.0)
    words, turns = progress.branch(0), progress.branch(1)
    words(Stage.TRANSCRIBING, 1.0)
    turns(Stage.DIARIZING, 0.5)
    assert seen.steps[-1] == (Stage.DIARIZING, 0.1 + 0.9 * 0.5)
    progress.end(1)
    assert seen.steps[-1][1] == 1.0


def test_before_a_job_is_taken_it_is_queued() -> None:
    """A branch that reports nothing holds the others back."""
    seen = Seen()
    JobProgress(seen.watch, branches=2).move(0, Stage.TRANSCRIBING, 0.7)
    assert seen.steps == [(Stage.QUEUED, 0.0)]


@given(
    reports=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(WORKING), st.floats(0, 1)), max_size=40
    )
)
def test_percent_never_goes_back(reports: list[tuple[int, Stage, float]]) -> None:
    """Whatever the branches report, in whatever order."""
    seen = Seen()
    progress = JobProgress(seen.watch, branches=3)
    for index, stage, fraction in reports:
        progress.branch(index)(stage, fraction)
    fractions = [fraction for _, fraction in seen.steps]
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)


def test_branches_may_report_from_many_threads() -> None:
    """What the caller sees is in order all the same."""
    seen = Seen()
    progress = JobProgress(seen.watch, branches=4)

    def work(index: int) -> None:
        for step in range(200):
            progress.branch(index)(Stage.TRANSCRIBING, step / 199)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fractions = [fraction for _, fraction in seen.steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
