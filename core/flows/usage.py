"""What a job took and was about, told with its result."""

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
    """Return a result with what the job took and, if it has words, the start of its range.

    `audio_s` is the length of the sound if it is not all of what was asked for.
    """
    if audio_s is None:
        audio_s = max(0.0, result.duration - recording.range.start)
    usage = Usage(audio_s, model, watch.clock.spent_s)
    if isinstance(result, Transcript):
        return replace(result, usage=usage, start=recording.range.start)
    return replace(result, usage=usage)
