"""What every speaker model offers."""

from __future__ import annotations

from typing import Protocol

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Voice
from core.domain.watch import IsCancelled, Progress
from core.media.audio import Waveform
from core.speakers.identify import Matching


class Diarizer(Protocol):
    """A speaker model."""

    def diarize(
        self,
        waveform: Waveform,
        *,
        speakers: SpeakerCount,
        progress: Progress,
        cancelled: IsCancelled,
        voices: bool = False,
    ) -> Diarization:
        """Return who speaks when, in the recording's time, and with `voices` how they sound.

        Raises Cancelled, OutOfMemory, ModelFailed.
        """
        ...

    @property
    def matching(self) -> Matching:
        """How alike two of this model's voices must be to be one person's."""
        ...

    @property
    def linking(self) -> float:
        """The least cosine of one person's voices in two parts of a recording."""
        ...

    def voice(self, waveform: Waveform, *, cancelled: IsCancelled) -> tuple[Voice, tuple[str, ...]]:
        """Return the voice of the one person who speaks, and what is doubtful about it.

        Raises VoiceTooShort, Cancelled, OutOfMemory, ModelFailed.
        """
        ...

    def check(self, voice: Voice) -> None:
        """Raise InvalidRequest if a voice cannot be compared with this model's."""
        ...
