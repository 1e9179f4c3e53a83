"""Things that go wrong on purpose, for tests.

An `ExchangeFault` spoils one HTTP exchange, a client's or a worker's. A `JobFault` spoils one job
behind the API. A `Schedule` says which exchange and which job is struck: `NoFaults`, a `Script`
(these, in this order) or `Seeded` (chance, the same for the same seed).
"""

from __future__ import annotations

from emulator.faults.exchange_faults import (
    ConnectionReset,
    Drip,
    ExchangeFault,
    HtmlPage,
    LostReply,
    ServerError,
    TooManyRequests,
    TruncatedJson,
)
from emulator.faults.job_faults import (
    Behind,
    HandOutAfterSigterm,
    JobFault,
    LateProgress,
    Moment,
    ResultOverLimit,
    WorkerKilled,
)
from emulator.faults.names import EXCHANGES, JOBS
from emulator.faults.schedule import Fault, NoFaults, Schedule, Script, Seeded

__all__ = [
    "EXCHANGES",
    "JOBS",
    "Behind",
    "ConnectionReset",
    "Drip",
    "ExchangeFault",
    "Fault",
    "HandOutAfterSigterm",
    "HtmlPage",
    "JobFault",
    "LateProgress",
    "LostReply",
    "Moment",
    "NoFaults",
    "ResultOverLimit",
    "Schedule",
    "Script",
    "Seeded",
    "ServerError",
    "TooManyRequests",
    "TruncatedJson",
    "WorkerKilled",
]
