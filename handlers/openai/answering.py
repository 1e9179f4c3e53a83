"""From a transcript to the body of a response."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from core.domain.timeline import Transcript
from core.wire import usage
from core.wire.fields import Answer
from core.wire.render import render
from handlers.openai.asking import Question

_PLAIN = {
    "text": "text/plain",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "html": "text/html",
}
"""The formats that are a text and no JSON, with their media types."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a response carries."""

    content: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def answer(transcript: Transcript, question: Question) -> Body:
    """Return the transcript in the form asked for, with all warnings."""
    transcript = replace(transcript, warnings=(*transcript.warnings, *question.warnings))
    warnings = transcript.told
    rendered = render(transcript, question.form)
    name = str(question.form.response_format)
    if media_type := _PLAIN.get(name):
        told = {"X-Warnings": _header("; ".join(warnings))} if warnings else {}
        text = str(rendered[name]).encode("utf-8", "replace")
        return Body(text, f"{media_type}; charset=utf-8", told)
    if name == "json" and transcript.usage is not None:
        rendered["usage"] = usage.openai(transcript.usage)
    for left_out in question.left_out if name == "verbose_json" else ():
        rendered.pop(left_out, None)
    return Body(as_json(rendered))


def as_json(value: Answer) -> bytes:
    """Write a value, with `?` for half a character."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8", "replace")


def _header(text: str) -> str:
    """Return a text as a header may have it: one line of ASCII, not long."""
    return " ".join(text.encode("ascii", "replace").decode().split())[:2000]
