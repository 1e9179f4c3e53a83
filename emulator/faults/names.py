"""The names by which a configuration file asks for faults."""

from __future__ import annotations

from collections.abc import Mapping

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
    HandOutAfterSigterm,
    JobFault,
    LateProgress,
    ResultOverLimit,
    WorkerKilled,
)

EXCHANGES: Mapping[str, ExchangeFault] = {
    "429": TooManyRequests(),
    "500": ServerError(),
    "reset": ConnectionReset(),
    "drip": Drip(),
    "truncated": TruncatedJson(),
    "html": HtmlPage(),
    "lost-reply": LostReply(silence_s=1.0),
}
JOBS: Mapping[str, JobFault] = {
    "killed": WorkerKilled(after_s=0.5),
    "after-sigterm": HandOutAfterSigterm(),
    "over-limit": ResultOverLimit(),
    "late-progress": LateProgress(),
}
