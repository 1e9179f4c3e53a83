"""Bytes between the frames of formats that are nothing but frames.

Such a format has no time stamps; how much sound is lost in damage is told by how many bytes are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.media.decoder.sniff import ac3_size, adts_size, id3_size, mp3_size
from core.media.decoder.window import Window

_SIZES = {"mp3": mp3_size, "ac3": ac3_size}
_SUSPECT = 2.2
"""A packet this many times as large as usual is looked into."""
_ADTS_SYNC = re.compile(rb"\xff[\xf0-\xff]")
_BLOCK_BYTES = 1 << 20
_ID3_BYTES, _ID3V1_BYTES, _APE_BYTES = 10, 128, 32


@dataclass(frozen=True, slots=True)
class Split:
    """A packet's frame, and how many bytes beside it are lost sound."""

    frame: bytes
    lost: int


def split(data: bytes, format_name: str) -> Split:
    """Find the frame in a packet: at its beginning, else at its end."""
    size_of = _SIZES[format_name]
    size = size_of(data[:8])
    if size and size <= len(data):
        return Split(data[:size], lost_bytes(data[size:]))
    for sync in re.finditer(rb"\xff[\xe0-\xff]|\x0b\x77", data):
        at = sync.start()
        if (size := size_of(data[at : at + 8])) and at + size == len(data):
            return Split(data[at:], lost_bytes(data[:at]))
    return Split(b"", lost_bytes(data))


def adts_holes(file: Window) -> dict[int, int]:
    """Find the bytes between the frames of a raw aac, by the number of the frame behind them.

    ffmpeg goes over them without a word, and gives places as if they were not there.
    """
    holes: dict[int, int] = {}
    at, number = 0, 0
    while at < file.size:
        data = file.peek(at, _BLOCK_BYTES)
        used = 0
        while used + 8 < len(data) or (at + used < file.size and len(data) < _BLOCK_BYTES):
            if size := adts_size(data[used : used + 8]):
                used, number = used + size, number + 1
                continue
            following = _next_adts(data, used + 1)
            lost = lost_bytes(data[used:following])
            if lost:
                holes[number] = holes.get(number, 0) + lost
            used = following
        if not used:
            break
        at += used
    return holes


def _next_adts(data: bytes, begin: int) -> int:
    """Find where frames go on."""
    for sync in _ADTS_SYNC.finditer(data, begin):
        at = sync.start()
        size = adts_size(data[at : at + 8])
        if size and (at + size >= len(data) or adts_size(data[at + size : at + size + 8])):
            return at
    return len(data)


def lost_bytes(data: bytes) -> int:
    """Count the bytes that are no tags."""
    while data:
        if data[:3] == b"ID3" and len(data) >= _ID3_BYTES:
            data = data[_ID3_BYTES + id3_size(data[:_ID3_BYTES]) :]
        elif data[:3] == b"TAG":
            data = data[_ID3V1_BYTES:]
        elif data[:8] == b"APETAGEX" and len(data) >= _APE_BYTES:
            data = data[_APE_BYTES + int.from_bytes(data[12:16], "little") :]
        else:
            return len(data)
    return 0


def flac_place(head: bytes, block_samples: int) -> int | None:
    """Read the number of the first sample from the header of a flac frame."""
    if len(head) < 11 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    lead = head[4]
    more = 0 if lead < 0x80 else 7 - (lead ^ 0xFF).bit_length()
    number = lead if more == 0 else lead & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    return number if head[1] & 1 else number * block_samples


class Usual:
    """How large packets are, and how many bytes a second has."""

    def __init__(self) -> None:
        self._bytes = 0
        self._packets = 0
        self._seconds = 0.0

    def is_suspect(self, size: int) -> bool:
        """Tell whether a packet is larger than its kind."""
        return self._packets > 0 and size > _SUSPECT * self._bytes / self._packets

    def count(self, size: int, seconds: float) -> None:
        """Take a good packet."""
        self._bytes += size
        self._packets += 1
        self._seconds += seconds

    def seconds(self, size: int) -> float:
        """Estimate how long so many bytes last."""
        return size * self._seconds / self._bytes if self._bytes else 0.0
