"""How long a worker takes from the start of its process until it is ready.

    python -m bench.coldstart [--repeat N] [--full-size [FOLDER]]

Every start is a fresh process. With `--full-size` the speech model has Parakeet 0.6B's exact
architecture and random weights, and stock NeMo (`import nemo.collections.asr`,
`ASRModel.restore_from`, `transcribe`) takes turns with ours. Otherwise the embedded models are
started. The model is made once in FOLDER (2.5 GB). One start that does not count compiles the
libraries to bytecode, as they are in an image.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

ROLES = ("single", "transcription", "diarization", "orchestrator")
STOCK = "stock"
PHASES = ("import", "load", "decode", "SDK", "ready", "cpu", "peak GiB")
"""Seconds, in turn; `ready` is their sum: since the process was started.

`decode`: stock decodes two seconds of noise, a worker rehearses a job with one second of speech.
`SDK`: the import of RunPod's SDK.
`cpu`: the process's own seconds on all cores.
"""
Figures = dict[str, float]


class Clock:
    """Laps since the start of the process, whose time its parent passes on."""

    def __init__(self, started: float) -> None:
        self.started = self.last = started
        self.figures: Figures = dict.fromkeys(PHASES, 0.0)

    def lap(self, phase: str) -> None:
        """Count the time since the last lap as the phase's."""
        now = time.time()
        self.figures[phase] += now - self.last
        self.last = now

    def around(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time in a phase of its own and what was before it in `load`."""

        def timed(*arguments: Any, **named: Any) -> Any:
            self.lap("load")
            try:
                return function(*arguments, **named)
            finally:
                self.lap(phase)

        return timed

    def end(self) -> Figures:
        """Return all figures."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.figures |= {
            "ready": self.last - self.started,
            "cpu": used.ru_utime + used.ru_stime,
            "peak GiB": used.ru_maxrss / 2**20,
        }
        return self.figures


def start_stock(clock: Clock, model: str) -> None:
    """Start as NeMo's documentation says."""
    from nemo.collections import asr

    clock.lap("import")
    loaded = asr.models.ASRModel.restore_from(model, map_location="cpu")
    clock.lap("load")
    loaded.transcribe([noise()], verbose=False)
    clock.lap("decode")


def start_worker(role: str, clock: Clock) -> None:
    """Start as `handlers.runpod.worker.start` does, up to the SDK's loop.

    The loop begins with the rehearsal.
    """
    from core.settings import Settings
    from handlers.runpod import worker

    importlib.import_module(f"handlers.{role}")
    if role == "orchestrator":
        from core.flows.orchestrated import load
    else:
        from core.flows import load as flows
        from core.speakers import loading
        from core.speech import parakeet

        parakeet.import_nemo = clock.around("import", parakeet.import_nemo)
        loading.import_pyannote = clock.around("import", loading.import_pyannote)
        load = getattr(flows, f"load_{role}")
    clock.lap("import")
    flow = load(Settings.from_environment())
    clock.lap("load")
    worker.import_sdk()
    clock.lap("SDK")
    if role != "orchestrator":
        worker.check_fitness(flow)
        clock.lap("decode")


def noise() -> np.ndarray:
    """Return two seconds of noise."""
    return np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * np.float32(1e-3)


def make_full_size(folder: Path) -> Path:
    """Make a model of Parakeet TDT 0.6B v2's architecture with random weights.

    Like trained ones they take two seconds of noise for silence.
    """
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from omegaconf import OmegaConf

    from tests import models

    path = folder / "full-size-0.6b.nemo"
    if not path.exists():
        tokenizer = models.train_tokenizer(folder / "tokenizer", 1024)
        config = models.speech_config(
            "tdt",
            tokenizer,
            width=1024,
            layers=24,
            heads=8,
            channels=256,
            features=128,
            predictor=640,
        )
        model = EncDecRNNTBPEModel(OmegaConf.create(config))
        model.joint.joint_net[-1].bias.data[1024] += 100  # the blank
        model.save_to(str(path))
    return path


def measure(what: str, model: str, environment: dict[str, str]) -> Figures:
    """Start a fresh process and wait until it is ready."""
    settings = {
        "MODEL_ID": model,
        "DIARIZATION_MODEL_ID": "embedded",
        "TRANSCRIPTION_ENDPOINT_ID": "a",
        "DIARIZATION_ENDPOINT_ID": "b",
    }
    command = [
        sys.executable,
        "-m",
        "bench.coldstart",
        "--child",
        what,
        "--model",
        model,
        "--started",
        str(time.time()),
    ]
    done = subprocess.run(
        command,
        env=environment | settings | {"RUNPOD_API_KEY": "key"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="starts of each, taking turns")
    parser.add_argument(
        "--full-size",
        nargs="?",
        type=Path,
        const=Path(tempfile.gettempdir()) / "coldstart",
        metavar="FOLDER",
    )
    parser.add_argument("--only", nargs="*", choices=(*ROLES, STOCK), help="default: all")
    parser.add_argument("--child", choices=(*ROLES, STOCK), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        clock = Clock(options.started)
        start_stock(clock, options.model) if options.child == STOCK else start_worker(
            options.child, clock
        )
        print("\n" + json.dumps(clock.end()))
        return
    model = "models/embedded/speech.nemo"
    if options.full_size:
        options.full_size.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(
            1, mp_context=get_context("spawn")
        ) as maker:  # its memory is given back
            model = str(maker.submit(make_full_size, options.full_size).result())
    with tempfile.TemporaryDirectory() as compiled:
        compare(options.only or [STOCK, *ROLES], model, options.repeat, compiled)


def compare(kinds: list[str], model: str, repeat: int, compiled: str) -> None:
    """Start each kind in turn, `repeat` times and once before that, and print the medians."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment["PYTHONPYCACHEPREFIX"] = compiled
    found: dict[str, list[Figures]] = {kind: [] for kind in kinds}
    for turn in range(repeat + 1):
        for kind in kinds:
            figures = measure(kind, model, environment)
            if turn:
                found[kind].append(figures)
                print(
                    kind,
                    {phase: round(value, 1) for phase, value in figures.items()},
                    file=sys.stderr,
                    flush=True,
                )
    print("".join(f"{head:>14}" for head in ("", *PHASES)))
    for kind, runs in found.items():
        print(
            f"{kind:>14}"
            + "".join(f"{statistics.median(run[phase] for run in runs):>14.1f}" for phase in PHASES)
        )


if __name__ == "__main__":
    main()
