"""Requests as values: flows see these, whichever front parsed the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from core.domain.timeline import Turn, Voice

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,63}):")
"""RFC 3986, 3.1; bounded, for 20 MB of base64 may begin like one."""


def _scheme_of(text: str) -> str | None:
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a recording: an http(s) or s3 URL, a `data:` URI, or base64 text."""

    value: str

    @property
    def scheme(self) -> str | None:
        """The part before the first colon, in lower case; None for base64 text."""
        return _scheme_of(self.value)

    def __repr__(self) -> str:
        return "Source(…)"  # a presigned URL is a secret


@dataclass(frozen=True, slots=True)
class Destination:
    """The place for an answer: an http(s) URL to PUT to, or an s3 URL."""

    value: str

    @property
    def scheme(self) -> str | None:
        """The part before the first colon, in lower case; None if there is none."""
        return _scheme_of(self.value)

    def __repr__(self) -> str:
        return "Destination(…)"  # as a source's


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A recording on this machine's disk, for a front whose caller may read it.

    No JSON becomes one: what a caller elsewhere sends is always a `Source`.
    """

    path: Path

    @property
    def scheme(self) -> str:
        """That of a file's URL."""
        return "file"

    def __repr__(self) -> str:
        return "LocalFile(…)"


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of a recording, in seconds from the start of the file."""

    start: float = 0.0
    end: float | None = None
    """None means the end of the file."""

    @property
    def is_whole(self) -> bool:
        """Tell whether it is all of the recording."""
        return not self.start and self.end is None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, or a range of it."""

    source: Source | LocalFile
    range: Range = Range()


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """The number of speakers as far as the caller knows it; None means unknown."""

    exact: int | None = None
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """Somebody whose voice the caller brings, as a recording of it or as its vector."""

    name: str
    audio: Source | LocalFile | None = None
    embedding: Voice | None = None
    """None if there is a recording."""


class Task(StrEnum):
    """What to write down."""

    TRANSCRIBE = "transcribe"
    """What was said."""
    TRANSLATE = "translate"
    """What was said, in English."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to turn speech into text; only utterances of equal decoding share a batch."""

    language: str | None = None
    """ISO 639-1 code of the language spoken; None leaves it to the model."""
    task: Task = Task.TRANSCRIBE
    keyterms: tuple[str, ...] = ()
    """Names and terms that are likely to be said."""


@dataclass(frozen=True, slots=True)
class Part:
    """The i-th of n equal parts of a recording."""

    index: int
    """Counts from 0."""
    of: int


class Channels(StrEnum):
    """What the channels of a recording are."""

    MIX = "mix"
    """Microphones in one room: everybody is on all of them."""
    SPLIT = "split"
    """One speaker each, as in a recorded telephone call."""


class OnDiarizationError(StrEnum):
    """How to answer when transcription succeeds but diarization fails."""

    FAIL = "fail"
    TRANSCRIPT_ONLY = "transcript_only"


@dataclass(frozen=True, slots=True)
class Edits:
    """What to change in the words once they have their speakers."""

    replace: Mapping[str, str] = field(default_factory=dict)
    """For words or phrases, what to write instead; nothing removes them."""
    remove_fillers: bool = False

    @property
    def are_wanted(self) -> bool:
        """Tell whether there is anything to change."""
        return bool(self.replace) or self.remove_fillers


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """A request for words, and for their speakers if the caller brings turns."""

    recording: Recording
    decoding: Decoding = Decoding()
    characters: bool = False
    """Also return the times of single characters."""
    part: Part | None = None
    turns: tuple[Turn, ...] | None = field(default=None, repr=False)
    """Sorted by start; None if words are not to be labelled."""
    channels: Channels = Channels.MIX
    edits: Edits = Edits()


@dataclass(frozen=True, slots=True)
class DiarizationRequest:
    """A request for who spoke when."""

    recording: Recording
    speakers: SpeakerCount = SpeakerCount()
    known_speakers: tuple[KnownSpeaker, ...] = ()
    return_embeddings: bool = False
    """Also return the speakers' voices."""
    part: Part | None = None
    """If there is one, the answer is a `core.domain.parts.DiarizedPart`."""


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """A request for words and speakers."""

    recording: Recording
    decoding: Decoding = Decoding()
    characters: bool = False
    """Also return the times of single characters."""
    speakers: SpeakerCount | None = SpeakerCount()
    """None if speakers are not asked for."""
    on_diarization_error: OnDiarizationError = OnDiarizationError.FAIL
    channels: Channels = Channels.MIX
    """If split, the channels name the speakers, and `speakers` is None."""
    edits: Edits = Edits()
    known_speakers: tuple[KnownSpeaker, ...] = ()
    return_embeddings: bool = False
    """Also return the speakers' voices."""


@dataclass(frozen=True, slots=True)
class OrchestratedRequest(SingleRequest):
    """A request for words and speakers from two endpoints."""


_Request = TypeVar("_Request", TranscriptionRequest, DiarizationRequest)


def narrowed(request: OrchestratedRequest, kind: type[_Request], **more: Any) -> _Request:
    """Return a request of another kind with the same value in every field that both have.

    So a new field reaches the endpoints as soon as their requests have it too. Pass the fields
    that only the other kind has, or that differ there, as `more`.
    """
    shared = {one.name for one in fields(kind)} & {one.name for one in fields(request)}
    return kind(**{name: getattr(request, name) for name in shared} | more)
