"""What every speaker model offers."""

from __future__ import annotations

from typing import Protocol

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization
from core.domain.watch import IsCancelled, Progress
from core.media.audio import Waveform


class Diarizer(Protocol):
    """A speaker model."""

    def diarize(
        self,
        waveform: Waveform,
        *,
        speakers: SpeakerCount,
        progress: Progress,
        cancelled: IsCancelled,
    ) -> Diarization:
        """Return who speaks when, in the recording's time.

        Raises Cancelled, OutOfMemory, ModelFailed.
        """
        ...
