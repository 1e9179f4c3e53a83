"""What a refused request costs: how long the event loop stands still, and memory.

    python -m bench.requests
    python -m bench.requests --mb 10

Each input is as large as the platform carries by /runsync and goes through the handler that the SDK
calls, which refuses it as the transcription worker does: its fields first, then its recording as
far as that can be told without fetching or decoding. While it does, a task on the event loop counts
how long it had to wait for its turn. The memory is the process's, beyond the parsed request, which
is the SDK's own reading of the JSON and is printed beside it.
The command fails if the loop waits for more than 2 s, or the memory is more than 300 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.domain.request import TranscriptionRequest
from core.domain.timeline import Transcript
from core.domain.watch import Watch
from core.media import fetch
from core.settings import Settings
from core.wire.job_input import TranscriptionInput, parse
from handlers.runpod.worker import make_handler

MOST_S = 2.0
MOST_MB = 300.0
AUDIO = '"audio": "AAAA"'


class Checked:
    """A flow that looks at recordings as the orchestrator does, and has no models."""

    def run(self, request: TranscriptionRequest, watch: Watch) -> Transcript:
        """Check the source."""
        del watch
        fetch.check(request.recording.source, Settings())
        return Transcript(0.0, (), ())

    def rehearse(self, recording: Path) -> None:
        """Nothing to rehearse."""


def inputs(size: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield names, and functions that make JSON texts of about `size` bytes."""

    def turns(element: str) -> str:
        count = size // (len(element) + 1)
        return f'{{{AUDIO}, "diarization_segments": [{",".join([element] * count)}]}}'

    def fields(count: int) -> str:
        return ",".join(f'"f{index:07d}":1' for index in range(count))

    def speakers() -> str:
        found = ",".join(one % index for index in range(size // (len(one) + 6)))
        return f'{{{AUDIO}, "diarization_segments": [{found}]}}'

    one = '{"start":0,"end":9,"speaker":"%07d"}'
    many = size // 12
    yield "empty turns", lambda: turns("{}")
    yield "numbers for turns", lambda: turns("0")
    yield "lists for turns", lambda: turns("[[[]]]")
    yield "right turns, too many", lambda: turns(one % 0)
    yield "one speaker a turn", speakers
    yield "unknown fields", lambda: f"{{{AUDIO},{fields(many)}}}"
    yield "unknown fields in a part", lambda: f'{{{AUDIO},"part":{{{fields(many)}}}}}'
    yield (
        "unknown fields in a turn",
        lambda: f'{{{AUDIO},"diarization_segments":[{{{fields(many)}}}]}}',
    )
    yield "nothing but a language", lambda: f'{{{AUDIO},"language":"{"x" * size}\\ud800"}}'
    yield "a list for a text", lambda: f'{{{AUDIO},"language":[{",".join("0" * (size // 2))}]}}'
    yield "a field with a long name", lambda: f'{{{AUDIO},"{"x" * size}":1}}'
    yield from _recordings(size)


def _recordings(size: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield those whose fields are right and whose recordings are not."""

    def audio(text: str) -> str:
        return json.dumps({"audio": text})

    yield "base64, a wrong last letter", lambda: audio("A" * size + "!")
    yield "base64 of single letters", lambda: audio("A " * (size // 2))
    yield "base64 of short lines", lambda: audio("A\n" * (size // 3) + "!")
    yield "base64 in many quotes", lambda: audio("'" * size)
    yield (
        "a data: URI of escapes",
        lambda: audio("data:audio/wav;base64," + "%41" * (size // 3) + "!"),
    )
    yield "a data: URI of half escapes", lambda: audio("data:a;base64," + "%4" * (size // 2))
    yield "a URL of letters", lambda: audio("http://" + "a" * size + ":x/")
    yield "a URL of colons", lambda: audio("https://[" + ":" * size)
    yield "a URL of blanks", lambda: audio("https://a b" + " " * size + "/")
    yield "an S3 key of slashes", lambda: audio("s3://own/" + "../" * (size // 3))
    yield "a scheme without an end", lambda: audio("a" * size + ":")
    yield "blanks", lambda: json.dumps({"audio": " " * size})


@dataclass(frozen=True, slots=True)
class Cost:
    """What one refusal took."""

    mb: float
    """Of the JSON text."""
    own_mb: float
    """Of the parsed request."""
    stood_s: float
    """The longest time that the event loop stood still."""
    took_s: float
    peak_mb: float
    """Beyond the parsed request."""
    reason: str


async def _refuse(job_input: object) -> tuple[float, float, str]:
    """Return how long the loop stood still, how long it all took, and why it was refused."""
    handler = make_handler(Checked(), partial(parse, TranscriptionInput), Settings())
    stood_s, beats = 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal stood_s
        while not beats.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stood_s = max(stood_s, time.perf_counter() - before - 0.001)

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    started = time.perf_counter()
    answer = await handler({"id": "sync-1", "input": job_input})
    took_s = time.perf_counter() - started
    await asyncio.sleep(0.01)
    beats.set()
    await heart
    return stood_s, took_s, str(answer.get("error", "taken"))


def cost(make: Callable[[], str]) -> Cost:
    """Return what refusing an input takes, in this process."""
    text = make()
    before_kb = _now_kb()
    job_input: Any = json.loads(text)
    gc.collect()
    own_kb = _now_kb()
    size = len(text)
    del text
    _forget_peak()
    stood_s, took_s, reason = asyncio.run(_refuse(job_input))
    peak_kb = max(0, _peak_kb() - own_kb)
    return Cost(size / 1e6, (own_kb - before_kb) / 1e3, stood_s, took_s, peak_kb / 1e3, reason)


def _status_kb(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name)))


def _now_kb() -> int:
    return _status_kb("VmRSS:")


def _peak_kb() -> int:
    return _status_kb("VmHWM:")


def _forget_peak() -> None:
    """Make the kernel count the peak from here (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Measure every kind of input, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mb", type=float, default=20, help="size of each input; default: 20")
    size = round(1e6 * parser.parse_args().mb)
    is_cheap = True
    print(f"{'':30} {'JSON':>8} {'parsed':>8} {'stood':>8} {'took':>8} {'memory':>8}")
    for name, make in inputs(size):
        found = _apart(partial(cost, make))
        is_cheap &= found.stood_s <= MOST_S and found.peak_mb <= MOST_MB
        print(
            f"{name:30} {found.mb:5.1f} MB {found.own_mb:5.0f} MB {found.stood_s:6.3f} s "
            f"{found.took_s:6.3f} s {found.peak_mb:5.0f} MB  {found.reason[:60]}"
        )
    sys.exit(0 if is_cheap else 1)


def _apart(work: Callable[[], Cost]) -> Cost:
    """Run in a fork: memory that one input took would otherwise be there for the next."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(work()))
    child.start()
    found: Cost = receiver.recv()
    child.join()
    return found


if __name__ == "__main__":
    main()
