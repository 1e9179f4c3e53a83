"""A first look at a file: whether it is a recording, and what its header says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DamagedAudio, EmptyAudio, NoAudioTrack, UnsupportedAudio, WorkerError
from core.media.ffmpeg import FIRST_TRACK, INPUT, TO_PIPE, Ffmpeg

DAMAGED = "the recording is damaged and cannot be decoded, perhaps cut short; send it again in full"
_FORMATS = "wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov, mkv, wma, amr, aiff"
_SIGNATURES = re.compile(
    rb"RIFF|RF64|ID3|fLaC|OggS|FORM|caff|#!AMR|\x1aE\xdf\xa3|\x30\x26\xb2\x75|\xff[\xe0-\xff]"
    rb"|.{4}(ftyp|moov|mdat|wide|free|skip)",
    re.DOTALL,
)
"""The first bytes of files in supported formats; the last line is mp4 and its kin."""
# Lines of ffmpeg's own begin with two blanks or a bracket. Those of the file, such as its title,
# begin with more blanks.
_TRACK = re.compile(r"^  Stream #0:\d.*?: Audio: .*?, (\d+) Hz, ([^,\n]+)", re.MULTILINE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_NOTE = re.compile(r"^\[.*", re.MULTILINE)

_SAMPLE_RATES_HZ = range(4_000, 192_001)
"""Nobody records speech at other rates; at 1 Hz, a second per byte, small files become hours."""
_POLARITY_RATIO = 0.1
_UNKNOWN_SIZE = 0x7FFF_0000
"""Sizes from here on in a wav header are placeholders, from programs that wrote to a pipe."""
_BEGINNING = ("-t", "30", "-ar", "8000", "-ac", "2")
"""The stretch of sound by which to judge the polarity of the channels."""


@dataclass(frozen=True, slots=True)
class Track:
    """The first sound track, as the header describes it."""

    duration_s: float | None
    is_doubtful: bool
    """The file is not as large as its header says, so the duration may be wrong too."""
    is_cut: bool
    """The file is shorter than its header says."""
    is_antiphase: bool
    """One of two channels is inverted, as by a miswired cable: their mean would be silence."""


def inspect(ffmpeg: Ffmpeg, path: Path) -> Track:
    """Return the first sound track of a file.

    Raise EmptyAudio, UnsupportedAudio, DamagedAudio, NoAudioTrack, DecodingTimedOut, Cancelled.
    """
    head = _head(path)
    arguments = ("-i", INPUT, *FIRST_TRACK, *_BEGINNING, *TO_PIPE)
    beginning = b"".join(bytes(block) for block in ffmpeg.run(*arguments))
    messages, notes = ffmpeg.messages, "\n".join(_NOTE.findall(ffmpeg.messages))
    if not re.search("^Input #0", messages, re.MULTILINE) or "misdetection possible" in notes:
        raise _unreadable(head, notes)
    is_stereo = _channels(messages) in ("stereo", "2 channels")
    return Track(
        duration_s=None if "Estimating duration from bitrate" in notes else _duration_s(messages),
        is_doubtful="growing file" in notes,
        is_cut=_is_cut(head, path.stat().st_size),
        is_antiphase=is_stereo and _is_antiphase(beginning),
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise EmptyAudio("the recording has no bytes; check that the upload was complete")
    return head


def _unreadable(head: bytes, notes: str) -> WorkerError:
    if _SIGNATURES.match(head) and "not on whitelist" not in notes:
        return DamagedAudio(DAMAGED)
    return UnsupportedAudio(f"not a recording in a supported format; send one of {_FORMATS}")


def _channels(messages: str) -> str:
    """Return ffmpeg's name for the track's channels. Raise an error if the track is unusable."""
    track = _TRACK.search(messages)
    if track is None and ": Audio:" in messages:
        raise DamagedAudio(DAMAGED)
    if track is None:
        raise NoAudioTrack("the file has no sound track; send one that has")
    if int(track[1]) not in _SAMPLE_RATES_HZ:
        raise UnsupportedAudio(
            f"a sample rate of {track[1]} Hz is not supported; send 8,000 to 48,000 Hz"
        )
    return track[2].strip()


def _is_antiphase(pcm: bytes) -> bool:
    """Tell whether the sum of two channels, int16 interleaved, is far below their difference."""
    left, right = (
        np.frombuffer(pcm, "<i2", count=len(pcm) // 4 * 2).reshape(-1, 2).T.astype(np.float32)
    )
    return bool(np.square(left + right).sum() < _POLARITY_RATIO * np.square(left - right).sum())


def _is_cut(head: bytes, size: int) -> bool:
    """Tell whether a wav or aiff file is shorter than its header says.

    ffmpeg reports this of the other formats only.
    """
    if head[:4] not in (b"RIFF", b"FORM"):
        return False
    declared = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big") + 8
    return size < declared < _UNKNOWN_SIZE


def _duration_s(messages: str) -> float | None:
    match = _DURATION.search(messages)
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
