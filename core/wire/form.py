"""The formats of answers, and a request's choice among them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.request import Task


class TranscriptFormat(StrEnum):
    """The formats of an answer with words."""

    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    DIARIZED_JSON = "diarized_json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    HTML = "html"


class DiarizationFormat(StrEnum):
    """The formats of an answer with speakers alone."""

    JSON = "json"
    RTTM = "rttm"


class WorkerFormat(StrEnum):
    """The formats that only our own workers ask for."""

    COMPACT = "compact"
    """See `core.wire.compact`."""


@dataclass(frozen=True, slots=True)
class Form:
    """How to write one answer."""

    response_format: TranscriptFormat | DiarizationFormat | WorkerFormat
    timestamps: bool = False
    """Add the times of words, segments and characters, whatever the format."""
    task: Task = Task.TRANSCRIBE
    """What was written down."""
