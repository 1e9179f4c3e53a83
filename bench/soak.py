"""Run hundreds of orchestrated jobs through real workers: is any lost, does anything leak?

    python -m bench.soak [--jobs 500] [--concurrency 8]

Three endpoints run behind the emulator, on the embedded models: an orchestrator, and the
transcription and diarization workers that it calls. A fifth of the jobs is wrong in one of ten
ways, and each of these must end with its own code. The memory, descriptors, threads and files of
each worker are read while no job runs: after each third of a warm-up, and after each fifth of the
jobs. Exit with code 1 if a job is lost or ends as it must not, if a worker dies, or if one grows
beyond a limit.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from bench.roles import KEY
from bench.system import process, running
from core.wire.form import TranscriptFormat
from emulator.endpoint import Endpoint
from emulator.server import Server
from examples import client

ROLES = ("orchestrator", "transcription", "diarization")
DIALOGUE = Path("examples/dialogue.mp3")
STARTS_S = (0.0, 6.0, 12.0, 18.0)
LENGTH_S = 8.0
WRONG_SHARE = 0.2
LEGS = 5
WARM_UPS = 3
SETTLE_S = 3.0
MOST_MB = 20.0
MOST_MORE = 2
"""Descriptors and threads that may be there for the moment."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A job, and how it must end."""

    job_input: dict[str, object]
    code: str | None
    """None: with a transcript."""


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended; `code` is None if it was answered."""

    trial: Trial
    code: str | None
    text: str = ""

    @property
    def is_right(self) -> bool:
        """Tell whether the job ended as it must."""
        return self.code == self.trial.code and bool(self.text) == (self.code is None)


@dataclass(frozen=True, slots=True)
class Reading:
    """The resources of a worker while no job runs."""

    megabytes: float
    """Resident, of the process that runs the jobs; the SDK's other one, which pings, is a fork and
    shares its pages.
    """
    descriptors: float
    threads: float
    processes: float
    files: float
    """In its TEMP_DIR and its TMPDIR."""


# the jobs


def trials(count: int, seed: int) -> list[Trial]:
    """Make up jobs; the wrong ones among them are wrong in each of the ways in turn."""
    audio = DIALOGUE.read_bytes()
    encoded = base64.b64encode(audio).decode()
    wrong = itertools.cycle(_wrong(audio))
    good = itertools.cycle(itertools.product(STARTS_S, TranscriptFormat))
    count_wrong = round(count * WRONG_SHARE)
    made = [next(wrong) for _ in range(count_wrong)]
    for start, response_format in itertools.islice(good, count - count_wrong):
        asked = {
            "audio_base64": encoded,
            "start": start,
            "end": start + LENGTH_S,
            "response_format": str(response_format),
        }
        made.append(Trial(asked, None))
    random.Random(seed).shuffle(made)
    return made


def _wrong(audio: bytes) -> list[Trial]:
    def inline(data: bytes, **more: object) -> dict[str, object]:
        return {"audio_base64": base64.b64encode(data).decode(), **more}

    return [
        Trial(inline(audio, lang="en"), "invalid_request"),
        Trial({"audio_base64": "%%% no base64 %%%"}, "invalid_base64"),
        Trial({"audio_url": "file:///etc/passwd"}, "invalid_url"),
        Trial({"audio": "data:audio/wav;base64,"}, "empty_audio"),
        Trial(inline(b"Dear all, here is the recording.\n" * 9), "unsupported_audio"),
        Trial(inline(audio[:150]), "damaged_audio"),
        Trial(inline(audio, language="de"), "unsupported_language"),
        Trial(inline(audio, start=1000), "range_outside_audio"),
        Trial({"audio_url": "http://169.254.169.254/latest/"}, "blocked_address"),
        Trial({"audio": "s3://bucket/key.mp3"}, "storage_not_configured"),
    ]


async def run(server: Server, work: Iterable[Trial], concurrency: int) -> list[End]:
    """Run jobs, `concurrency` at a time, as a client does."""
    waiting, ends = iter(work), []

    async def take(endpoint: client.Endpoint) -> None:
        ends.extend([await _end(endpoint, trial) for trial in waiting])

    async with (
        client.Endpoint("orchestrator", key=KEY, base_url=server.base_url) as endpoint,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(concurrency):
            group.create_task(take(endpoint))
    return ends


async def _end(endpoint: client.Endpoint, trial: Trial) -> End:
    try:
        output = await endpoint.run(trial.job_input)
    except client.JobError as error:
        return End(trial, error.code)
    return End(trial, None, str(output["text"]))


# the workers


def read(endpoint: Endpoint, folder: Path) -> Reading:
    """Read the resources of an endpoint's worker."""
    worker = psutil.Process(process(endpoint).pid)
    return Reading(
        megabytes=worker.memory_info().rss / 1e6,
        descriptors=worker.num_fds(),
        threads=worker.num_threads(),
        processes=1 + len(worker.children(recursive=True)),
        files=sum(1 for path in folder.rglob("*") if path.is_file()),
    )


def growth(readings: Sequence[Reading], what: str) -> float:
    """The last reading less the highest of the warm-up."""
    figures = [float(getattr(reading, what)) for reading in readings]
    return figures[-1] - max(figures[:WARM_UPS])


def broken_limits(name: str, readings: Sequence[Reading]) -> list[str]:
    """Return what grew beyond the highest reading of the warm-up.

    The memory of a worker at rest goes up and down with what its allocator keeps.
    """
    limits = {
        "megabytes": MOST_MB,
        "descriptors": MOST_MORE,
        "threads": MOST_MORE,
        "processes": 0,
        "files": 0,
    }
    grown = {what: growth(readings, what) for what in limits}
    return [
        f"{name}: {grown[what]:+.1f} {what}, at most {limit:+}"
        for what, limit in limits.items()
        if grown[what] > limit
    ]


def broken_promises(server: Server, ends: Sequence[End], count: int, folder: Path) -> list[str]:
    """Return what was lost, what ended as it must not, and what grew."""
    wrong = Counter(
        f"must end with {end.trial.code or 'a transcript'} and ended with {end.code or 'one'}"
        for end in ends
        if not end.is_right
    )
    said = [f"{times} jobs {what}" for what, times in wrong.items()]
    if len(ends) != count:
        said.append(f"{count - len(ends)} of {count} jobs were lost")
    for name, endpoint in server.endpoints.items():
        if left := endpoint.queue.unfinished():
            said.append(f"{name}: {len(left)} jobs stay in the queue")
        if len(endpoint.workers.ever) != 1:
            said.append(f"{name}: its worker was replaced {len(endpoint.workers.ever) - 1} times")
        if left_behind := list((folder / name / "jobs").glob("*")):
            said.append(f"{name}: {len(left_behind)} things are left in TEMP_DIR")
    return said


# the table


def table(readings: dict[str, list[Reading]]) -> str:
    """Return a line for each reading of each worker, and one for its growth."""
    columns = [field.name for field in fields(Reading)]
    lines = [f"{'worker':<16}{'after':<10}" + "".join(f"{column:>13}" for column in columns)]
    for name, told in readings.items():
        grown = Reading(*(growth(told, column) for column in columns))
        labels = [
            *["warm-up"] * WARM_UPS,
            *(f"{leg}/{LEGS}" for leg in range(1, LEGS + 1)),
            "growth",
        ]
        for label, reading in zip(labels, [*told, grown], strict=True):
            values = "".join(
                f"{getattr(reading, column):13.1f}"
                if column == "megabytes"
                else f"{getattr(reading, column):13.0f}"
                for column in columns
            )
            lines.append(f"{name:<16}{label:<10}{values}")
    return "\n".join(lines)


def summary(server: Server, ends: Sequence[End], seconds: float) -> str:
    """Return how the jobs ended, and how long they took."""
    codes = Counter(end.code or "transcript" for end in ends)
    texts: dict[object, set[str]] = {}
    for end in ends:
        if end.code is None:
            texts.setdefault(end.trial.job_input["start"], set()).add(end.text)
    requests = sum(
        sum(server.endpoints[name].requests[route] for route in ("run", "status", "cancel"))
        for name in ROLES[1:]
    )
    return "\n".join(
        [
            f"{len(ends)} jobs in {seconds:.0f} s, {len(ends) / seconds:.2f}/s: "
            + ", ".join(f"{times} {code}" for code, times in codes.most_common()),
            f"{sum(map(len, texts.values()))} different texts of {len(texts)} stretches; "
            f"{requests / max(1, len(server.endpoints['orchestrator'].queue.ever)):.1f} requests "
            "per job to the two endpoints",
        ]
    )


async def soak(server: Server, folder: Path, options: argparse.Namespace) -> list[str]:
    """Run all jobs, print the readings, and return what must not be."""
    readings: dict[str, list[Reading]] = {name: [] for name in ROLES}
    ends: list[End] = []
    seconds = 0.0

    async def look() -> None:
        await asyncio.sleep(SETTLE_S)
        for name, told in readings.items():
            told.append(read(server.endpoints[name], folder / name))
        print(f"after {len(told)} of {WARM_UPS + LEGS} portions", flush=True)

    warming = trials(options.warm_up, options.seed + 1)
    for portion in range(WARM_UPS):
        await run(server, warming[portion::WARM_UPS], options.concurrency)
        await look()
    work = trials(options.jobs, options.seed)
    for leg in range(LEGS):
        started = time.monotonic()
        ends += await run(server, work[leg::LEGS], options.concurrency)
        seconds += time.monotonic() - started
        await look()
    print(table(readings))
    print(summary(server, ends, seconds))
    return [
        *broken_promises(server, ends, options.jobs, folder),
        *(line for name, told in readings.items() for line in broken_limits(name, told)),
    ]


def main() -> None:
    """Start the workers, run the jobs, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--warm-up", type=int, default=50, help="jobs before all others")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        with running(
            ROLES, folder, {role: _environment(role, folder, options.concurrency) for role in ROLES}
        ) as server:
            broken = asyncio.run(soak(server, folder, options))
    print("\n".join(broken) or "nothing lost, nothing left behind")
    sys.exit(1 if broken else 0)


def _environment(role: str, folder: Path, concurrency: int) -> dict[str, str]:
    """Return folders of its own for each role.

    The words of several jobs share batches; speakers are found one job after the other.
    """
    scratch = folder / role / "tmp"
    scratch.mkdir(parents=True)
    at_once = {"orchestrator": concurrency, "transcription": 4, "diarization": 1}[role]
    return {
        "TEMP_DIR": str(folder / role / "jobs"),
        "TMPDIR": str(scratch),
        "WORKER_CONCURRENCY": str(at_once),
    }


if __name__ == "__main__":
    main()
