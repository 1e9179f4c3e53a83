"""What a lossy file leaves of a recording.

mp3 empties whole bands of the spectrum where it hears nothing worth the bits. A model that never
heard that in training takes it for a trait of the voice: two people of one file become one.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile

from training.voices import SAMPLE_RATE

FINEST, USUAL, COARSEST = 0.3, 0.65, 0.8
"""libsndfile's compression levels: 118, 67 and 42 kbit/s at 16 kHz mono."""


def through_mp3(samples: np.ndarray, compression: float = USUAL) -> np.ndarray:
    """Return float32 samples (n,) at 16 kHz as an mp3 leaves them, of the same length, not shifted.

    compression: libsndfile's level, from FINEST to COARSEST.
    """
    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        SAMPLE_RATE,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=compression,
    )
    file.seek(0)
    coded, _ = soundfile.read(file, dtype="float32")
    return coded[: len(samples)]
