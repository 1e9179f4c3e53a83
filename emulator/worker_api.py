"""The workers' protocol over HTTP, and the environment variables by which a worker learns of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from emulator.endpoint import Endpoint
from emulator.rules import Rules
from emulator.written import Written

_Answer = TypeVar("_Answer")


def environment(url: str, endpoint: str, worker_id: str, rules: Rules) -> dict[str, str]:
    """Return the variables that the platform sets for a worker.

    `url` is the emulator's, without a path. The SDK fills in `$ID` and `$RUNPOD_POD_ID`, and
    appends to the query, so there must be one.
    """
    base = f"{url}/v2/{endpoint}"
    return {
        "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=EMULATOR",
        "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=EMULATOR",
        "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=EMULATOR",
        "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=EMULATOR",
        "RUNPOD_PING_INTERVAL": str(round(1000 * rules.ping_interval_s)),
        "RUNPOD_AI_API_KEY": "emulator",
        "RUNPOD_ENDPOINT_ID": endpoint,
        "RUNPOD_POD_ID": worker_id,
        "RUNPOD_POD_HOSTNAME": worker_id,
        # The SDK's own checks of a worker's machine: a GPU, 4 GB of memory, a way to the internet.
        "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
        "RUNPOD_SKIP_GPU_CHECK": "true",
    }


def find(endpoint: str, request: Request) -> Endpoint:
    """Return the endpoint of a path. Any key will do: the workers are ours."""
    endpoints: Mapping[str, Endpoint] = request.app.state.endpoints
    if endpoint not in endpoints:
        raise HTTPException(404, "endpoint not found")
    return endpoints[endpoint]


router = APIRouter(prefix="/v2/{endpoint}")
Found = Annotated[Endpoint, Depends(find)]


@router.get("/job-take/{worker_id}")
async def take(endpoint: Found, worker_id: str, request: Request) -> Response:
    """Hand out one job."""
    jobs = await _while_connected(request, endpoint.worker_side.take(worker_id))
    return Written(jobs[0].payload()) if jobs else Response(status_code=204)


@router.get("/job-take-batch/{worker_id}")
async def take_batch(
    endpoint: Found, worker_id: str, request: Request, batch_size: int = 1
) -> Response:
    """Hand out as many jobs as the worker has room for."""
    work = endpoint.worker_side.take(worker_id, max(1, batch_size))
    jobs = await _while_connected(request, work)
    return Written([job.payload() for job in jobs]) if jobs else Response(status_code=204)


@router.get("/job-stop/{worker_id}")
async def stop(endpoint: Found, worker_id: str, request: Request) -> Response:
    """Name the jobs that the worker must stop."""
    job_ids = await _while_connected(request, endpoint.worker_side.stops(worker_id))
    return Written({"jobsToStop": job_ids}) if job_ids else Response(status_code=204)


@router.post("/job-done/{worker_id}/{job_id}")
async def done(endpoint: Found, worker_id: str, job_id: str, request: Request) -> Response:
    """Take a result or progress."""
    status = await endpoint.worker_side.result(worker_id, job_id, await request.body())
    return Response(status_code=status)


@router.post("/job-stream/{worker_id}/{job_id}")
async def stream(endpoint: Found, worker_id: str, job_id: str, request: Request) -> Response:
    """Take one piece of a stream."""
    status = endpoint.worker_side.chunk(worker_id, job_id, await request.body())
    return Response(status_code=status)


@router.get("/ping/{worker_id}")
async def ping(endpoint: Found, worker_id: str, job_id: str = "") -> Response:
    """Note that a worker lives and which jobs it holds."""
    endpoint.worker_side.ping(worker_id, job_id.split(",") if job_id else [])
    return Response(status_code=200)


async def _while_connected(request: Request, work: Coroutine[Any, Any, _Answer]) -> _Answer | None:
    """Hold a poll. If the worker hangs up, hand nothing to it."""
    answer = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        answer.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
