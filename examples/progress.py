"""Transcribe one recording in the background, and watch.

    python -m examples.progress https://example.com/hearing.mp3

This uses `/run` and `/status`, so the recording may be of any length. Ctrl-C cancels the job, which
then costs nothing more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

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


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    options = parser(__doc__)
    add_endpoint(options)
    add_words(options)
    add_speakers(options)
    options.add_argument("recording", help="a URL or a file")
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Submit the job, show its progress, and print the answer."""
    job_input = {
        **await asyncio.to_thread(audio_field, arguments.recording),
        **asked(arguments),
    }
    progress = Progress()
    async with connect(arguments.endpoint, arguments.base_url) as endpoint:
        output = await endpoint.run(job_input, progress)
    progress("done", 0)
    show(output, arguments.format)


class Progress:
    """Shows progress: on a terminal in one line that changes, elsewhere with a line per change."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, stage: str, percent: float) -> None:
        """Show the stage and how much of the job is done."""
        line = f"{stage} {percent:.0f} %" if percent else stage
        if line == self._shown:
            return
        self._shown = line
        if sys.stderr.isatty():
            print(f"\r{line:<40}", end="\n" if stage == "done" else "", file=sys.stderr, flush=True)
        else:
            tell(line)


if __name__ == "__main__":
    main()
