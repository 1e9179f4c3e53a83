"""The main job on this machine: RunPod emulated, all roles behind it, and a dialogue sent to the
orchestrator.

    python -m examples.demo [recording] [--svg picture.svg] [--config emulator/people.toml]

The workers are the real ones, on the models that the emulator's configuration names: the embedded
ones unless told otherwise. The answers stay in demo-output/. With --svg the run is drawn as well.
If a file of words and speakers is beside the recording, as examples/dialogue.json is, the answer is
compared with it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import IO

import httpx2
import jiwer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from examples.client import Endpoint, Job, JobError
from examples.recording import audio_field

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples/dialogue.mp3"
CONFIG = ROOT / "emulator/demo.toml"
OUTPUT = Path("demo-output")
FORMATS = ("verbose_json", "srt", "vtt")
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
KEY = "demo"
START_TIMEOUT_S = 300
PICTURE_ROWS = 14
"""How many lines of the transcript the picture has."""

console = Console()


def main() -> None:
    """Run the demo; exit code 1 with a sentence if something fails, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description="Transcribe a dialogue on the embedded models.")
    parser.add_argument("recording", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the run as an SVG as well")
    parser.add_argument("--config", type=Path, default=CONFIG, help="the emulator's, with models")
    options = parser.parse_args()
    try:
        lines, answer = run(options.recording, options.config.resolve())
    except JobError as error:
        logs = OUTPUT / "workers"
        sys.exit(f"{error}\nthe logs of the workers are in {logs}" if logs.exists() else str(error))
    except (OSError, TimeoutError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    if options.svg:
        options.svg.write_text(picture(lines, answer), encoding="utf-8")


def run(recording: Path, config: Path) -> tuple[list[str], Job]:
    """Do it all; return the lines around the transcript, and the transcript."""
    field = audio_field(str(recording))
    known = roles(config)
    lines = [f"[bold]{recording.name}[/]: starting {len(known)} workers on this CPU …"]
    console.print(lines[0])
    with running_emulator(config) as base_url:
        for line in ready_workers(base_url, known):
            lines.append(line)
            console.print(line)
        answer, seconds = asyncio.run(transcribe(base_url, field))
    end = closing(answer, seconds, truth(recording))
    console.print(table(answer, answer["segments"]))
    console.print(*end, sep="\n")
    return [*lines, *end], answer


def roles(config: Path) -> tuple[str, ...]:
    """Return the endpoints of an emulator's configuration."""
    return tuple(tomllib.loads(config.read_text(encoding="utf-8"))["endpoints"])


@contextlib.contextmanager
def running_emulator(config: Path) -> Iterator[str]:
    """Run the emulator with a configuration on a free port; yield the base URL of its endpoints
    and end it afterwards.
    """
    command = (sys.executable, "-u", "-m", "emulator", "--config", str(config))
    logs = OUTPUT.resolve() / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "emulator.log").open("w") as log:
        emulator = subprocess.Popen(
            [*command, "--port", "0", "--api-key", KEY, "--logs", str(logs)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,  # Ctrl-C is ours: a second signal would kill its workers at once
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


def ready_workers(base_url: str, known: Iterable[str]) -> Iterator[str]:
    """Yield a line for each role when it has a worker that takes jobs. Raises TimeoutError."""
    started = time.perf_counter()
    missing = list(known)
    with (
        httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}) as client,
        console.status("loading models"),
    ):
        while missing:
            for role in [role for role in missing if _is_ready(client, f"{base_url}/{role}")]:
                missing.remove(role)
                yield f"  {role} ready after {time.perf_counter() - started:.1f} s"
            if time.perf_counter() - started > START_TIMEOUT_S:
                raise TimeoutError(
                    f"no worker after {START_TIMEOUT_S} s for: {', '.join(missing)}; see "
                    f"{OUTPUT}/workers"
                )
            time.sleep(0.2)


def _is_ready(client: httpx2.Client, endpoint: str) -> bool:
    health = client.get(f"{endpoint}/health").raise_for_status().json()
    return bool(health["workers"]["ready"])


async def transcribe(base_url: str, field: Job) -> tuple[Job, float]:
    """Ask the orchestrator for each format and save the answers as they come.

    Return the verbose answer, and the seconds it took.
    """
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    answers: list[tuple[Job, float]] = []
    async with Endpoint("orchestrator", key=KEY, base_url=base_url) as endpoint:
        with Progress(*columns, console=console) as progress:
            for response_format in FORMATS:
                started = time.perf_counter()
                task = progress.add_task(response_format, total=100)
                answer = await endpoint.run(
                    {**field, "response_format": response_format},
                    partial(_advance, progress, task, response_format),
                )
                answers.append((answer, time.perf_counter() - started))
                progress.update(task, description=response_format, completed=100)
                save(answer, response_format)
    return answers[0]


def _advance(
    progress: Progress, task: TaskID, response_format: str, stage: str, percent: float
) -> None:
    progress.update(task, description=f"{response_format}: {stage}", completed=percent)


def save(answer: Job, response_format: str) -> None:
    """Leave the transcript behind in one format."""
    if response_format in answer:
        (OUTPUT / f"transcript.{response_format}").write_text(answer[response_format])
    else:
        text = json.dumps(answer, indent=2, ensure_ascii=False)
        (OUTPUT / "transcript.json").write_text(text)


def table(answer: Job, segments: Iterable[Job]) -> Table:
    """Draw segments of an answer, a colour for each speaker."""
    made = Table(
        "time",
        "speaker",
        "text",
        title=f"{answer['num_speakers']} speakers, {answer['duration']:.1f} s",
    )
    for segment in segments:
        speaker = segment["speaker"] or "?"
        colour = COLOURS[(int(speaker) - 1) % len(COLOURS)] if speaker.isdecimal() else "white"
        made.add_row(
            f"{segment['start']:6.2f}–{segment['end']:6.2f}",
            Text(speaker, colour),
            Text(segment["text"].strip(), colour),
        )
    return made


def truth(recording: Path) -> Job | None:
    """Return who says what in a recording, if a file beside it tells."""
    try:
        told = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_truth = isinstance(told, dict) and {"words", "num_speakers"} <= set(told)
    return told if is_truth else None


def closing(answer: Job, seconds: float, known: Job | None) -> list[str]:
    """Say how long it took, how good it is if the truth is known, and where the answers are."""
    took = f"{answer['duration']:.0f} s of audio in {seconds:.1f} s on {os.cpu_count()} processors"
    warned = [f"[yellow]warning:[/] {warning}" for warning in answer.get("warnings", [])]
    left = ", ".join(str(path) for path in sorted(OUTPUT.glob("transcript.*")))
    good = [score(known, answer)] if known else []
    return [*warned, took, *good, f"left behind: {left}"]


def score(truth: Job, answer: Job) -> str:
    """Say how many words, and how many speakers of words, are right."""
    spoken = [
        (plain, word["speaker"]) for word in truth["words"] if (plain := _plain(word["text"]))
    ]
    found = [
        (plain, word["speaker"]) for word in answer["words"] if (plain := _plain(word["word"]))
    ]
    aligned = jiwer.process_words(
        " ".join(word for word, _ in spoken), " ".join(word for word, _ in found)
    )
    pairs = Counter(
        (spoken[chunk.ref_start_idx + i][1], found[chunk.hyp_start_idx + i][1])
        for chunk in aligned.alignments[0]
        if chunk.type in ("equal", "substitute")
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    )
    people, labels = ({speaker for _, speaker in words} for words in (spoken, found))
    missing = [None] * max(0, len(people) - len(labels))
    rights = (
        sum(pairs[pair] for pair in zip(people, some, strict=True))
        for some in permutations([*labels, *missing], len(people))
    )
    return (
        f"of {len(spoken)} words {aligned.hits} are right, and {max(rights)} have the right speaker"
    )


def _plain(word: str) -> str:
    return re.sub(r"[^\w]", "", word.lower())


def picture(lines: list[str], answer: Job) -> str:
    """Draw the run and the beginning of the transcript as a terminal, without fetching a font."""
    screen = Console(record=True, width=84, file=io.StringIO(), force_terminal=True)
    segments = answer["segments"]
    opening = 1 + sum(line.startswith("  ") for line in lines)
    screen.print("[bold green]$[/] make demo", *lines[:opening], sep="\n", highlight=False)
    screen.print(table(answer, segments[:PICTURE_ROWS]))
    more = len(segments) - PICTURE_ROWS
    screen.print(*([f"… and {more} more lines"] if more > 0 else []), *lines[opening:], sep="\n")
    svg = screen.export_svg(title="make demo", unique_id="demo")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main()
