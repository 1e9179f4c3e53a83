"""Diarization of a long recording as a whole and in parts: error rate, speakers, time.

    python -m bench.diarization_fanout [--hours 3] [--workers 4] [--told] [--one-at-a-time]

A recording of hours, in which the same six people come and go (`bench.meeting`), goes through the
embedded model as a whole, and in as many parts as there are workers. Both answers are scored
against the truth.

(nothing)        real workers behind the emulator, each with one thread of torch's; the wall time
                 says something only on a machine with a core for each worker
--one-at-a-time  in this process, one part after the other: the processor time of the whole, and of
                 the longest part with the linking, which is the wall time on as many machines
--told           the number of people is told
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import anyio
import httpx2

from bench.meeting import Meeting, make_meeting
from bench.orchestrator import served
from bench.roles import DIARIZATION, KEY, Processes, wait_until_ready
from core.domain.request import (
    DiarizationRequest,
    LocalFile,
    OrchestratedRequest,
    Part,
    Recording,
    Source,
    SpeakerCount,
)
from core.domain.timeline import Diarization
from core.domain.watch import Watch
from core.flows.load import load_diarization
from core.flows.speaker_jobs import SpeakerJobs
from core.remote import Address, Endpoint, Pace, connect, request_body
from core.settings import Settings
from core.speakers.joining import join_parts
from core.speakers.shares import LEAST_S
from core.wire.answers import read_part
from core.wire.form import DiarizationFormat, Form
from core.wire.forwarding import job_input
from core.wire.render import render
from emulator.server import Server
from training.diarization_scores import annotation, score

JOB_S = 7_200.0
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way's turns, and the seconds that somebody waits for them."""

    found: Diarization
    seconds: float
    each_s: tuple[float, ...] = ()
    """Of the parts."""


def one_at_a_time(
    recording: Path, count: SpeakerCount, parts: int, model: str, least_s: float
) -> tuple[Outcome, Outcome]:
    """Return the whole and the parts, both with their processor seconds in this process."""
    flow = load_diarization(Settings(diarization_model_id=model))
    flow = replace(flow, least_part_s=least_s)
    asked = partial(DiarizationRequest, Recording(LocalFile(recording)), count)

    def diarized(part: Part | None) -> tuple[Diarization, float]:
        return _timed(lambda: flow.run(asked(part=part), Watch()))

    whole, whole_s = diarized(None)
    heard = [diarized(Part(index, parts)) for index in range(parts)]
    each_s = tuple(seconds for _, seconds in heard)
    joined, joining_s = _timed(lambda: _joined([found for found, _ in heard], count))
    return Outcome(whole, whole_s), Outcome(joined, max(each_s) + joining_s, (*each_s, joining_s))


def _timed(make: Callable[[], _Made]) -> tuple[_Made, float]:
    """Return what is made, and its processor seconds, those of the decoder's process included."""
    began_s = sum(os.times()[:4])
    return make(), sum(os.times()[:4]) - began_s


def _joined(parts: list[Diarization], count: SpeakerCount) -> Diarization:
    """Join parts as they come out of their answers."""
    form = Form(DiarizationFormat.JSON)
    answers = [json.loads(json.dumps(render(part, form))) for part in parts]
    return join_parts([read_part(answer) for answer in answers], count)


def side_by_side(recording: Path, count: SpeakerCount, workers: int) -> tuple[Outcome, Outcome]:
    """Return the whole and the parts, by workers of their own, with the wall time."""
    with Server() as server, TemporaryDirectory() as logs, served(recording) as url:
        processes = Processes(server, Path(logs))
        (endpoint,) = processes.open_models(diarization_workers=workers, roles=(DIARIZATION,))
        wait_until_ready(endpoint, workers)
        request = OrchestratedRequest(Recording(Source(url)), speakers=count)
        whole, parts = (
            anyio.run(_asked, f"{server.base_url}/{DIARIZATION}", request, parts)
            for parts in (1, workers)
        )
        return whole, parts


async def _asked(url: str, request: OrchestratedRequest, parts: int) -> Outcome:
    pace, tls = Pace(), httpx2.create_ssl_context(trust_env=False)
    jobs = SpeakerJobs(
        request, parts=parts, body=lambda one: request_body(job_input(one), timeout_s=JOB_S)
    )
    async with connect(KEY, pace=pace, tls=tls) as client:
        endpoint = Endpoint(Address(DIARIZATION, url), client, pace)
        run = partial(endpoint.run, deadline=anyio.current_time() + JOB_S)
        began_s = time.perf_counter()
        found = await jobs.run(run, [Watch().report] * parts, Watch().cancelled)
        return Outcome(found, time.perf_counter() - began_s)


def show(meeting: Meeting, whole: Outcome, parts: Outcome, unit: str) -> None:
    """Print both ways beside each other."""
    print(f"{'':<10}{'speakers':>9}{'DER':>9}{'missed':>9}{'false':>9}{'confused':>10}{unit:>16}")
    rates = []
    for name, outcome in (("whole", whole), ("parts", parts)):
        turns = outcome.found.turns
        one = score(annotation(meeting.turns), annotation(turns), meeting.duration_s)
        shares = "".join(f"{100 * share:>{width}.2f}" for share, width in _wide(one.shares()))
        rates.append(100 * one.error_rate)
        print(
            f"{name:<10}{outcome.found.num_speakers:>9}{rates[-1]:>9.2f}{shares}"
            f"{outcome.seconds:>16.1f}"
        )
    print(f"difference of the error rates: {rates[1] - rates[0]:+.2f} points   (target ≤ 0.50)")
    print(f"parts ÷ whole: {parts.seconds / whole.seconds:.3f}   (target ≤ 0.35)")
    if parts.each_s:
        *each, joining = parts.each_s
        print(f"each part: {', '.join(f'{one:.1f}' for one in each)}; the linking {joining:.3f}")


def _wide(shares: tuple[float, float, float]) -> zip[tuple[float, int]]:
    return zip(shares, (9, 9, 10), strict=True)


def main() -> None:
    """Do what the command says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--one-at-a-time", action="store_true")
    parser.add_argument("--model", default="embedded", help="for --one-at-a-time: a pipeline")
    parser.add_argument(
        "--least", type=float, default=LEAST_S, help="for --one-at-a-time: the least of a part, s"
    )
    parser.add_argument("--told", action="store_true")
    asked = parser.parse_args()
    meeting = make_meeting(asked.hours, asked.people, asked.seed)
    count = SpeakerCount(exact=meeting.people) if asked.told else SpeakerCount()
    print(f"{meeting.duration_s / 3600:.2f} h, {meeting.people} people, {asked.workers} parts")
    with TemporaryDirectory() as folder:
        recording = meeting.write(Path(folder) / "meeting.wav")
        if asked.one_at_a_time:
            outcomes = one_at_a_time(recording, count, asked.workers, asked.model, asked.least)
            show(meeting, *outcomes, "processor, s")
            print("wall time on as many machines: not measured")
        else:
            show(meeting, *side_by_side(recording, count, asked.workers), "wall, s")


if __name__ == "__main__":
    main()
