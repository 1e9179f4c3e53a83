"""Decode a recording, and say what is to be heard in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.media.audio import SAMPLE_RATE, Samples, Stream, Waveform


def read(path: Path, *, max_duration_s: float = 600.0, **options: object) -> Waveform:
    """Decode with a limit that does not matter."""
    return Stream(path, max_duration_s=max_duration_s, **options).read()  # type: ignore[arg-type]


def level(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(samples).mean()))


def beep_starts(samples: Samples) -> list[float]:
    """When each beep of `media.beeps` begins, in seconds: the first loud sample after a quiet 0.4
    s.
    """
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return [
        float(loud[0]) / SAMPLE_RATE,
        *(loud[1:][np.diff(loud) > 0.4 * SAMPLE_RATE] / SAMPLE_RATE).tolist(),
    ]
