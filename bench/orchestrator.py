"""The orchestrator beside each model alone and beside asking in turn, through the emulator.

    python -m bench.orchestrator [--models]

(nothing)            simulated workers with exact times, equal and unequal; this needs no processor,
                     so the machine may be busy
--models             the real workers on the embedded models, and the single worker beside them
--fanout N           a recording in 1 and in N parts, with simulated workers
--models --fanout N  the same with real workers: how the words of 1 … N parts differ from those of
                     the whole, and at which places

The orchestrator's flow runs in this process, and also as the real worker behind an endpoint of its
own, as users meet it. All ways use the same client, at the orchestrator's pace, and take turns;
medians are compared. Exit with code 1 if an orchestrated way misses the target.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio_ffmpeg

from bench.roles import TRANSCRIPTION, Processes, Service, Simulated, wait_until_ready
from bench.ways import Caller, Observer, Way
from core.domain.timeline import Word
from emulator.server import Server

TARGET = 1.10
SAMPLE = Path("examples/dialogue.mp3")
SERVICES = ("2:2", "5:5", "10:10", "2:5", "5:2")
_ALONE = 2
"""The first ways are one model alone."""
_ANYWHERE = {"audio_url": "https://example.com/dialogue.mp3"}
"""Simulated workers do not fetch it."""

Item = tuple[Path, list[str]]
"""A recording, and the words that are said in it, if that is known."""


# The ways beside each other.


def race_simulated(services: Sequence[Service], repetitions: int) -> float:
    """Print a table for each pair of times; return the worst ratio of an orchestrated way."""
    with Server() as server, TemporaryDirectory() as logs:
        simulated = Simulated(SAMPLE.with_suffix(".json"))
        orchestrator = Processes(server, Path(logs)).open_orchestrator()
        observer = Observer([*simulated.open(server), orchestrator])
        wait_until_ready(orchestrator)
        ways = Caller(server.base_url, _ANYWHERE).ways(single=False)
        observer.run_in_turns(ways, 1)  # does not count
        worst = 0.0
        for service in services:
            simulated.service = service
            each = f"diarization {service.diarization_s:g} s, "
            title = f"simulated: {each}transcription {service.transcription_s:g} s"
            worst = max(worst, show_ways(title, observer.run_in_turns(ways, repetitions)))
        return worst


def race_models(items: Sequence[Item], repetitions: int, threads: int) -> float:
    """Print a table for each recording; return the worst ratio of an orchestrated way."""
    with Server() as server, TemporaryDirectory() as logs:
        processes = Processes(server, Path(logs), threads)
        endpoints = [*processes.open_models(), processes.open_orchestrator()]
        observer = Observer(endpoints)
        for endpoint in endpoints:
            wait_until_ready(endpoint)
        worst = 0.0
        for recording, _ in items:
            with served(recording) as url:
                ways = Caller(server.base_url, {"audio_url": url}).ways(single=True)
                observer.run_in_turns(ways, 1)  # does not count
                workers = f"one worker each, {threads} thread(s) of torch's in each"
                title = f"embedded models, {workers}: {recording.name}"
                worst = max(worst, show_ways(title, observer.run_in_turns(ways, repetitions)))
        return worst


def show_ways(title: str, ways: Sequence[Way]) -> float:
    """Print a line for each way; return the worst ratio of an orchestrated one."""
    slower_s = max(way.wall_s for way in ways[:_ALONE])
    print(f"\n{title}; {len(ways[0].runs)} runs each, in turns")
    print(
        f"  {'way':<26}{'wall, median':>14}{'from':>8}{'to':>8}{'÷ max':>8}{'first poll':>12}  "
        "requests"
    )
    for way in ways:
        walls = [run.wall_s for run in way.runs]
        requests = {name: count for name, count in way.requests.items() if count}
        parts = ", ".join(f"{name} {count:g}" for name, count in requests.items())
        print(
            f"  {way.name:<26}{way.wall_s:>12.2f} "
            f"s{min(walls):>8.2f}{max(walls):>8.2f}{way.wall_s / slower_s:>8.3f}"
            f"{way.first_poll_s:>10.2f} s  {sum(requests.values()):g} ({parts})",
            flush=True,
        )
    diarized = [run.answer for way in ways[_ALONE:] for run in way.runs]
    print(
        "  texts of all ways equal: "
        f"{'yes' if len({answer['text'] for answer in diarized}) == 1 else 'NO'}"
    )
    worst = max(way.wall_s / slower_s for way in ways if way.name.startswith("orchestrated"))
    print(
        f"  orchestrated ÷ max(alone): {worst:.3f} at the worst   (target ≤ {TARGET:.2f})",
        flush=True,
    )
    return worst


# Fan-out.


def fan_out_simulated(seconds: Sequence[float], count: int, repetitions: int) -> None:
    """Ask for words alone in 1 and in `count` parts, with as many workers.

    A part takes its portion of the time.
    """
    with Server() as server:
        simulated = Simulated(SAMPLE.with_suffix(".json"))
        observer = Observer(simulated.open(server, count))
        caller = Caller(server.base_url, _ANYWHERE)
        ways = {
            f"n = {n}": caller.orchestrated(n, diarize=False) for n in dict.fromkeys((1, count))
        }
        observer.run_in_turns(ways, 1)  # does not count
        print(
            f"\nfan-out, simulated: words alone, {count} workers, {repetitions} runs each, in "
            "turns; a part needs its share of the time"
        )
        print(
            "  "
            f"{'whole takes':>12}{'parts':>9}{'wall, median':>14}"
            f"{'÷ (whole ÷ n)':>15}{'requests':>10} "
            " text"
        )
        for whole_s in seconds:
            simulated.service = Service(0.0, whole_s)
            found = observer.run_in_turns(ways, repetitions)
            for n, way in zip(dict.fromkeys((1, count)), found, strict=True):
                is_equal = {run.answer["text"] for run in way.runs} == {
                    found[0].runs[0].answer["text"]
                }
                print(
                    f"  {whole_s:>10g} s{n:>9}{way.wall_s:>12.2f} "
                    f"s{way.wall_s / (whole_s / n):>15.3f}{sum(way.requests.values()):>10g}"
                    f"  {'equal' if is_equal else 'DIFFERS'}",
                    flush=True,
                )


def fan_out_models(items: Sequence[Item], count: int, threads: int) -> None:
    """Ask for words alone in 1 … `count` parts; print how they differ, and whether at seams."""
    from bench import seams

    workers = min(count, os.cpu_count() or 1)
    with Server() as server, TemporaryDirectory() as logs:
        processes = Processes(server, Path(logs), threads)
        (endpoint,) = processes.open_models(workers, roles=(TRANSCRIPTION,))
        observer = Observer([endpoint])
        wait_until_ready(endpoint, workers)
        print(
            f"\nfan-out, embedded model: words alone, {workers} worker(s) of {threads} "
            "thread(s); one run each, and one not counted"
        )
        print(
            f"  words as written, punctuation included; at a seam: within {seams.NEAR_S:g} s of one"
        )
        head = f"{'recording':<24}{'n':>3}{'wall':>9}{'requests':>10}"
        head += f"{'seams':>7}{'forced':>8}{'words':>7}"
        print(f"  {head}{'changed':>9}{'lost':>6}{'added':>7}{'at seams':>10}{'WER':>8}")
        for recording, spoken in items:
            with served(recording) as url:
                caller = Caller(server.base_url, {"audio_url": url})
                caller.orchestrated(diarize=False)()  # does not count
                whole: list[Word] = []
                for n in range(1, count + 1):
                    run = observer.run(
                        caller.orchestrated(n, diarize=False, response_format="verbose_json")
                    )
                    words = [
                        Word(one["start"], one["end"], one["word"]) for one in run.answer["words"]
                    ]
                    whole = whole or words
                    meet = seams.find_seams(recording, n)
                    found = seams.compare(whole, words, meet)
                    wer = f"{100 * seams.word_errors(spoken, words):.1f} %" if spoken else "–"
                    print(
                        f"  {recording.stem:<24}{n:>3}{run.wall_s:>7.2f} "
                        f"s{sum(run.requests.values()):>10}{len(meet.at):>7}{meet.forced:>8}"
                        f"{len(words):>7}{found.changed:>9}{found.lost:>6}{found.added:>7}{found.at_seams:>10}{wer:>8}",
                        flush=True,
                    )


# Recordings.


@contextlib.contextmanager
def served(recording: Path) -> Iterator[str]:
    """Serve a file on loopback and yield its URL.

    The orchestrator divides only recordings that a URL names.
    """
    host = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(recording.parent.resolve()))
    )
    threading.Thread(target=host.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{host.server_port}/{recording.name}"
    finally:
        host.shutdown()
        host.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def repeated(recording: Path, times: int) -> Iterator[Path]:
    """Make a recording that repeats another without gaps."""
    with TemporaryDirectory() as folder:
        longer = Path(folder) / f"{recording.stem}_x{times}{recording.suffix}"
        loop = ["-stream_loop", str(times - 1), "-i", str(recording), "-c", "copy", str(longer)]
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *loop], check=True
        )
        yield longer


def spoken_in(recording: Path) -> list[str]:
    """Return the words of the reference beside a recording; none if there is no reference."""
    reference = recording.with_suffix(".json")
    if not reference.exists():
        return []
    words = sorted(
        json.loads(reference.read_text())["words"], key=lambda word: (word["start"], word["end"])
    )
    return [word["text"] for word in words]


@contextlib.contextmanager
def chosen(asked: argparse.Namespace) -> Iterator[list[Item]]:
    """Return the recordings to use."""
    recordings = [asked.recording]
    if asked.dialogues:
        from training.dialogues import FIRST_HELD_OUT_SEED, write_set

        recordings = write_set(Path("build/held-out"), asked.dialogues, FIRST_HELD_OUT_SEED)
    with contextlib.ExitStack() as kept:
        items = [(one, spoken_in(one)) for one in recordings]
        if asked.repeat > 1:
            items = [
                (kept.enter_context(repeated(one, asked.repeat)), said * asked.repeat)
                for one, said in items
            ]
        yield items


def _service(text: str) -> Service:
    diarization, _, transcription = text.partition(":")
    return Service(float(diarization), float(transcription or diarization))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", action="store_true", help="real workers on the embedded models")
    parser.add_argument(
        "--fanout", type=int, metavar="N", help="compare 1 and N parts instead of the ways"
    )
    parser.add_argument(
        "--services",
        type=_service,
        nargs="+",
        default=list(map(_service, SERVICES)),
        metavar="D:T",
        help="seconds",
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of torch in each worker with a model; 1: two models do not fight for 2 cores",
    )
    parser.add_argument("--recording", type=Path, default=SAMPLE, help="for --models")
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="K",
        help="for --models: the recording K times over",
    )
    parser.add_argument(
        "--dialogues",
        type=int,
        metavar="COUNT",
        help="for --models: so many held-out dialogues (see bench.accuracy)",
    )
    asked = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {_load()} at the start")
    worst = 0.0
    if asked.fanout and asked.models:
        with chosen(asked) as items:
            fan_out_models(items, asked.fanout, asked.threads)
    elif asked.fanout:
        fan_out_simulated(
            [service.transcription_s for service in asked.services], asked.fanout, asked.repetitions
        )
    elif asked.models:
        with chosen(asked) as items:
            worst = race_models(items, asked.repetitions, asked.threads)
    else:
        worst = race_simulated(asked.services, asked.repetitions)
    print(f"\nload {_load()} at the end")
    sys.exit(worst > TARGET)


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)"


if __name__ == "__main__":
    main()
