"""What the embedded speech model hears in a file, for the tables of `bench.files` and
`bench.levels`.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import imageio_ffmpeg

from core.domain.request import Decoding
from core.domain.watch import Watch
from core.flows.load import load_transcription
from core.flows.transcription import transcribe
from core.media.audio import Waveform
from core.settings import Settings
from core.speech.transcriber import Transcriber

RECORDING = Path("tests/golden/dialogue.mp3")
_REMOVED = re.compile(r"[^\w\s']|_")


@functools.cache
def transcriber() -> Transcriber:
    """Load the embedded model, once."""
    os.environ.setdefault("MODEL_ID", "embedded")
    return load_transcription(Settings.from_environment()).transcriber


def words(waveform: Waveform) -> list[str]:
    """Return the words that the model hears, in lower case and without marks."""
    model = transcriber()
    heard = transcribe(model, waveform, model.prepared(Decoding()), Watch())
    text = " ".join(word.text for word in heard.words)
    return _REMOVED.sub("", text.lower()).split()


def kept(plain: list[str], found: list[str]) -> int:
    """Count the words of one list that are in another, in the same order."""
    row = [0] * (len(found) + 1)
    for word in plain:
        before = row
        row = [0]
        for index, other in enumerate(found):
            same = before[index] + 1 if word == other else 0
            row.append(max(same, before[index + 1], row[index]))
    return row[-1]


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg of imageio-ffmpeg."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)
