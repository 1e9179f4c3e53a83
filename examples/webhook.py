"""Submit recordings, and let the platform call back when they are done.

    python -m examples.webhook https://example.com/a.mp3 https://example.com/b.mp3 \
        --public-url https://me.example/done --port 8080

--public-url is the URL by which the platform reaches --port, through a proxy with TLS. Anybody can
post to it, and nothing is signed. So a call is only a reason to look: the job's id must be one of
ours, and the answer is read from `/status`. Calls can get lost, so a job that stays silent is
looked at after a while.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from examples.client import Endpoint, JobError
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

MOST_BYTES = 40_000_000
"""A call contains the whole job, with an input and an output of up to 20 MB each."""


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    options = parser(__doc__)
    add_endpoint(options)
    add_words(options)
    add_speakers(options)
    options.add_argument("recordings", nargs="+", metavar="recording", help="a URL or a file")
    options.add_argument(
        "--public-url", required=True, help="URL by which the platform reaches this program"
    )
    options.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; default: %(default)s"
    )
    options.add_argument("--port", type=int, default=8080, help="default: %(default)s")
    options.add_argument(
        "--patience",
        type=float,
        default=1200,
        help="seconds after which to look at a silent job; default: %(default)g",
    )
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Submit all recordings, print each transcript when done; exit with code 1 if one failed."""
    calls = Calls(asyncio.get_running_loop())
    async with connect(arguments.endpoint, arguments.base_url) as endpoint:
        with listening(arguments.host, arguments.port, calls.arrived):
            done = await asyncio.gather(
                *(
                    follow(endpoint, calls, recording, arguments)
                    for recording in arguments.recordings
                )
            )
    if not all(done):
        sys.exit(1)


async def follow(
    endpoint: Endpoint, calls: Calls, recording: str, arguments: argparse.Namespace
) -> bool:
    """Wait for the call, but not forever; then read and print the answer from the platform.

    Tell whether there was one.
    """
    name = recording.partition("?")[0]  # the query may contain a secret signature
    try:
        job_input = {
            **await asyncio.to_thread(audio_field, recording),
            **asked(arguments),
        }
        async with endpoint.submitted(job_input, webhook=arguments.public_url) as job_id:
            tell(f"{name}: submitted as {job_id}")
            await calls.about(job_id, arguments.patience)
            output = await endpoint.wait(job_id)
    except (JobError, OSError) as error:
        tell(f"{name}: {getattr(error, 'strerror', None) or error}")
        return False
    tell(f"{name}:")
    show(output, arguments.format)
    return True


class Calls:
    """The jobs that we wait for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._expected: dict[str, asyncio.Event] = {}

    async def about(self, job_id: str, patience_s: float) -> None:
        """Wait until the platform calls about a job, or until patience ends."""
        called = self._expected[job_id] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await called.wait()

    def arrived(self, job_id: object) -> bool:
        """Tell whether a call is about one of our jobs; any thread may ask."""
        event = self._expected.get(str(job_id))
        if event:
            self._loop.call_soon_threadsafe(event.set)
        return event is not None


@contextlib.contextmanager
def listening(host: str, port: int, arrived: Callable[[object], bool]) -> Iterator[None]:
    """Take calls on a thread for as long as the context."""

    class Receiver(BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self) -> None:
            """Answer 200 at once, or the platform calls again, up to twice.

            Answer 404 to strangers, and to a call that is faster than the answer of `/run`.
            """
            self.send_response(200 if arrived(self._job_id()) else 404)
            self.end_headers()

        def _job_id(self) -> object:
            try:
                length = int(self.headers.get("Content-Length") or 0)
                return (
                    json.loads(self.rfile.read(length)).get("id")
                    if 0 < length <= MOST_BYTES
                    else None
                )
            except (ValueError, AttributeError):
                return None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((host, port), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()
