"""Diarization beside pyannote's own, in one process: time, turns, error rate, memory.

    python -m bench.diarization --only speed [--segmentation FOLDER] [--recording FILE]
    python -m bench.diarization --only turns [--count 40] [--model FOLDER] [--step 0.1] [--ways …]
    python -m bench.diarization --only turns --model FOLDER --recordings FILE …
    python -m bench.diarization --only memory [--hours 3] [--speed exact]

speed    one minute through community-1's architecture with random weights, in stock pyannote and
         with `DIARIZATION_SPEED` exact and fast, in turns. Where the time goes, in processor
         seconds, which other work on the machine disturbs less than the clock; give torch one
         thread (OMP_NUM_THREADS=1), or threads that wait count too. Random weights hear nonsense:
         a real segmentation model, by its folder, makes speech of speech
turns    held-out dialogues, those of `bench.accuracy`, through a whole pipeline, by default the
         embedded one: whether the turns of stock and exact are equal, and the error rates of all.
         `--step` changes the pipeline's `segmentation_step`: the embedded one's is fast's already.
         Other recordings need their references beside them, as `.json`
memory   hours of dialogues through a whole pipeline, in this process: after each step, the
         processor time and the peak of the resident memory beyond the models and the samples
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from omegaconf import OmegaConf

from bench.diarizers import STEPS, WAYS, Spent, Way, load_ways
from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization
from core.media.audio import SAMPLE_RATE, Stream, Waveform
from core.modelstore import ModelLocation, find_diarization_model
from core.speakers.pyannote import PyannoteDiarizer
from tests import models
from training.dialogues import FIRST_HELD_OUT_SEED, read_reference, write_set
from training.diarization_scores import DiarizationScore, annotation, score
from training.diarization_scores import total as total_of

HELD_OUT = Path("build/held-out")


def read(path: Path, seconds: float | None = None) -> Waveform:
    """Decode a recording; repeat it or cut it to a length."""
    waveform = Stream(path, max_duration_s=86_400).read()
    if seconds is None:
        return waveform
    return Waveform(np.resize(waveform.samples, int(seconds * SAMPLE_RATE)), 0.0)


# speed


def full_size(folder: Path, segmentation: Path | None, waveform: Waveform) -> ModelLocation:
    """Write community-1's architecture to a folder, with the weights of a real segmentation or
    random ones that say something in the waveform.
    """
    heard = torch.from_numpy(waveform.samples[: 60 * SAMPLE_RATE])
    path = models.community_1(folder, heard=heard)
    if segmentation is not None:
        weights = "pytorch_model.bin"
        shutil.copyfile(segmentation / weights, path / "segmentation" / weights)
    return find_diarization_model(str(path))


def show_speed(ways: Sequence[Way], waveform: Waveform, repetitions: int) -> None:
    """Run the ways in turns, and print the best of each and whether the turns are equal."""
    best: dict[str, Spent] = {}
    for _ in range(repetitions):
        answers = {way.name: way.run(waveform, None) for way in ways}
        for way in ways:
            fastest = best.get(way.name)
            if fastest is None or way.spent.cpu_s < fastest.cpu_s:
                best[way.name] = replace(way.spent, steps=dict(way.spent.steps))
    print(f"{waveform.duration:.0f} s of audio, {torch.get_num_threads()} threads; seconds")
    print(f"{'':<8}{'clock':>8}{'÷':>7}{'cpu':>8}{'÷':>7}" + "".join(f"{s:>14}" for s in STEPS))
    stock = best["stock"]
    for name, spent in best.items():
        ratios = (spent.wall_s, stock.wall_s / spent.wall_s, spent.cpu_s, stock.cpu_s / spent.cpu_s)
        print(
            f"{name:<8}{ratios[0]:>8.2f}{ratios[1]:>7.1f}{ratios[2]:>8.2f}{ratios[3]:>7.1f}"
            + "".join(f"{spent.steps[step]:>14.2f}" for step in STEPS)
        )
    print(_equality("turns", answers["stock"], answers["exact"]), flush=True)
    forced = [way.run(waveform, 3) for way in ways[:2]]
    print(_equality("turns of three speakers", *forced))


def _equality(what: str, stock: Diarization, exact: Diarization) -> str:
    word = "equal" if stock == exact else "DIFFERENT"
    return f"{what} of stock and exact: {word} ({len(stock.turns)}, {stock.num_speakers} speakers)"


# turns


def stepped(model: str, step: float | None, folder: Path) -> ModelLocation:
    """Return a pipeline, or a copy of it with another step between its windows."""
    location = find_diarization_model(model)
    if step is None:
        return location
    shutil.copytree(location.path, folder)
    config = OmegaConf.load(folder / "config.yaml")
    config.pipeline.params.segmentation_step = step
    OmegaConf.save(config, folder / "config.yaml")
    return find_diarization_model(str(folder))


def show_turns(ways: Sequence[Way], recordings: Sequence[Path]) -> None:
    """Print a line for each recording, and the totals, for two ways or more."""
    print(f"{'dialogue':<16}{'turns':>10}" + "".join(f"{way.name:>9}" for way in ways))
    scores: dict[str, list[DiarizationScore]] = {way.name: [] for way in ways}
    spent = dict.fromkeys(scores, 0.0)
    equal = 0
    for recording in recordings:
        waveform = read(recording)
        answers = [way.run(waveform, None) for way in ways]
        same = answers[0] == answers[1]  # of stock and exact, unless `--ways` names others
        equal += same
        for way, answer in zip(ways, answers, strict=True):
            scores[way.name].append(_scored(recording, answer))
            spent[way.name] += way.spent.cpu_s
        rates = "".join(f"{100 * scores[way.name][-1].error_rate:9.2f}" for way in ways)
        print(f"{recording.stem:<16}{'equal' if same else 'DIFFERENT':>10}{rates}", flush=True)
    totals = {name: total_of(each) for name, each in scores.items()}
    print(f"{'DER, %':<26}" + "".join(f"{100 * one.error_rate:9.2f}" for one in totals.values()))
    print(f"{'right counts':<26}" + "".join(f"{one.right_counts:>9}" for one in totals.values()))
    print(f"{'processor s':<26}" + "".join(f"{seconds:9.1f}" for seconds in spent.values()))
    print(f"{equal} of {len(recordings)} recordings have the same turns in the first two")


def _scored(recording: Path, answer: Diarization) -> DiarizationScore:
    _, turns = read_reference(recording.with_suffix(".json"))
    ends = [*(turn.end for turn in turns), *(turn.end for turn in answer.turns)]
    return score(annotation(turns), annotation(answer.turns), max(ends))


# memory


def show_memory(diarizer: PyannoteDiarizer, waveform: Waveform) -> None:
    """Print the peak of the resident memory after each step, beyond what was there before."""
    pipeline: Any = diarizer._pipeline
    plain = pipeline.run
    before_mb, began_s = _peak_mb(), time.process_time()

    def run(*arguments: Any, watch: Any, **options: Any) -> Any:
        def both(step: str, completed: int = 1, total: int = 1) -> None:
            watch(step, completed, total)
            if completed >= total:
                cpu_s = time.process_time() - began_s
                print(f"{step:<18}{cpu_s:8.0f} s{_peak_mb() - before_mb:8.0f} MB", flush=True)

        return plain(*arguments, watch=both, **options)

    pipeline.run = run
    answer = diarizer.diarize(
        waveform, speakers=SpeakerCount(), progress=lambda _: None, cancelled=lambda: False
    )
    print(
        f"{waveform.duration / 3600:g} h: {len(answer.turns)} turns, {answer.num_speakers} people"
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def hours_of(recordings: Sequence[Path], hours: float) -> Waveform:
    """Return dialogues one after the other, again and again."""
    size = int(hours * 3600 * SAMPLE_RATE)
    samples, filled = np.empty(size, np.float32), 0
    pieces = [read(recording).samples for recording in recordings]
    for piece in itertools.cycle(pieces):
        if filled == size:
            break
        end = min(size, filled + len(piece))
        samples[filled:end] = piece[: end - filled]
        filled = end
    return Waveform(samples, 0.0)


# the command


def main() -> None:
    """Do what the command says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("speed", "turns", "memory"), required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--segmentation", type=Path)
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--step", type=float)
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=WAYS)
    parser.add_argument("--recordings", type=Path, nargs="+")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--speed", choices=("exact", "fast"), default="exact")
    options = parser.parse_args()
    recordings = options.recordings or write_set(HELD_OUT, options.count, FIRST_HELD_OUT_SEED)
    if options.only == "speed":
        waveform = read(options.recording or recordings[0], options.seconds)
        with tempfile.TemporaryDirectory(prefix="diarization-") as folder:
            location = full_size(Path(folder), options.segmentation, waveform)
            ways = load_ways(location)
        show_speed(ways, waveform, options.repetitions)
    elif options.only == "turns":
        with tempfile.TemporaryDirectory(prefix="diarization-") as folder:
            location = stepped(options.model, options.step, Path(folder) / "pipeline")
            ways = load_ways(location, options.ways)
        show_turns(ways, recordings)
    else:
        waveform = hours_of(recordings, options.hours)
        location = find_diarization_model(options.model)
        show_memory(PyannoteDiarizer(location, device="cpu", speed=options.speed), waveform)


if __name__ == "__main__":
    main()
