"""Requests as values: flows see these, whichever front parsed the request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from core.domain.timeline import Turn

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

    source: Source
    range: Range = Range()


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """The number of speakers as far as the caller knows it; None means unknown."""

    exact: int | None = None
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to turn speech into text; only utterances of equal decoding share a batch."""

    language: str | None = None
    """ISO 639-1 code; None leaves it to the model."""


@dataclass(frozen=True, slots=True)
class Part:
    """The i-th of n equal parts of a recording."""

    index: int
    """Counts from 0."""
    of: int


class OnDiarizationError(StrEnum):
    """How to answer when transcription succeeds but diarization fails."""

    FAIL = "fail"
    TRANSCRIPT_ONLY = "transcript_only"


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


@dataclass(frozen=True, slots=True)
class DiarizationRequest:
    """A request for who spoke when."""

    recording: Recording
    speakers: SpeakerCount = SpeakerCount()


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


@dataclass(frozen=True, slots=True)
class OrchestratedRequest(SingleRequest):
    """A request for words and speakers from two endpoints."""


_Request = TypeVar("_Request", TranscriptionRequest, DiarizationRequest)


def narrowed(request: OrchestratedRequest, kind: type[_Request], **more: Any) -> _Request:
    """Return a request of another kind with the same value in every field that both have.

    So a new field reaches the endpoints as soon as their requests have it too. Pass the fields
    that only the other kind has as `more`.
    """
    shared = {one.name for one in fields(kind)} & {one.name for one in fields(request)}
    return kind(**{name: getattr(request, name) for name in shared}, **more)
