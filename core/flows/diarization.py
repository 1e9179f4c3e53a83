"""The diarization worker's flow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.parts import DiarizedPart
from core.domain.request import DiarizationRequest, Part, SpeakerCount
from core.domain.timeline import Diarization
from core.domain.watch import Watch
from core.flows.progress import JobProgress
from core.flows.recording import Reader
from core.flows.speakers import SpeakerSearch, check, diarize
from core.flows.usage import told
from core.media.audio import SAMPLE_RATE, Waveform
from core.speakers import shares
from core.speakers.diarizer import Diarizer
from core.speakers.shares import Share


@dataclass(frozen=True, slots=True)
class DiarizationFlow:
    """Finds who spoke when."""

    reader: Reader
    diarizer: Diarizer
    least_part_s: float = shares.LEAST_S
    """The shortest part of a recording, in seconds."""

    def run(self, request: DiarizationRequest, watch: Watch) -> Diarization:
        """See `Flow`."""
        watch = JobProgress(watch).together
        check(self.diarizer, request.known_speakers)
        if request.part is not None:
            return self._part(request, request.part, watch)
        waveform = self.reader.waveform(request.recording, watch)
        found = self._search.hear(waveform, request, watch)
        warnings = (*waveform.warnings, *found.warnings)
        found = replace(found, warnings=warnings, duration=waveform.end)
        return told(found, request.recording, watch, model=self.reader.speaker_model)

    def _part(self, request: DiarizationRequest, part: Part, watch: Watch) -> DiarizedPart:
        """Decode the whole, for only its end shows where a part of it is, and keep the part."""
        whole = self.reader.waveform(request.recording, watch)
        share = Share.of(part, whole.end, least_s=self.least_part_s)
        duration, warnings = whole.end, whole.warnings
        piece = _cut(whole, share)
        del whole
        found = self._search.hear_part(piece, share, request, watch)
        found = replace(found, duration=duration, warnings=(*warnings, *found.warnings))
        model, audio_s = self.reader.speaker_model, share.heard.duration
        return told(found, request.recording, watch, model=model, audio_s=audio_s)

    @property
    def _search(self) -> SpeakerSearch:
        return SpeakerSearch(self.reader, self.diarizer)

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through the model."""
        diarize(self.diarizer, self.reader.rehearsal(recording), SpeakerCount(), Watch())


def _cut(whole: Waveform, share: Share) -> Waveform:
    start, end = (round(at * SAMPLE_RATE) for at in (share.heard.start, share.heard.end))
    samples = whole.samples if share.is_whole else whole.samples[start:end].copy()
    return Waveform(samples, share.heard.start)
