"""What the reader of a terminal sees, or a program that reads lines of JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.domain.timeline import Transcript
from core.domain.watch import Report, Stage
from handlers.cli.options import Options
from handlers.cli.sources import Item
from handlers.cli.written import shown_speaker

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a recording."""

    item: Item
    transcript: Transcript | None = None
    files: list[Path] = field(default_factory=list)
    error: tuple[str, str] | None = None
    """A code and a sentence."""
    is_skipped: bool = False
    """True if it had its files already."""


class Display(Protocol):
    """Where outcomes and progress are told."""

    def bar(self, item: Item) -> contextlib.AbstractContextManager[Report]:
        """Show the progress of one recording as long as the context; for any thread."""
        ...

    def tell(self, outcome: Outcome) -> None:
        """Tell what became of a recording."""
        ...

    def say(self, line: str) -> None:
        """Tell something else."""
        ...

    def end(self) -> None:
        """Tell about all of them."""
        ...


@contextlib.contextmanager
def display_of(options: Options) -> Iterator[Display]:
    """Yield the display that the options name."""
    if options.as_json:
        yield JsonLines()
        return
    console = Console(stderr=True, highlight=False)
    with _progress(console) as bars:
        yield Terminal(console, bars)


def _progress(console: Console) -> Progress:
    """Return bars that are seen only where somebody looks, and gone when they are full."""
    return Progress(
        TextColumn("{task.fields[name]}", markup=False),
        TextColumn("[dim]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class Terminal:
    """Bars while it works, a line for each recording, a table of speakers at the end."""

    def __init__(self, console: Console, bars: Progress) -> None:
        self._console, self._bars = console, bars
        self._done: list[Outcome] = []

    @contextlib.contextmanager
    def bar(self, item: Item) -> Iterator[Report]:
        """See `Display`."""
        task = self._bars.add_task("starting", total=1.0, name=_plain(_short(item.shown)))

        def report(stage: Stage, fraction: float) -> None:
            self._bars.update(task, description=str(stage), completed=min(1.0, fraction))

        try:
            yield report
        finally:
            self._bars.remove_task(task)

    def tell(self, outcome: Outcome) -> None:
        """See `Display`."""
        self._done.append(outcome)
        shown = outcome.item.shown
        if outcome.error:
            self.say(f"{shown}: {': '.join(outcome.error)}")
            return
        files = ", ".join(map(str, outcome.files))
        self.say(f"{shown} has {files}" if outcome.is_skipped else f"{shown} → {files}")
        for warning in outcome.transcript.told if outcome.transcript else ():
            self.say(f"  warning: {warning}")

    def say(self, line: str) -> None:
        """See `Display`."""
        self._console.print(_plain(line), markup=False, soft_wrap=True)

    def end(self) -> None:
        """See `Display`."""
        self._bars.stop()
        written = [one.transcript for one in self._done if one.transcript]
        if any(transcript.diarized for transcript in written):
            self._console.print(_table(self._done))
        failed = sum(bool(one.error) for one in self._done)
        skipped = sum(one.is_skipped for one in self._done)
        self.say(f"{len(written)} written, {skipped} there already, {failed} failed")


class JsonLines:
    """A line of JSON on standard output for each recording, when it is done."""

    @contextlib.contextmanager
    def bar(self, item: Item) -> Iterator[Report]:  # noqa: ARG002  nobody watches
        """See `Display`."""
        yield lambda _stage, _fraction: None

    def tell(self, outcome: Outcome) -> None:
        """See `Display`."""
        line = json.dumps(_as_json(outcome), ensure_ascii=False)
        # Names of files need not be UTF-8; half a character is written as JSON escapes it.
        print(line.encode(errors="backslashreplace").decode(), flush=True)

    def say(self, line: str) -> None:
        """See `Display`."""
        print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """See `Display`."""


def _as_json(outcome: Outcome) -> dict[str, Any]:
    status = "skipped" if outcome.is_skipped else "failed" if outcome.error else "written"
    said: dict[str, Any] = {"source": outcome.item.shown, "status": status}
    if outcome.error:
        code, sentence = outcome.error
        return said | {"error": {"code": code, "message": sentence}}
    said["files"] = [str(path) for path in outcome.files]
    if transcript := outcome.transcript:
        said |= {
            "duration": transcript.duration,
            "language": transcript.language,
            "warnings": list(transcript.told),
            "speakers": [
                {"speaker": speaker, "seconds": round(spoken_s, 3), "words": words}
                for speaker, spoken_s, words in _spoken(transcript)
            ],
        }
    return said


def _spoken(transcript: Transcript) -> list[tuple[str | None, float, int]]:
    """Return each speaker with the seconds and the words of his segments."""
    if not transcript.diarized:
        return []
    totals: dict[str | None, tuple[float, int]] = {}
    for segment in transcript.segments:
        spoken_s, words = totals.get(segment.speaker, (0.0, 0))
        totals[segment.speaker] = (spoken_s + segment.duration, words + len(segment.words))
    return [(speaker, *total) for speaker, total in totals.items()]


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("recording", "length", "speaker", "time", "words", title="Speakers")
    for outcome in outcomes:
        if not (transcript := outcome.transcript):
            continue
        name, length = _short(outcome.item.shown), _clock(transcript.duration)
        for speaker, spoken_s, words in _spoken(transcript):
            row = (name, length, shown_speaker(speaker), _clock(spoken_s), str(words))
            table.add_row(*(_plain(cell).replace("[", r"\[") for cell in row))
            name = length = ""
    return table


def _plain(text: str) -> str:
    """Return a text without what a terminal obeys: names and sentences come from elsewhere."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text
    )


def _short(shown: str) -> str:
    return shown if len(shown) <= _LONGEST_NAME else f"…{shown[1 - _LONGEST_NAME :]}"


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
