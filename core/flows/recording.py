"""From a request's recording to samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.domain.request import Recording
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.media import audio, fetch
from core.media.job_folder import job_folder
from core.modelstore.ids import display_name
from core.settings import Settings

_REHEARSAL_S = 0.6
"""As much of a recording is rehearsed: less than what is heard again if no word is found in it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Fetches and decodes recordings."""

    settings: Settings

    @property
    def speech_model(self) -> str:
        """The name of the worker's speech model."""
        return display_name(self.settings.model_id)

    @property
    def speaker_model(self) -> str:
        """The name of the worker's speaker model."""
        return display_name(self.settings.diarization_model_id)

    def waveform(self, recording: Recording, watch: Watch) -> audio.Waveform:
        """Fetch and decode a recording in one piece; delete its file before any model runs."""
        with self.file(recording, watch) as path:
            return self.decoded(path, recording, watch)

    @contextlib.contextmanager
    def file(self, recording: Recording, watch: Watch) -> Iterator[Path]:
        """Fetch a recording; its file exists as long as the context."""
        with job_folder(self.settings.temp_dir) as folder:
            watch.report(Stage.DOWNLOADING, 0.0)
            with watch.clock.at(Work.DOWNLOAD):
                path = fetch.fetch(
                    recording.source, folder, settings=self.settings, cancelled=watch.cancelled
                )
            yield path

    def stream(
        self, path: Path, recording: Recording, watch: Watch, *, channel: int | None = None
    ) -> audio.Stream:
        """Open the requested range of a local file: all channels as one, or one of them."""
        watch.report(Stage.DECODING, 0.0)
        with watch.clock.at(Work.DECODE):
            return audio.Stream(
                path,
                max_duration_s=self.settings.max_audio_duration,
                start_s=recording.range.start,
                end_s=recording.range.end,
                cancelled=watch.cancelled,
                channel=channel,
            )

    def decoded(self, path: Path, recording: Recording, watch: Watch) -> audio.Waveform:
        """Decode the requested range of a local file in one piece."""
        with watch.clock.at(Work.DECODE):
            return self.stream(path, recording, watch).read()

    def rehearsal(self, path: Path) -> audio.Waveform:
        """Decode the beginning of one of our own recordings."""
        return audio.Stream(path, max_duration_s=60.0, end_s=_REHEARSAL_S).read()
