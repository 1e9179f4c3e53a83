"""From the first bytes of a file to ffmpeg's name of its format.

ffmpeg's own guess is not asked for: it takes noise for mp3, and lists for recordings.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from core.media.decoder.protocol import Refused
from core.media.decoder.window import Window

_SIGNATURES = (
    (re.compile(rb"(RIFF|RF64|BW64).{4}WAVE", re.DOTALL), "wav"),
    (re.compile(rb"riff\x2e\x91\xcf\x11"), "w64"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"FORM.{4}AIF[FC]", re.DOTALL), "aiff"),
    (re.compile(rb"caff\0"), "caf"),
    (re.compile(rb"#!AMR"), "amr"),
    (re.compile(rb"\x1aE\xdf\xa3"), "matroska"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "asf"),
    (re.compile(rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)", re.DOTALL), "mov"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head|body|script)\b", re.IGNORECASE)
_JSON = re.compile(rb"\s*(\{\s*[\"}]|\[\s*[\[\]{\"])")
_OTHER = re.compile(
    rb"%PDF|PK\x03\x04|\x7fELF|\x89PNG|GIF8|\xff\xd8\xff|\x1f\x8b|BZh|7z\xbc|\xfd7zXZ|Rar!|RIFF"
)
"""Files of other kinds, so that they are not taken for raw samples."""
SizeOf = Callable[[bytes], int]
_ID3_HEAD = 10
_SEARCHED_BYTES = 65_536
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

_MP3_KBPS = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (3 is MPEG-1, 2 is MPEG-2) and layer bits (3 is layer I)."""
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_ADTS_RATES = 13
_SURE_FRAMES = 4


def format_of(file: Window) -> str | Refused:
    """Name the format, or say what the file is instead."""
    head = file.peek(0, 64)
    for signature, name in _SIGNATURES:
        if signature.match(head):
            return name
    begin = _behind_tags(file)
    if begin and file.peek(begin, 4) == b"fLaC":
        return "flac"
    if framed := _framed(file, begin):
        return framed
    return Refused.DAMAGED if begin else _no_recording(file)


def _no_recording(file: Window) -> Refused:
    head = file.peek(0, 4096)
    written = head.removeprefix(b"\xef\xbb\xbf")
    if _WEB_PAGE.match(written):
        return Refused.WEB_PAGE
    is_text = not _CONTROL.search(head)
    if is_text and _JSON.match(written):
        return Refused.JSON
    return Refused.UNSUPPORTED if is_text or _OTHER.match(head) else Refused.RAW


def _behind_tags(file: Window) -> int:
    """Return where the ID3 tags at the beginning end."""
    begin = 0
    while (head := file.peek(begin, _ID3_HEAD))[:3] == b"ID3" and len(head) == _ID3_HEAD:
        begin += _ID3_HEAD + id3_size(head)
    return min(begin, file.size)


def id3_size(head: bytes) -> int:
    """Return the size of an ID3v2 tag behind its ten bytes of header."""
    return sum(
        (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
    )


def _framed(file: Window, begin: int) -> str | None:
    """Find a format that is nothing but frames: mp3, aac, ac3.

    Behind other bytes, it takes several frames in a row to tell them from noise.
    """
    data = file.peek(begin, _SEARCHED_BYTES)
    for offset in _syncs(data):
        for name, size_of in (("mp3", mp3_size), ("aac", adts_size), ("ac3", ac3_size)):
            if _frames(data, offset, size_of) >= (_SURE_FRAMES if offset else 2):
                return name
        if offset == 0 and (lonely := _lonely(data)):
            return lonely
    return None


def _lonely(data: bytes) -> str | None:
    """Recognise a file of one frame."""
    for name, size_of in (("mp3", mp3_size), ("aac", adts_size)):
        if size_of(data) and len(data) <= size_of(data) + 128:
            return name
    return None


def _syncs(data: bytes) -> list[int]:
    return [0, *(match.start() for match in re.finditer(rb"(?!^)\xff[\xe0-\xff]|\x0b\x77", data))]


def _frames(data: bytes, offset: int, size_of: SizeOf) -> int:
    """Count the frames in a row, up to as many as make it sure."""
    count = 0
    while count < _SURE_FRAMES and (size := size_of(data[offset : offset + 8])):
        count, offset = count + 1, offset + size
    return count


def mp3_size(head: bytes) -> int:
    """Return the size of the frame that begins here; 0 if none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    step, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 0 or step in (0, 15) or rate == 3:
        return 0
    row = 3 if version == 3 else 2
    table = _MP3_KBPS[row, layer] if (row, layer) in _MP3_KBPS else _MP3_KBPS[2, 2]
    hz = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    padding = head[2] >> 1 & 1
    if layer == 3:
        return (12_000 * table[step] // hz + padding) * 4
    return (72_000 if layer == 1 and row == 2 else 144_000) * table[step] // hz + padding


def adts_size(head: bytes) -> int:
    """Return the size of the frame that begins here; 0 if none does."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 and head[2] >> 2 & 15 < _ADTS_RATES else 0


def ac3_size(head: bytes) -> int:
    """Return the size of the frame that begins here; 0 if none does."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    rate, code = head[4] >> 6, head[4] & 63
    if head[5] >> 3 > 10 or rate == 3 or code >= 2 * len(_AC3_KBPS):
        return 0
    kbps = _AC3_KBPS[code // 2]
    return (kbps * 4, (kbps * 320 // 147 + code % 2) * 2, kbps * 6)[rate]
