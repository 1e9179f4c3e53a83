"""Transcribe one recording, and tell failures apart: try again, change the request, or report.

    python -m examples.errors https://example.com/interview.mp3 --attempts 5; echo "exit code $?"

client.py repeats single requests after lost connections, 429 and 5xx. This program repeats the
whole job if its code says that this may help.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import stamina

from examples.client import Endpoint, Job, JobError
from examples.command import (
    add_endpoint,
    add_speakers,
    add_words,
    asked,
    connect,
    parser,
    show,
    start,
    tell,
)
from examples.recording import audio_field

TRY_LATER, NOT_ALLOWED, CHANGE_REQUEST = 75, 77, 65
"""Exit codes of sysexits.h, for scripts that run this program."""


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    options = parser(__doc__)
    add_endpoint(options)
    add_words(options)
    add_speakers(options)
    options.add_argument("recording", help="a URL or a file")
    options.add_argument(
        "--attempts", type=int, default=3, help="how often to submit the job; default: %(default)s"
    )
    options.add_argument(
        "--pause",
        type=float,
        default=2,
        help="seconds before the second attempt, then twice as many; default: %(default)g",
    )
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Print the answer, or exit with a code that says what to do."""
    try:
        job_input = {
            **await asyncio.to_thread(audio_field, arguments.recording),
            **asked(arguments),
        }
        async with connect(arguments.endpoint, arguments.base_url) as endpoint:
            output = await run_again(
                endpoint, job_input, attempts=arguments.attempts, pause_s=arguments.pause
            )
    except JobError as error:
        tell(f"{error}\n{advice(error)}")
        sys.exit(exit_code(error))
    show(output, arguments.format)


async def run_again(
    endpoint: Endpoint, job_input: Job, *, attempts: int = 3, pause_s: float = 2
) -> Job:
    """Run a job, again if its failure may pass. Raise the last JobError."""
    async for attempt in stamina.retry_context(
        on=_may_pass, attempts=attempts, timeout=None, wait_initial=pause_s, wait_max=60
    ):
        with attempt:
            return await endpoint.run(job_input)
    raise AssertionError("stamina raises the last error")


def _may_pass(error: Exception) -> bool:
    return isinstance(error, JobError) and error.retryable


def exit_code(error: JobError) -> int:
    """Return the exit code for an error."""
    if error.retryable:
        return TRY_LATER
    return (
        NOT_ALLOWED if error.code in ("endpoint_refused", "model_access_denied") else CHANGE_REQUEST
    )


def advice(error: JobError) -> str:
    """Return what a program could do by itself; the error's own sentence is for people."""
    match error.code:
        case "source_too_large":
            return "Send a URL instead of the file."
        case "audio_too_long" | "output_too_large":
            return "Send ranges with start and end, one after the other."
        case "unsupported_language":
            return "Leave language out: the model finds it."
        case _ if error.retryable:
            return "It may pass: try again later."
        case _:
            return "The same request will fail again: change it."


if __name__ == "__main__":
    main()
