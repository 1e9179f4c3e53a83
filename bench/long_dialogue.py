"""How many speakers are found as a recording grows: the same dialogue again and again.

    python -m bench.long_dialogue [--times 1 2 4]

The dialogue has three people. Whoever hears them once should hear the same three in an hour of it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from core.domain.request import Recording, Source, SpeakerCount
from core.domain.watch import Watch
from core.flows.load import load_diarization
from core.flows.speakers import diarize
from core.media.audio import Waveform
from core.settings import Settings

DIALOGUE = Path("examples/dialogue.mp3")
TRUTH = Path("examples/dialogue.json")


def main() -> None:
    """Print a line for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 4])
    flow = load_diarization(Settings(diarization_model_id="embedded"))
    once = flow.reader.stream(DIALOGUE, Recording(Source("")), Watch()).read()
    people = json.loads(TRUTH.read_text())["num_speakers"]
    for times in parser.parse_args().times:
        waveform = Waveform(np.tile(once.samples, times), 0.0)
        found = diarize(flow.diarizer, waveform, SpeakerCount(), Watch())
        told = diarize(flow.diarizer, waveform, SpeakerCount(exact=people), Watch())
        print(
            f"{times:3} times, {waveform.duration / 60:5.1f} min: {found.num_speakers} speakers; "
            f"told that there are {people}: {told.num_speakers}"
        )


if __name__ == "__main__":
    main()
