"""The public REST API, `/v2/{endpoint}/…`, as clients see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from emulator.endpoint import Endpoint
from emulator.job import Job, Policy, Status
from emulator.rules import Rules
from emulator.written import Written

Range = tuple[float, float]


class PolicyBody(BaseModel):
    """`policy` of a request. Times in milliseconds."""

    model_config = ConfigDict(populate_by_name=True)

    execution_timeout: float | None = Field(
        default=None, alias="executionTimeout", allow_inf_nan=False
    )
    ttl: float | None = Field(default=None, allow_inf_nan=False)
    low_priority: bool = Field(default=False, alias="lowPriority")


class JobBody(BaseModel):
    """The body of /run and /runsync. Unknown fields are dropped, as on the platform."""

    input: Any
    policy: PolicyBody = PolicyBody()
    webhook: Annotated[str, Field(pattern=r"^https?://")] | None = None


def find(endpoint: str, request: Request) -> Endpoint:
    """Return the endpoint of a path to a caller who shows a key.

    If the emulator has no key of its own, any will do.
    """
    api_key: str | None = request.app.state.api_key
    endpoints: Mapping[str, Endpoint] = request.app.state.endpoints
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not given or (api_key is not None and given != api_key):
        raise HTTPException(
            401, "the API key is missing or wrong: send it as 'Authorization: Bearer KEY'"
        )
    if endpoint not in endpoints:
        raise HTTPException(
            404,
            f"endpoint {endpoint!r} does not exist; there are: {', '.join(endpoints) or 'none'}",
        )
    return endpoints[endpoint]


router = APIRouter(prefix="/v2/{endpoint}")
Found = Annotated[Endpoint, Depends(find)]


@router.post("/run")
async def run(endpoint: Found, request: Request) -> Written:
    """Queue a job."""
    job = await _submit(endpoint, request, sync=False)
    return Written({"id": job.id, "status": Status.IN_QUEUE.value})


@router.post("/runsync")
async def runsync(endpoint: Found, request: Request, wait: float | None = None) -> Written:
    """Queue a job and wait for its end, at most for `wait` milliseconds.

    If it has not ended by then, answer with its status.
    """
    job = await _submit(endpoint, request, sync=True)
    least, most = endpoint.rules.sync_wait_range_s
    wait_s = endpoint.rules.sync_wait_s if wait is None else min(most, max(least, wait / 1000))
    await endpoint.final(job, wait_s)
    return Written(job.wire())


@router.api_route("/status/{job_id}", methods=["GET", "POST"])
async def status(endpoint: Found, job_id: str) -> Written:
    """Show a job."""
    return Written(_known(endpoint, job_id).wire())


@router.api_route("/stream/{job_id}", methods=["GET", "POST"])
async def stream(endpoint: Found, job_id: str) -> Written:
    """Answer with what was streamed since the last call."""
    job = _known(endpoint, job_id)
    chunks = [{"output": chunk} for chunk in endpoint.queue.clients.drain_chunks(job)]
    return Written({"status": job.status.value, "stream": chunks})


@router.post("/cancel/{job_id}")
async def cancel(endpoint: Found, job_id: str) -> Written:
    """End a job."""
    job = endpoint.cancel(job_id)
    if job is None:
        raise HTTPException(404, "job not found")
    return Written({"id": job.id, "status": job.status.value})


@router.post("/retry/{job_id}")
async def retry(endpoint: Found, job_id: str) -> Written:
    """Queue a failed job again."""
    job = _known(endpoint, job_id)
    if endpoint.retry(job_id) is None:
        raise HTTPException(
            400,
            f"only a job that FAILED or TIMED_OUT can be retried; this one is {job.status.value}",
        )
    return Written({"id": job.id, "status": job.status.value})


@router.post("/purge-queue")
async def purge(endpoint: Found) -> Written:
    """Drop all queued jobs."""
    return Written({"removed": endpoint.purge(), "status": "completed"})


@router.get("/health")
async def health(endpoint: Found) -> Written:
    """Count jobs and workers."""
    return Written(_health(endpoint))


def _known(endpoint: Endpoint, job_id: str) -> Job:
    if job := endpoint.find(job_id):
        return job
    raise HTTPException(
        404, "job not found: there is none with this id, or its result is no longer kept"
    )


def _health(endpoint: Endpoint) -> dict[str, object]:
    jobs = endpoint.queue.figures()
    return {
        "jobs": {
            "completed": jobs.completed,
            "failed": jobs.failed,
            "inProgress": jobs.in_progress,
            "inQueue": jobs.in_queue,
            "retried": jobs.retried,
        },
        "workers": asdict(endpoint.workers.figures()),
    }


async def _submit(endpoint: Endpoint, request: Request, *, sync: bool) -> Job:
    rules = endpoint.rules
    raw = await _read(request, rules.runsync_limit if sync else rules.run_limit)
    try:
        body = JobBody.model_validate(json.loads(raw))
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(
            400, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
        ) from None
    except ValueError:
        raise HTTPException(400, "the body is not JSON") from None
    return endpoint.submit(body.input, _policy(body.policy, rules), sync=sync, webhook=body.webhook)


async def _read(request: Request, limit: int) -> bytes:
    """Return the body, or refuse it if it is over the limit.

    Receive all of it in any case, so that the caller can read the answer.
    """
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size <= limit:
                pieces.append(piece)
    except ClientDisconnect:
        raise HTTPException(400, "the request broke off") from None
    if size > limit:
        raise HTTPException(
            413,
            f"the request has {size / 1e6:.1f} MB and the limit is {limit / 1e6:g} MB; send a "
            "URL instead",
        )
    return b"".join(pieces)


def _policy(body: PolicyBody, rules: Rules) -> Policy:
    default = Policy()
    return Policy(
        _seconds(
            "policy.executionTimeout",
            body.execution_timeout,
            default.execution_timeout_s,
            rules.execution_timeout_range_s,
        ),
        _seconds("policy.ttl", body.ttl, default.ttl_s, rules.ttl_range_s),
        body.low_priority,
    )


def _seconds(
    field: Literal["policy.executionTimeout", "policy.ttl"],
    given_ms: float | None,
    default_s: float,
    allowed_s: Range,
) -> float:
    if given_ms is None:
        return default_s
    least, most = allowed_s
    if not least <= given_ms / 1000 <= most:
        raise HTTPException(
            400, f"{field}: {given_ms:g} ms is not between {1000 * least:g} and {1000 * most:g} ms"
        )
    return given_ms / 1000
