"""How often and how long to try."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long the client tries; times in seconds."""

    tries: int = 10
    first_wait_s: float = 0.2
    """Before the second try; each next wait is twice as long, up to `longest_wait_s`."""
    longest_wait_s: float = 10.0
    jitter_s: float = 0.5
    request_s: float = 30.0
    """For one request and its whole answer, however slowly it drips."""
    connect_s: float = 10.0
    cancel_s: float = 5.0
    """For cancelling a job."""
    last_s: float = 0.5
    """Minimum time to cancel a job, even after the deadline."""
    first_poll_s: float = 0.1
    poll_share: float = 0.05
    """Poll again after this share of the time elapsed: polling delays the answer by no more."""
    longest_poll_s: float = 2.0

    def until_poll_s(self, elapsed_s: float) -> float:
        """Return how long to wait before the next poll of a job that was submitted `elapsed_s` ago.

        The wait is jittered, so that many jobs spread.
        """
        steady = min(self.longest_poll_s, max(self.first_poll_s, self.poll_share * elapsed_s))
        return steady * random.uniform(0.75, 1.25)  # noqa: S311  nothing secret

    def last_moment(self, now: float, deadline: float) -> float:
        """Return the time by which a job that is abandoned now must have been cancelled."""
        return now + max(self.last_s, min(self.cancel_s, deadline - now))
