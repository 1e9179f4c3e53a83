"""The bodies and answers of the platform's REST API; nothing else parses them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from core.domain.codes import is_retryable
from core.domain.watch import Stage
from core.errors import DeadlineExceeded, JobFailed, WorkerError
from core.wire.forwarding import not_carried
from core.wire.limits import MAX_RUN_BYTES

# The platform's bounds for the policy of a job, in milliseconds.
_EXECUTION_MS = (5_000, 604_800_000)
_TTL_MS = (10_000, 604_800_000)

_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}"
"""The form of a job's id, which becomes a part of URLs."""
_CUT_OFF_ID = re.compile(rb'\s*\{[^{}]*?"id"\s*:\s*"(' + _ID.encode() + rb')"')
_CODED = re.compile(r"(?=[a-z0-9_]{1,64}:)([a-z][a-z0-9]*(?:_[a-z0-9]+)*): (\S.*)")
_MAX_SENTENCE = 500


class Malformed(ValueError):
    """The answer is not as the API documents it."""


class Status(StrEnum):
    """A job's state."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_final(self) -> bool:
        """Tell whether the job will not change any more."""
        return self not in (Status.IN_QUEUE, Status.IN_PROGRESS)


def _status(value: object) -> object:
    return Status.IN_PROGRESS if value == "RUNNING" else value  # the console's word for it


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Submitted(_Answer):
    """The answer of `/run`."""

    id: Annotated[str, StringConstraints(pattern=f"^{_ID}$")]


class JobState(_Answer):
    """The answer of `/status`."""

    status: Annotated[Status, BeforeValidator(_status)]
    output: Any = None
    error: Any = None


class _Progress(_Answer):
    stage: Stage
    percent: Annotated[float, Field(allow_inf_nan=False)]


_Kind = TypeVar("_Kind", bound=_Answer)


def request_body(job_input: Mapping[str, object], *, timeout_s: float) -> bytes:
    """Return the body for `/run`. After `timeout_s` the platform drops the job, whatever its state.

    Raise SourceTooLarge if the platform does not take so large a body.
    """
    content = {"input": dict(job_input), "policy": _policy(round(1000 * timeout_s))}
    body = json.dumps(content, allow_nan=False).encode()
    if len(body) > MAX_RUN_BYTES:
        raise not_carried(f"{len(body) / 1e6:.1f} MB")
    return body


def _policy(milliseconds: int) -> dict[str, int]:
    return {
        "executionTimeout": _within(milliseconds, *_EXECUTION_MS),
        "ttl": _within(milliseconds, *_TTL_MS),
    }


def _within(value: int, least: int, most: int) -> int:
    return max(least, min(most, value))


def read_id(content: bytes) -> str:
    """Return the id of a submitted job, even if the answer is cut off after it. Raise Malformed."""
    try:
        return _read(Submitted, content).id
    except Malformed:
        if found := _CUT_OFF_ID.match(content):
            return found[1].decode()
        raise


def read_state(content: bytes) -> JobState:
    """Return the state of a job. Raise Malformed."""
    return _read(JobState, content)


def _read(kind: type[_Kind], content: bytes) -> _Kind:
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise Malformed(kind.__name__) from None


def progress_of(state: JobState) -> tuple[Stage, float] | None:
    """Return the stage and how much of the job is done, 0..1; None if the output has neither."""
    if state.status is not Status.IN_PROGRESS or not isinstance(state.output, dict):
        return None
    try:
        progress = _Progress.model_validate(state.output)
    except ValidationError:
        return None
    return progress.stage, min(1.0, max(0.0, progress.percent / 100))


def output_of(state: JobState, name: str) -> object:
    """Return the output of a job that ended. Raise JobFailed or DeadlineExceeded if it has none.

    `name` is that of the endpoint.
    """
    if state.status is Status.COMPLETED and not _is_failure(state):
        if state.output is None:
            raise JobFailed(
                f"the {name} job ended without an answer, perhaps because it was too large; ask "
                "for a range with start and end"
            )
        return state.output
    raise _failure(state, name)


def _is_failure(state: JobState) -> bool:
    """Tell whether the worker reports a failure.

    The platform completes a failed job if it cannot read the error.
    """
    return bool(state.error) or (
        isinstance(state.output, dict) and state.output.get("success") is False
    )


def _failure(state: JobState, name: str) -> WorkerError:
    if state.status is Status.CANCELLED:
        return JobFailed(
            f"the {name} job was cancelled in its endpoint by somebody else; try again"
        )
    if state.status is Status.TIMED_OUT:
        return DeadlineExceeded(
            f"the {name} job took longer than its endpoint allows; try again, or ask for a range "
            "with start and end"
        )
    return _reported_failure(state, name)


def _reported_failure(state: JobState, name: str) -> WorkerError:
    error = _error(state)
    if coded := _CODED.fullmatch(error):
        code, sentence = coded[1], coded[2]
        return JobFailed(
            sentence[:_MAX_SENTENCE], code=code, retryable=_is_retryable(code, state.output)
        )
    if re.fullmatch(r"job timed out after \d+ retries", error):
        return JobFailed(
            f"the workers of the {name} endpoint died or gave no answer; try again later"
        )
    # None of our workers wrote any other error: it may contain anything.
    return JobFailed(
        f"the {name} job failed and gave no reason that can be passed on; look at the log of its "
        "endpoint"
    )


def _error(state: JobState) -> str:
    """Return the worker's error; with FAILURES=output it is in the output."""
    within = state.output.get("error") if isinstance(state.output, dict) else None
    return next((one for one in (state.error, within) if one and isinstance(one, str)), "")


def _is_retryable(code: str, output: object) -> bool:
    """Return what a worker of version 0.1 says, or what the code says."""
    if isinstance(output, dict) and isinstance(output.get("retryable"), bool):
        return bool(output["retryable"])
    return is_retryable(code)
