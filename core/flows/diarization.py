"""The diarization worker's flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.request import DiarizationRequest, SpeakerCount
from core.domain.timeline import Diarization
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.flows.progress import JobProgress
from core.flows.recording import Reader
from core.flows.usage import told
from core.media.audio import Waveform
from core.speakers.diarizer import Diarizer


def diarize(
    diarizer: Diarizer, waveform: Waveform, speakers: SpeakerCount, watch: Watch
) -> Diarization:
    """Find who speaks when in a waveform."""
    with watch.clock.at(Work.SPEAKERS):
        return diarizer.diarize(
            waveform,
            speakers=speakers,
            progress=watch.stage(Stage.DIARIZING),
            cancelled=watch.cancelled,
        )


@dataclass(frozen=True, slots=True)
class DiarizationFlow:
    """Finds who spoke when."""

    reader: Reader
    diarizer: Diarizer

    def run(self, request: DiarizationRequest, watch: Watch) -> Diarization:
        """See `Flow`."""
        watch = JobProgress(watch).together
        waveform = self.reader.waveform(request.recording, watch)
        found = diarize(self.diarizer, waveform, request.speakers, watch)
        warnings = (*waveform.warnings, *found.warnings)
        found = replace(found, warnings=warnings, duration=waveform.end)
        return told(found, request.recording, watch, model=self.reader.speaker_model)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through the model."""
        diarize(self.diarizer, self.reader.rehearsal(recording), SpeakerCount(), Watch())
