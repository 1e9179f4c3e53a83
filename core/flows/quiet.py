"""Speech that only the speaker model heard, heard once more from the recording's file."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.request import Range
from core.domain.timeline import Diarization, Span, Transcription
from core.domain.watch import Watch
from core.transcript.quiet import Quiet

Hear = Callable[[Range, Watch], Transcription]
"""Transcribes a range of the recording."""


def with_quiet(
    found: Transcription, diarization: Diarization | None, heard: Span, hear: Hear, watch: Watch
) -> Transcription:
    """Return what has been found in what was heard, with the words of gaps inside of turns.

    Whoever listens was told all words already, so nothing is added then. Raise what `hear` raises.
    """
    quiet = None if watch.heard else Quiet.of(found, diarization, heard)
    if quiet is None:
        return found
    return quiet.filled(hear(quiet.range, Watch(cancelled=watch.cancelled, clock=watch.clock)))
