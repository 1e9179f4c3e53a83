"""One job as the platform knows it: status, policy, history, and how clients and workers see it."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field


class Status(enum.StrEnum):
    """The names that go over the wire."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def final(self) -> bool:
        """Whether the job has ended. Only a retry can revive it."""
        return self not in (Status.IN_QUEUE, Status.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long the caller lets a job live, in seconds, and how urgent it is."""

    execution_timeout_s: float = 600.0
    """From the hand-out. Then the job is TIMED_OUT and its worker is asked to stop it."""
    ttl_s: float = 86_400.0
    """From the submission, queue and run together. Then the job is stopped and forgotten."""
    low_priority: bool = False
    """The job starts no worker: it waits for one that runs anyway."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step in a job's life."""

    at: float
    status: Status
    cause: str
    worker: str | None


class Missing(enum.Enum):
    """Marks that a worker posted nothing, which differs from null."""

    MISSING = enum.auto()


MISSING = Missing.MISSING


@dataclass(slots=True)
class Job:
    """Everything that ever happened to one job. Times are the queue's clock, in seconds."""

    id: str
    input: object
    sync: bool
    policy: Policy
    submitted_at: float
    webhook: str | None = None
    status: Status = Status.IN_QUEUE
    queued_at: float = 0.0
    worker: str | None = None
    handed_at: float | None = None
    finished_at: float | None = None
    output: object = MISSING
    """The last progress while the job runs, the result afterwards."""
    error: str | None = None
    losses: int = 0
    """How many workers vanished with it: `retries` on the wire."""
    attempts: int = 0
    """How many times it was handed out."""
    claimed: bool = False
    """Whether the worker has shown that it holds the job."""
    unclaimed_pings: int = 0
    chunks: deque[object] = field(default_factory=deque)
    """The pieces of a stream that nobody has read yet."""
    forgotten: bool = False
    """Whether clients get 404 for it: its retention or ttl is over, or it was purged."""
    history: list[Transition] = field(default_factory=list)

    def payload(self) -> dict[str, object]:
        """Return the job as a worker gets it.

        The platform leaves out an empty input, and the SDK then refuses the job.
        """
        payload: dict[str, object] = {"id": self.id}
        if self.input not in ({}, None):
            payload["input"] = self.input
        if self.webhook is not None:
            payload["webhook"] = self.webhook
        return payload

    def wire(self) -> dict[str, object]:
        """Return the job as `/status` shows it."""
        wire: dict[str, object] = {"id": self.id, "status": self.status.value}
        if self.handed_at is not None:
            wire["delayTime"] = _milliseconds(self.handed_at - self.submitted_at)
        if self.worker is not None:
            wire["workerId"] = self.worker
        if self.finished_at is not None and self.handed_at is not None:
            wire["executionTime"] = _milliseconds(self.finished_at - self.handed_at)
        if self.output is not MISSING:
            wire["output"] = self.output
        if self.error is not None:
            wire["error"] = self.error
        if self.losses:
            wire["retries"] = self.losses
        return wire

    def webhook_body(self) -> dict[str, object]:
        """Return the job as its webhook gets it."""
        return {**self.wire(), "input": self.input, "webhook": self.webhook}


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
