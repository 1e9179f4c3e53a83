"""A transcript as files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from urllib.parse import quote

from core.domain.timeline import Diarization, Transcript
from core.domain.writing import joined
from core.wire import html
from core.wire.form import DiarizationFormat, Form, TranscriptFormat
from core.wire.render import render
from handlers.cli.answers import turns_of


def write(
    transcript: Transcript, formats: Sequence[str], stem: Path, recording: Path | None = None
) -> list[Path]:
    """Write a transcript in each format and return the files.

    A file of its final name is whole: all are written under other names first. The page knows the
    way to `recording`, if that is a file.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    halves: list[tuple[Path, Path]] = []
    try:
        for name in formats:
            half, whole = half_of(stem, name), file_of(stem, name)
            halves.append((half, whole))
            is_page = name == "html"
            text = _page(transcript, stem, recording) if is_page else _WRITERS[name](transcript)
            half.write_text(text, encoding="utf-8", errors="replace")
        for half, whole in halves:
            half.replace(whole)
    finally:
        for half, _ in halves:
            half.unlink(missing_ok=True)
    return [whole for _, whole in halves]


def file_of(stem: Path, name: str) -> Path:
    """Return the file of a format."""
    return stem.with_name(f"{stem.name}.{name}")


def half_of(stem: Path, name: str) -> Path:
    """Return the name of that file until it is whole; another process has another.

    It is short: that of the file may be as long as a name can be.
    """
    return stem.with_name(f".{name}.{os.getpid()}.part")


def shown_speaker(name: str | None) -> str:
    """Return a speaker's name as people read it."""
    if name is None:
        return "Nobody"
    return f"Speaker {name}" if name.isdigit() or len(name) == 1 else name


def _text(transcript: Transcript) -> str:
    """Return a paragraph for each stretch of one speaker."""
    paragraphs = []
    for speaker, run in groupby(transcript.segments, key=attrgetter("speaker")):
        text = joined(segment.text for segment in run)
        paragraphs.append(f"{shown_speaker(speaker)}: {text}" if transcript.diarized else text)
    return "".join(f"{paragraph}\n" for paragraph in "\n\n".join(paragraphs).split("\n"))


def _as(name: TranscriptFormat) -> Callable[[Transcript], str]:
    return lambda transcript: str(render(transcript, Form(name))[name])


def _page(transcript: Transcript, stem: Path, recording: Path | None) -> str:
    way = os.path.relpath(recording, stem.absolute().parent) if recording else ""
    return str(html.page(transcript, title=stem.name, recording=quote(os.fsencode(way)))["html"])


def _json(transcript: Transcript) -> str:
    answer = render(transcript, Form(TranscriptFormat.VERBOSE_JSON))
    return json.dumps(answer, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _rttm(transcript: Transcript) -> str:
    turns = transcript.turns or turns_of(transcript.words, is_split=transcript.is_split)
    told = Diarization(turns, turns, duration=transcript.duration)
    return str(render(told, Form(DiarizationFormat.RTTM))["rttm"])


_WRITERS: dict[str, Callable[[Transcript], str]] = {
    "srt": _as(TranscriptFormat.SRT),
    "vtt": _as(TranscriptFormat.VTT),
    "txt": _text,
    "json": _json,
    "rttm": _rttm,
}
