"""From a URL or a local file to a field of the request.

A file goes into the request as base64, which makes it a third larger. The platform takes 10 MB by
`/run` and 20 MB by `/runsync`. A larger file is first encoded as 16 kHz mono opus, at 32 kbit/s, or
less if it would not fit, but no less than 16: about an hour of speech by `/run`, two by `/runsync`.
Anything larger has to be sent by URL.

Needs pydub, an ffmpeg and memory: pydub holds the whole decoded file, 0.6 GB for an hour of stereo
at 44.1 kHz, and a copy or two of it.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from examples.client import JobError

RUN_BYTES = 10_000_000
RUNSYNC_BYTES = 20_000_000
OTHER_FIELDS_BYTES = 10_000
"""Room in the request for everything but the recording."""
BEST_KBPS, LEAST_KBPS = 32, 16
CONTAINER_SHARE = 0.03
"""Allowance for the container, and for a bit rate that misses its aim: 0.7 % measured on speech."""


def audio_field(source: str, most_bytes: int = RUN_BYTES) -> dict[str, str]:
    """Return `audio_url` for a URL, or `audio_base64` for a file.

    `most_bytes` is the largest request that the platform takes. Raise JobError, OSError.
    """
    if "://" in source:
        return {"audio_url": source}
    path = Path(source)
    room = (most_bytes - OTHER_FIELDS_BYTES) // 4 * 3
    audio = path.read_bytes() if path.stat().st_size <= room else shrink(path, room)
    return {"audio_base64": base64.b64encode(audio).decode()}


_scratch = threading.local()


def _without_leftovers(encode: Callable[[Path, int], bytes]) -> Callable[[Path, int], bytes]:
    """Give pydub a folder that is removed in any case: after Ctrl-C it leaves its files."""

    @wraps(encode)
    def encode_without(path: Path, room: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix="shrink-") as _scratch.folder:
            return encode(path, room)

    return encode_without


@_without_leftovers
def shrink(path: Path, room: int) -> bytes:
    """Encode a recording as 16 kHz mono opus of at most `room` bytes.

    Raise JobError if it does not fit.
    """
    pydub = _pydub()
    try:
        # `from_file` would need ffprobe.
        speech = pydub.AudioSegment.from_file_using_temporary_files(str(path))
        kbps = min(
            BEST_KBPS, int(room * 8 / 1000 * (1 - CONTAINER_SHARE) / speech.duration_seconds)
        )
        if kbps < LEAST_KBPS:
            raise _too_long(path, speech.duration_seconds)
        options = ["-ar", "16000", "-ac", "1", "-application", "voip", "-vbr", "constrained"]
        opus = speech.export(
            io.BytesIO(), format="ogg", codec="libopus", bitrate=f"{kbps}k", parameters=options
        ).read()
    except (pydub.exceptions.PydubException, ZeroDivisionError):
        raise JobError(
            "unsupported_audio",
            f"{path.name}: ffmpeg cannot read it as a recording",
            retryable=False,
        ) from None
    if len(opus) > room:
        raise _too_long(path, speech.duration_seconds)
    return bytes(opus)


def _pydub() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for ffmpeg on PATH before we can set its path
        import pydub
    pydub.AudioSegment.converter = _find_ffmpeg()
    pydub.audio_segment.NamedTemporaryFile = _scratch_file
    return pydub


def _scratch_file(*arguments: Any, **options: Any) -> Any:
    options["dir"] = _scratch.folder
    return tempfile.NamedTemporaryFile(*arguments, **options)


def _find_ffmpeg() -> str:
    found = os.environ.get("FFMPEG_BINARY") or shutil.which("ffmpeg")
    if found is None:
        import imageio_ffmpeg  # a wheel with an ffmpeg in it

        found = imageio_ffmpeg.get_ffmpeg_exe()
    return found


def _too_long(path: Path, seconds: float) -> JobError:
    sentence = (
        f"{path.name}: {seconds / 3600:.1f} hours do not fit into a request, even as opus; "
        "put it where a URL leads to it and give that"
    )
    return JobError("source_too_large", sentence, retryable=False)
