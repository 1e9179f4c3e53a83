"""The diarization worker's flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.request import DiarizationRequest, SpeakerCount
from core.domain.timeline import Diarization
from core.domain.watch import Watch
from core.flows.progress import JobProgress
from core.flows.recording import Reader
from core.flows.speakers import SpeakerSearch, check, diarize
from core.flows.usage import told
from core.speakers.diarizer import Diarizer


@dataclass(frozen=True, slots=True)
class DiarizationFlow:
    """Finds who spoke when."""

    reader: Reader
    diarizer: Diarizer

    def run(self, request: DiarizationRequest, watch: Watch) -> Diarization:
        """See `Flow`."""
        watch = JobProgress(watch).together
        check(self.diarizer, request.known_speakers)
        waveform = self.reader.waveform(request.recording, watch)
        found = SpeakerSearch(self.reader, self.diarizer).hear(waveform, request, watch)
        warnings = (*waveform.warnings, *found.warnings)
        found = replace(found, warnings=warnings, duration=waveform.end)
        return told(found, request.recording, watch, model=self.reader.speaker_model)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through the model."""
        diarize(self.diarizer, self.reader.rehearsal(recording), SpeakerCount(), Watch())
