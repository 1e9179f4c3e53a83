"""Transcribe one recording and wait for it.

    python -m examples.sync interview.mp3 --format srt > interview.srt
    python -m examples.sync https://example.com/interview.mp3

This uses `/runsync`: one request if the job ends within a minute, then polls of its status. For
long recordings see progress.py.
"""

from __future__ import annotations

import argparse
import asyncio

from examples.command import (
    add_endpoint,
    add_speakers,
    add_words,
    asked,
    connect,
    parser,
    show,
    start,
)
from examples.recording import RUNSYNC_BYTES, audio_field


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    options = parser(__doc__)
    add_endpoint(options)
    add_words(options)
    add_speakers(options)
    options.add_argument("recording", help="a URL or a file")
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Send the recording and print the answer."""
    job_input = {
        **await asyncio.to_thread(audio_field, arguments.recording, RUNSYNC_BYTES),
        **asked(arguments),
    }
    async with connect(arguments.endpoint, arguments.base_url) as endpoint:
        show(await endpoint.run_sync(job_input), arguments.format)


if __name__ == "__main__":
    main()
