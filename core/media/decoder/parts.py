"""What a file's own structure says: recordings in a row, and sound that is declared but not there.

ffmpeg stops at the end of the first recording, and says nothing of what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from core.media.decoder.window import Window

_UNKNOWN_SIZE = 0x7FFF_0000
"""A size from here on in a wav file is a placeholder, from a program that wrote to a pipe."""
_MORE_BYTES = 4_000
"""Less than this behind the sound is filling."""
_PRINTABLE = re.compile(rb"[ -~]{4}")
_EBML = b"\x1aE\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_OGG_HEAD = 27
_BLOCK_BYTES = 1 << 20
_MAX_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file is read."""

    parts: tuple[Window, ...]
    """Recordings that follow each other."""
    missing_bytes: int = 0
    """How much the file is shorter than it says."""
    ignores_length: bool = False
    """The sound goes on behind the length that its header gives."""
    is_cut: bool = False
    """The file ends in the middle of something."""


def plan(file: Window, format_name: str) -> Plan:
    """Look at the structure of a file of a known format."""
    look = _LOOKS.get(format_name)
    return look(file) if look else Plan((file,))


def _split(file: Window, begins: list[int], missing_bytes: int = 0) -> Plan:
    begins = begins[:_MAX_PARTS]
    ends = [*begins[1:], file.size]
    return Plan(tuple(map(file.part, begins, ends)), missing_bytes)


def _wav(file: Window) -> Plan:
    begins, at, has_sound = [0], 12, False
    while len(head := file.peek(at, 8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"RIFF" and file.peek(at + 8, 4) == b"WAVE":
            begins.append(at)
            at, has_sound = at + 12, False
            continue
        is_last = name == b"data" and size >= _UNKNOWN_SIZE
        is_chunk = _PRINTABLE.match(name) and (at + 8 + size <= file.size or name == b"data")
        if is_last or not is_chunk:
            # What follows the sound is no chunk: more sound, from a header that was not updated.
            is_more = has_sound and not is_chunk and file.size - at > _MORE_BYTES
            return Plan(_split(file, begins).parts, ignores_length=is_more)
        has_sound = has_sound or name == b"data"
        at += 8 + size + (size % 2 and not _PRINTABLE.match(file.peek(at + 8 + size, 4)))
    return _split(file, begins, max(0, at - file.size))


def _aiff(file: Window) -> Plan:
    declared = int.from_bytes(file.peek(4, 4), "big") + 8
    missing = declared - file.size if declared < _UNKNOWN_SIZE else 0
    return Plan((file,), max(0, missing))


def _caf(file: Window) -> Plan:
    at, end = 8, file.size
    while len(head := file.peek(at, 12)) == 12:
        size = int.from_bytes(head[4:], "big", signed=True)
        if size < 0 or not _PRINTABLE.match(head):
            break
        at = end = at + 12 + size
    return Plan((file,), max(0, end - file.size))


def _w64(file: Window) -> Plan:
    at, end = 40, file.size
    while len(head := file.peek(at, 24)) == 24:
        size = int.from_bytes(head[16:], "little")
        if not 24 <= size < 1 << 62:
            break
        end = at + size
        at += (size + 7) // 8 * 8
    return Plan((file,), max(0, end - file.size))


def _mov(file: Window) -> Plan:
    begins, at, has_index = [0], 0, False
    for name, size in _boxes(file):
        if name == b"ftyp" and has_index:
            begins.append(at)
            has_index = False
        has_index = has_index or name == b"moov"
        at += size
    return _split(file, begins, max(0, at - file.size))


def _boxes(file: Window) -> Iterator[tuple[bytes, int]]:
    at = 0
    while len(head := file.peek(at, 16)) >= 8:
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:], "big")
        if size == 0:
            size = file.size - at
        if size < 8 or not _PRINTABLE.match(name):
            return
        yield name, size
        at += size


def _matroska(file: Window) -> Plan:
    begins, missing, known_end = [], 0, 0
    for at in _find(file, _EBML):
        # A real header names the kind of document soon after the magic.
        if at < known_end or not re.search(rb"webm|matroska", file.peek(at, 64)):
            continue
        begins.append(at)
        known_end = _segment_end(file, at)
        missing = max(0, known_end - file.size)
    return _split(file, [0, *begins[1:]], missing)


def _segment_end(file: Window, at: int) -> int:
    """Return where the segment behind an EBML header ends; 0 if that is not said."""
    head = file.peek(at, 256)
    begin = head.find(_SEGMENT) + len(_SEGMENT)
    if begin < len(_SEGMENT) or begin >= len(head):
        return 0
    width = 9 - head[begin].bit_length()
    digits = head[begin : begin + width]
    size = int.from_bytes(digits, "big") & ((1 << 7 * width) - 1)
    is_known = width <= 8 and size != (1 << 7 * width) - 1
    return at + begin + width + size if is_known else 0


def _find(file: Window, magic: bytes) -> Iterator[int]:
    """Find each place of some bytes."""
    for begin in range(0, file.size, _BLOCK_BYTES):
        block = file.peek(begin, _BLOCK_BYTES + len(magic) - 1)
        at = block.find(magic)
        while at >= 0:
            yield begin + at
            at = block.find(magic, at + 1)


def _ogg(file: Window) -> Plan:
    """Find the links of a chain: each begins with the first page of a stream, behind other pages
    than such.
    """
    begins, was_first, end = [0], True, file.size
    for at, flags, page_end in _ogg_pages(file):
        is_first = bool(flags & 2)
        if is_first and not was_first:
            begins.append(at)
        was_first, end = is_first, page_end
    return replace(_split(file, begins), is_cut=end > file.size)


def _ogg_pages(file: Window) -> Iterator[tuple[int, int, int]]:
    """Return the place, the flags and the end of each page, over holes as well."""
    at = 0
    while len(head := file.peek(at, _OGG_HEAD + 255)) >= _OGG_HEAD:
        if head[:4] != b"OggS":
            at = next(_find_from(file, at, b"OggS"), file.size)
            continue
        count = head[26]
        end = at + _OGG_HEAD + count + sum(head[_OGG_HEAD : _OGG_HEAD + count])
        yield at, head[5], end
        at = end


def _find_from(file: Window, at: int, magic: bytes) -> Iterator[int]:
    return (at + found for found in _find(file.part(at, file.size), magic))


_LOOKS: dict[str, Callable[[Window], Plan]] = {
    "wav": _wav,
    "w64": _w64,
    "aiff": _aiff,
    "caf": _caf,
    "mov": _mov,
    "matroska": _matroska,
    "ogg": _ogg,
}
