"""The platform's numbers. A test makes them smaller."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a result is kept after the end of its job, in seconds."""

    run_s: float = 1800.0
    runsync_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Rules:
    """Sizes in bytes, times in seconds. The defaults are the platform's, as far as documented."""

    run_limit: int = 10_000_000
    """The largest request by /run, and the largest result of such a job."""
    runsync_limit: int = 20_000_000
    chunk_limit: int = 1_000_000
    """The largest piece of a stream."""
    retention: Retention = field(default_factory=Retention)
    sync_wait_s: float = 90.0
    """How long /runsync waits if the caller does not say."""
    sync_wait_range_s: tuple[float, float] = (1.0, 300.0)
    execution_timeout_range_s: tuple[float, float] = (5.0, 604_800.0)
    ttl_range_s: tuple[float, float] = (10.0, 604_800.0)
    webhook_delays_s: tuple[float, ...] = (5.0, 10.0)
    """Before the second and the third try."""
    webhook_timeout_s: float = 10.0
    poll_s: float = 20.0
    """How long a worker's poll is held open."""
    ping_interval_s: float = 2.0
    """How often workers are asked to ping, in whole seconds: the SDK rounds down."""
    ping_timeout_s: float = 30.0
    """A worker that has pinged and is then silent for this long is dead."""
    settle_s: float = 5.0
    """How long after the hand-out a job may be missing from its worker's pings."""
    grace_s: float = 30.0
    """From SIGTERM to SIGKILL."""
    tick_s: float = 0.05
    """How often to check timeouts, silent workers and the number of workers."""
