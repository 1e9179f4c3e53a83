"""The main job on this machine: RunPod emulated, all four roles behind it, and a dialogue sent to
the orchestrator.

    python -m examples.demo [recording]

The workers are the real ones, on the embedded models: NeMo, pyannote and the RunPod SDK's own loop.
The answers stay in demo-output/.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import httpx2
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.client import Endpoint, Job, JobError
from examples.recording import audio_field

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples/dialogue.mp3"
OUTPUT = Path("demo-output")
ROLES = ("single", "diarization", "transcription", "orchestrator")
FORMATS = ("verbose_json", "srt", "vtt")
KEY = "demo"
START_TIMEOUT_S = 300

console = Console()


def main() -> None:
    """Run the demo; exit code 1 with a sentence where something fails."""
    parser = argparse.ArgumentParser(description="Transcribe a dialogue on the embedded models.")
    parser.add_argument("recording", nargs="?", default=str(SAMPLE))
    recording = parser.parse_args().recording
    console.print(
        f"[bold]{Path(recording).name}[/]: starting four workers (NeMo, pyannote, CPU, embedded "
        "models) …"
    )
    try:
        with running_emulator() as base_url:
            wait_for_workers(base_url)
            answers, stages = asyncio.run(transcribe(base_url, recording))
    except (JobError, OSError, TimeoutError) as error:
        sys.exit(str(error))
    save(answers)
    show(answers["verbose_json"], stages)


@contextlib.contextmanager
def running_emulator() -> Iterator[str]:
    """Run the emulator with its demo configuration on a free port; gives the base URL of its
    endpoints and ends it afterwards.
    """
    command = [
        sys.executable,
        "-u",
        "-m",
        "emulator",
        "--config",
        "emulator/demo.toml",
        "--port",
        "0",
        "--api-key",
        KEY,
    ]
    logs = OUTPUT.resolve() / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "emulator.log").open("w") as log:
        emulator = subprocess.Popen(
            [*command, "--logs", str(logs)], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert emulator.stdout  # noqa: S101  it is a pipe
        greeting = emulator.stdout.readline()
        if not greeting:
            sys.exit(f"the emulator did not start:\n{(logs / 'emulator.log').read_text()}")
        threading.Thread(target=_drain, args=(emulator.stdout,), daemon=True).start()
        yield greeting.split()[1]
    finally:
        emulator.terminate()
        emulator.wait(timeout=60)


def _drain(stream: IO[str]) -> None:
    """Read what nobody looks at, so that the pipe never fills up."""
    for _ in stream:
        pass


def wait_for_workers(base_url: str) -> None:
    """Wait until each role has a worker that takes jobs, and say when. Raises TimeoutError."""
    started = time.perf_counter()
    missing = list(ROLES)
    with (
        httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}) as client,
        console.status("loading models"),
    ):
        while missing:
            for role in list(missing):
                if (
                    client.get(f"{base_url}/{role}/health")
                    .raise_for_status()
                    .json()["workers"]["ready"]
                ):
                    console.print(f"  {role} ready after {time.perf_counter() - started:.1f} s")
                    missing.remove(role)
            if time.perf_counter() - started > START_TIMEOUT_S:
                raise TimeoutError(
                    f"no worker after {START_TIMEOUT_S} s for: {', '.join(missing)}; see "
                    f"{OUTPUT}/workers"
                )
            time.sleep(0.2)


class Stages:
    """How long a job was seen in each stage; it is looked at every half second, then more
    rarely.
    """

    def __init__(self, show: Callable[[str, float], None]) -> None:
        self._show = show
        self._seen = [("submitting", time.perf_counter())]

    def __call__(self, stage: str, percent: float) -> None:
        """Note the stage at which the job is."""
        if stage != self._seen[-1][0]:
            self._seen.append((stage, time.perf_counter()))
        self._show(stage, percent)

    def durations_s(self) -> list[tuple[str, float]]:
        """Each stage in its order, up to now."""
        ends = [at for _, at in self._seen[1:]] + [time.perf_counter()]
        return [(stage, end - start) for (stage, start), end in zip(self._seen, ends, strict=True)]


async def transcribe(
    base_url: str, recording: str
) -> tuple[dict[str, Job], list[tuple[str, float]]]:
    """Ask the orchestrator for all the formats that the demo leaves behind; gives the answers, and
    the stages of the first job.
    """
    answers: dict[str, Job] = {}
    durations: list[tuple[str, float]] = []
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    async with Endpoint("orchestrator", key=KEY, base_url=base_url) as endpoint:
        with Progress(*columns, console=console) as progress:
            for response_format in FORMATS:
                task = progress.add_task(response_format, total=100)

                stages = Stages(partial(_advance, progress, task, response_format))
                job = await endpoint.submit(
                    {**audio_field(recording), "response_format": response_format}
                )
                answers[response_format] = await endpoint.wait(job, stages)
                progress.update(task, description=response_format, completed=100)
                durations = durations or stages.durations_s()
    return answers, durations


def _advance(
    progress: Progress, task: TaskID, response_format: str, stage: str, percent: float
) -> None:
    progress.update(task, description=f"{response_format}: {stage}", completed=percent)


def save(answers: dict[str, Job]) -> None:
    """Leave the transcript behind in each format."""
    (OUTPUT / "transcript.json").write_text(
        json.dumps(answers["verbose_json"], indent=2, ensure_ascii=False)
    )
    for text_format in ("srt", "vtt"):
        (OUTPUT / f"transcript.{text_format}").write_text(answers[text_format][text_format])


def show(answer: Job, stages: list[tuple[str, float]]) -> None:
    """Print the transcript as a table, and where the time went."""
    table = Table(
        "time",
        "speaker",
        "text",
        title=f"{answer['num_speakers']} speakers, {answer['duration']:.1f} s",
    )
    for segment in answer["segments"]:
        table.add_row(
            f"{segment['start']:6.2f}–{segment['end']:6.2f}",
            segment["speaker"] or "?",
            segment["text"].strip(),
        )
    console.print(table)
    for warning in answer.get("warnings", []):
        console.print(f"[yellow]warning:[/] {warning}")
    total_s = sum(duration_s for _, duration_s in stages)
    console.print(
        f"{answer['duration']:.0f} s of audio in {total_s:.1f} s: "
        + ", ".join(f"{stage} {s:.1f} s" for stage, s in stages)
    )
    console.print(
        "left behind: " + ", ".join(str(path) for path in sorted(OUTPUT.glob("transcript.*")))
    )


if __name__ == "__main__":
    main()
