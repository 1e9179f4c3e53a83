"""What is asked of a role, as values: whichever front a request came through, flows see these."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from core.domain.timeline import Turn

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the recording is: an http(s) or s3 URL, a `data:` URI, or base64 text."""

    value: str

    @property
    def scheme(self) -> str | None:
        """What precedes the first colon, in lower case; None for base64 text."""
        match = _SCHEME.match(self.value)
        return match[1].lower() if match else None

    def __repr__(self) -> str:
        return "Source(…)"  # a presigned URL is a secret


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of a recording, in seconds from the start of the file."""

    start: float = 0.0
    end: float | None = None
    """None is the end of the file."""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the recording."""
        return not self.start and self.end is None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, or a range of it."""

    source: Source
    range: Range = Range()


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """What the caller knows about how many speakers there are; None is «not known»."""

    exact: int | None = None
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How speech is turned into text. Utterances share a batch only if theirs are equal."""

    language: str | None = None
    """ISO 639-1 code; None leaves it to the model."""


@dataclass(frozen=True, slots=True)
class Part:
    """The i-th of n equal parts of a recording."""

    index: int
    """Counts from 0."""
    of: int


class OnDiarizationError(StrEnum):
    """What to do when transcription succeeds but diarization fails."""

    FAIL = "fail"
    TRANSCRIPT_ONLY = "transcript_only"


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """Words, and the speakers of turns that the caller brings."""

    recording: Recording
    decoding: Decoding = Decoding()
    characters: bool = False
    """The times of single characters are wanted too."""
    part: Part | None = None
    turns: tuple[Turn, ...] | None = field(default=None, repr=False)
    """In order of their start; None if there are none to label words with."""


@dataclass(frozen=True, slots=True)
class DiarizationRequest:
    """Who spoke when."""

    recording: Recording
    speakers: SpeakerCount = SpeakerCount()


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """Words and speakers."""

    recording: Recording
    decoding: Decoding = Decoding()
    characters: bool = False
    """The times of single characters are wanted too."""
    speakers: SpeakerCount | None = SpeakerCount()
    """None if nobody asks who speaks."""


@dataclass(frozen=True, slots=True)
class OrchestratedRequest(SingleRequest):
    """Words and speakers, from two endpoints."""

    on_diarization_error: OnDiarizationError = OnDiarizationError.FAIL


_Request = TypeVar("_Request", TranscriptionRequest, DiarizationRequest)


def narrowed(request: OrchestratedRequest, kind: type[_Request], **more: Any) -> _Request:
    """Return a request of another kind that has the same value in every field that both have.

    So a new field reaches the endpoints as soon as their requests have it too. `more` are fields
    of the other kind alone.
    """
    shared = {one.name for one in fields(kind)} & {one.name for one in fields(request)}
    return kind(**{name: getattr(request, name) for name in shared}, **more)
