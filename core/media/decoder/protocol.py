"""How the decoder speaks: frames on its standard output, each a kind, a length and a payload.

The header comes first, then layouts, samples and events, then the summary. A refusal takes the
place of everything that would follow. Numbers are numbers and names are ffmpeg's own or a few plain
letters, so nothing that a file says of itself can pass for a fact.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, BinaryIO

OUTPUT_RATE = 16_000
"""Samples per second of everything that is sent."""

SAMPLE_RATES_HZ = range(4_000, 192_001)
"""Nobody records speech at other rates; at 1 Hz, a second per byte, small files become hours."""

PREFIX = struct.Struct("<cI")
"""Kind and length of a frame."""
PLACE = struct.Struct("<qHH")
"""Position of the first sample, planes, and channels that are interleaved in a plane; the planes
follow, float32.
"""
MAX_PAYLOAD_BYTES = 32 << 20


class Kind(StrEnum):
    """What a frame holds."""

    HEADER = "H"
    LAYOUT = "L"
    SAMPLES = "S"
    EVENT = "E"
    SUMMARY = "Z"
    REFUSAL = "R"


class Refused(StrEnum):
    """Why nothing is decoded."""

    UNSUPPORTED = "unsupported"
    RAW = "raw"
    WEB_PAGE = "web_page"
    JSON = "json"
    DAMAGED = "damaged"
    NO_SOUND = "no_sound"
    GAPS = "gaps"


class Happening(StrEnum):
    """What may happen between two samples."""

    DAMAGE = "damage"
    """A stretch could not be decoded."""
    GAP = "gap"
    """The time stamps jump."""
    UNREAD = "unread"
    """Bytes at this place belong to nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the child is asked for. Times are seconds from the start of the file."""

    start_s: float
    end_s: float
    track: int | None
    """Index of the track; None leaves the choice to the child."""
    cpu_s: int
    """Processor time for everything."""
    look_cpu_s: int
    """Processor time until the header is sent."""


@dataclass(frozen=True, slots=True)
class Track:
    """What the file says of one sound track."""

    index: int
    codec: str | None
    """ffmpeg's name of it, or what the file calls it; None if it has no name."""
    is_readable: bool
    is_default: bool
    is_alternative: bool
    """A dub, a comment or a description of the same thing."""
    language: str | None
    rate_hz: int
    channels: int
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Header:
    """What the child found out before it decoded anything."""

    format: str
    tracks: tuple[Track, ...]
    chosen: int | None
    """Index of the track that will be decoded."""
    duration_s: float | None
    """Seconds from the start of the file to the end of the chosen track, as far as it is known."""
    is_exact: bool
    """The duration is that of the sound, not of a picture or of a guess."""
    is_trusted: bool
    """The duration follows from the data: what is too long by it, is too long."""
    missing_share: float
    """How much of the file is not there, by the file's own structure, 0..1."""
    is_cut: bool
    """The file ends in the middle of something, and does not say how much is missing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The channels of the samples that follow."""

    speakers: tuple[str, ...]
    """Names of the loudspeakers, if the file names them; else nothing."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with its place in seconds from the start of the file."""

    what: Happening
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the child knows in the end."""

    end_s: float
    """Where the sound ends, whether or not that was asked for."""
    is_whole: bool
    """The end of the file was reached, or the end of the range."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is decoded."""

    why: Refused


Message = Header | Layout | Event | Summary | Refusal | Asked
_KINDS: dict[type[Any], Kind] = {
    Header: Kind.HEADER,
    Layout: Kind.LAYOUT,
    Event: Kind.EVENT,
    Summary: Kind.SUMMARY,
    Refusal: Kind.REFUSAL,
}


def write(pipe: BinaryIO, message: Message) -> None:
    """Send a message that has no samples."""
    payload = json.dumps(asdict(message)).encode()
    pipe.write(PREFIX.pack(_KINDS[type(message)].encode(), len(payload)) + payload)


def write_samples(pipe: BinaryIO, position: int, width: int, planes: list[bytes]) -> None:
    """Send float32 samples; `position` counts from the start of the file, and `width` channels are
    interleaved in a plane.
    """
    length = PLACE.size + sum(map(len, planes))
    prefix = PREFIX.pack(Kind.SAMPLES.encode(), length)
    pipe.write(prefix + PLACE.pack(position, len(planes), width))
    for plane in planes:
        pipe.write(plane)


def read_asked(text: str) -> Asked:
    """Parse what the worker asks for."""
    return Asked(**json.loads(text))


def write_asked(asked: Asked) -> str:
    """Return the text that `read_asked` parses."""
    return json.dumps(asdict(asked))


def parse(kind: Kind, payload: bytes) -> Header | Layout | Event | Summary | Refusal:
    """Parse a message that has no samples.

    Raise ValueError, TypeError or KeyError if it is none.
    """
    fields = json.loads(payload)
    if kind is Kind.HEADER:
        tracks = tuple(Track(**track) for track in fields.pop("tracks"))
        return Header(tracks=tracks, **fields)
    if kind is Kind.LAYOUT:
        return Layout(tuple(fields["speakers"]))
    if kind is Kind.EVENT:
        return Event(Happening(fields["what"]), float(fields["start_s"]), float(fields["end_s"]))
    if kind is Kind.SUMMARY:
        return Summary(float(fields["end_s"]), bool(fields["is_whole"]))
    return Refusal(Refused(fields["why"]))
