"""A call of a diarizer in one line."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization
from core.media.audio import Waveform
from core.speakers.diarizer import Diarizer

UNBOUNDED = SpeakerCount()


def diarize(
    diarizer: Diarizer,
    waveform: Waveform,
    speakers: SpeakerCount = UNBOUNDED,
    *,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    voices: bool = False,
) -> Diarization:
    """Diarize. By default nobody watches or cancels, and any number of speakers is fine."""
    return diarizer.diarize(
        waveform, speakers=speakers, progress=progress, cancelled=cancelled, voices=voices
    )
