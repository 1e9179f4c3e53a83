"""What voices cost beside the diarization itself, in processor time.

    python -m bench.voice_costs [--times 4] [--runs 5] [--speed exact]

The example dialogue, a few times in a row, with voices and without, in turns; and a sample of half
a minute. Medians.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from core.domain.request import SpeakerCount
from core.domain.watch import Watch
from core.flows.speakers import diarize
from core.media.audio import SAMPLE_RATE, Stream, Waveform
from core.modelstore import find_diarization_model
from core.speakers.pyannote import PyannoteDiarizer

DIALOGUE = Path("examples/dialogue.mp3")
SAMPLE_S = 30


def spent(do: Callable[[], object]) -> float:
    """Return the seconds of processor time that something takes."""
    began = time.process_time()
    do()
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--speed", choices=("exact", "fast"), default="exact")
    options = parser.parse_args()
    location = find_diarization_model(options.model)
    diarizer = PyannoteDiarizer(location, device="cpu", speed=options.speed)
    once = Stream(DIALOGUE, max_duration_s=600).read().samples
    whole = Waveform(np.tile(once, options.times), 0.0)
    sample = Waveform(once[: SAMPLE_S * SAMPLE_RATE], 0.0)
    ways: dict[str, Callable[[], object]] = {
        "without": lambda: diarize(diarizer, whole, SpeakerCount(), Watch()),
        "with": lambda: diarize(diarizer, whole, SpeakerCount(), Watch(), voices=True),
        "sample": lambda: diarizer.voice(sample, cancelled=lambda: False),
    }
    runs = [{name: spent(do) for name, do in ways.items()} for _ in range(options.runs)]
    took = {name: median(run[name] for run in runs) for name in ways}
    ratio = median(run["with"] / run["without"] for run in runs)
    a_minute = took["without"] / whole.duration * 60
    print(
        f"{whole.duration / 60:.1f} min, {options.speed}: {took['without']:.2f} s without voices, "
        f"{took['with']:.2f} s with them, {ratio:.3f} of it; {SAMPLE_S} s of a known voice: "
        f"{took['sample']:.3f} s, as much as {60 * took['sample'] / a_minute:.0f} s of a recording"
    )


if __name__ == "__main__":
    main()
