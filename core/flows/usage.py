"""What a job took, told with its result."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from core.domain.request import Recording
from core.domain.timeline import Diarization, Transcript
from core.domain.usage import Usage
from core.domain.watch import Watch

_Result = TypeVar("_Result", bound=Transcript | Diarization)


def told(
    result: _Result,
    recording: Recording,
    watch: Watch,
    *,
    model: str | None,
    audio_s: float | None = None,
) -> _Result:
    """Return a result with what the job took.

    `audio_s` is the length of the sound if it is not all of what was asked for.
    """
    if audio_s is None:
        audio_s = max(0.0, result.duration - recording.range.start)
    return replace(result, usage=Usage(audio_s, model, watch.clock.spent_s))
