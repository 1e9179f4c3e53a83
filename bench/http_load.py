"""The server of OpenAI's API under load: is a request lost, does it grow, is it free soon?

    python -m bench.http_load [--seconds 60] [--clients 50] [--disconnects 20] [--minutes 5]
        [--mb 800]

A real server process runs on the embedded models, with two requests worked on at a time and eight
that wait.

1. A recording of some minutes is streamed: when does its first event come, in which share of the
   whole time?
2. Clients ask at once, again and again, and wait after 429 as they are told. Each answer must be a
   transcript or a 429. The server's memory is read every second.
3. Callers hang up at a random moment of a long recording: how long until its place and its thread
   are free, and how long until somebody else has an answer?

4. A file of hundreds of megabytes, which is no recording, is sent: how much memory does that take?

Exit with code 1 if a request is lost, if memory grows by more than `MOST_MB`, or if a thread is
free later than `MOST_S`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import imageio_ffmpeg
import psutil

DIALOGUE = Path("examples/dialogue.mp3")
RUNNING, WAITING = 2, 8
MOST_MB = 50.0
MOST_S = 2.0
LENGTH_S = 6.0
"""Seconds of the dialogue that a client asks for."""
STARTS_S = (0.0, 8.0, 16.0, 24.0, 32.0)


@dataclass(slots=True)
class Load:
    """What became of the clients' requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Requests with neither a transcript nor a 429."""
        return sum(self.outcomes.values()) - self.outcomes["transcript"] - self.outcomes["429"]

    @property
    def growth_mb(self) -> float:
        """The most memory of the last third, beyond the most of the third before."""
        third = max(1, len(self.megabytes) // 3)
        return max(self.megabytes[-third:]) - max(self.megabytes[-2 * third : -third])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server until the context ends; yield its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "MODEL_ID": "embedded",
        "DIARIZATION_MODEL_ID": "embedded",
        "TEMP_DIR": str(folder / "jobs"),
        "WORKER_CONCURRENCY": str(RUNNING),
        "MAX_QUEUE": str(WAITING),
    }
    command = [sys.executable, "-m", "handlers.openai", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the models are loaded."""
    while process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/ping").status_code == 200:
                return
        time.sleep(0.2)
    sys.exit("the server ended before it was ready")


def long_recording(folder: Path, seconds: float) -> bytes:
    """Return the dialogue, over and over, as mp3."""
    path = folder / "long.mp3"
    loop = ["-stream_loop", str(int(seconds // 57) + 1), "-i", str(DIALOGUE), "-t", str(seconds)]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-nostdin", "-y"]
    subprocess.run([*ffmpeg, *loop, "-c", "copy", str(path)], check=True)
    return path.read_bytes()


def form(recording: bytes, **fields: str) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """Return the fields and files of a request."""
    return fields, {"file": ("speech.mp3", recording)}


# --- streams ---


async def streamed(url: str, recording: bytes, **fields: str) -> tuple[float, float, int]:
    """Return the seconds to the first event and to the last, and how many there were."""
    data, files = form(recording, stream="true", **fields)
    began = time.perf_counter()
    async with (
        httpx2.AsyncClient(timeout=None) as client,
        client.stream("POST", f"{url}/v1/audio/transcriptions", data=data, files=files) as reply,
    ):
        times = [
            time.perf_counter() - began
            async for line in reply.aiter_lines()
            if line.startswith("data: ")
        ]
    return times[0], times[-1], len(times)


async def report_streams(url: str, minutes: float, folder: Path) -> None:
    """Print when the first events come."""
    recording = long_recording(folder, 60 * minutes)
    for name, fields in (
        ("words", {"response_format": "verbose_json"}),
        ("words and speakers", {"response_format": "diarized_json"}),
    ):
        first_s, last_s, count = await streamed(url, recording, **fields)
        print(
            f"stream of {minutes:g} min, {name}: first of {count} events after {first_s:.2f} s, "
            f"{first_s / last_s:.0%} of {last_s:.2f} s"
        )


# --- load ---


async def client_loop(url: str, load: Load, number: int, end: float) -> None:
    """Ask again and again until the time is over."""
    chance = random.Random(number)
    recording = DIALOGUE.read_bytes()
    async with httpx2.AsyncClient(timeout=120) as client:
        while time.monotonic() < end:
            start = chance.choice(STARTS_S)
            fields = {"start": f"{start:g}", "end": f"{start + LENGTH_S:g}"}
            began = time.perf_counter()
            outcome, wait_s = await asked(client, url, recording, fields)
            load.outcomes[outcome] += 1
            if outcome == "transcript":
                load.waits_s.append(time.perf_counter() - began)
            await asyncio.sleep(min(wait_s, max(0.0, end - time.monotonic())))


async def asked(
    client: httpx2.AsyncClient, url: str, recording: bytes, fields: dict[str, str]
) -> tuple[str, float]:
    """Return what became of a request, and the seconds to wait before the next."""
    data, files = form(recording, **fields)
    try:
        reply = await client.post(f"{url}/v1/audio/transcriptions", data=data, files=files)
    except httpx2.TransportError as error:
        return type(error).__name__, 1.0
    if reply.status_code == 429:
        return "429", float(reply.headers["retry-after"])
    if reply.status_code == 200 and reply.json()["text"]:
        return "transcript", 0.0
    return f"{reply.status_code}", 1.0


async def run_load(url: str, server: psutil.Process, clients: int, seconds: float) -> Load:
    """Have clients ask at once, and read the server's memory meanwhile."""
    load = Load()
    end = time.monotonic() + seconds
    asking = [asyncio.create_task(client_loop(url, load, number, end)) for number in range(clients)]
    while not all(one.done() for one in asking):
        load.megabytes.append(server.memory_info().rss / 1e6)
        await asyncio.sleep(1)
    await asyncio.gather(*asking)
    return load


def report_load(load: Load, clients: int, seconds: float) -> None:
    """Print what became of the requests, and the memory."""
    count = sum(load.outcomes.values())
    print(f"{clients} clients at once for {seconds:g} s: {count} requests, {load.lost} lost")
    print(f"  {dict(load.outcomes)}; median of an answer {statistics.median(load.waits_s):.2f} s")
    print(
        f"  memory {load.megabytes[0]:.0f} MB at first, at most {max(load.megabytes):.0f} MB; "
        f"the last third less the one before: {load.growth_mb:+.1f} MB"
    )


# --- hanging up ---


async def hung_up(url: str, recording: bytes, chance: random.Random) -> tuple[float, float]:
    """Hang up on a long recording; return the seconds until its thread is free, and until another
    request has its answer.
    """
    data, files = form(recording, response_format="diarized_json")
    async with httpx2.AsyncClient(timeout=120) as client:
        posting = asyncio.create_task(
            client.post(f"{url}/v1/audio/transcriptions", data=data, files=files)
        )
        while await working(client, url) == 0:
            await asyncio.sleep(0.02)
        await asyncio.sleep(chance.uniform(0.1, 2.0))
        posting.cancel()
        began = time.perf_counter()
        while await working(client, url) > 0:
            await asyncio.sleep(0.01)
        free_s = time.perf_counter() - began
        fields = {"start": "0", "end": "1"}
        outcome, _ = await asked(client, url, DIALOGUE.read_bytes(), fields)
        return free_s, time.perf_counter() - began if outcome != "429" else float("nan")


async def working(client: httpx2.AsyncClient, url: str) -> int:
    """Return how many requests are worked on."""
    return int((await client.get(f"{url}/health")).json()["working"])


async def report_hanging_up(url: str, count: int, folder: Path) -> float:
    """Print how soon threads are free; return the longest time."""
    recording = long_recording(folder, 1800)
    chance = random.Random(1)
    times = [await hung_up(url, recording, chance) for _ in range(count)]
    free, others = [one[0] for one in times], [one[1] for one in times]
    print(
        f"{count} hung up: the thread was free after {statistics.median(free):.2f} s, at most "
        f"{max(free):.2f} s; another request of 1 s was answered after "
        f"{statistics.median(others):.2f} s, at most {max(others):.2f} s"
    )
    return max(free)


# --- a large upload ---


async def report_upload(url: str, server: psutil.Process, megabytes: int, folder: Path) -> float:
    """Print how much memory an upload takes, and return it in MB."""
    path = folder / "large"
    with path.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    before: float = server.memory_info().rss / 1e6
    most = before
    with path.open("rb") as file:
        async with httpx2.AsyncClient(timeout=None) as client:
            sending = asyncio.create_task(
                client.post(f"{url}/v1/audio/transcriptions", files={"file": ("large", file)})
            )
            while not sending.done():
                most = max(most, server.memory_info().rss / 1e6)
                await asyncio.sleep(0.02)
    code = sending.result().json()["error"]["code"]
    print(f"an upload of {megabytes} MB: {code}, and {most - before:.1f} MB of memory")
    return most - before


async def measure(
    url: str, server: psutil.Process, options: argparse.Namespace, folder: Path
) -> int:
    """Measure all of it and return the exit code."""
    await report_streams(url, options.minutes, folder)
    load = await run_load(url, server, options.clients, options.seconds)
    report_load(load, options.clients, options.seconds)
    longest_s = await report_hanging_up(url, options.disconnects, folder)
    taken_mb = await report_upload(url, server, options.mb, folder)
    grown_mb = max(load.growth_mb, taken_mb)
    return int(load.lost > 0 or grown_mb > MOST_MB or longest_s > MOST_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server and measure it."""
    parser = argparse.ArgumentParser(prog="python -m bench.http_load")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--disconnects", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--mb", type=int, default=800)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (url, server):
        return asyncio.run(measure(url, server, options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
