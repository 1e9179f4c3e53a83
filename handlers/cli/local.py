"""The models on this machine."""

from __future__ import annotations

import threading

from core.domain.request import Decoding, LocalFile, Recording, SingleRequest, Source
from core.domain.timeline import Transcript
from core.domain.watch import Watch
from core.flows.single import SingleFlow
from core.settings import Settings
from handlers.cli.options import Question


class LocalWay:
    """Runs the single worker's flow in this process; the first recording loads the models."""

    def __init__(self, settings: Settings) -> None:
        self.name = f"local {settings.model_id} {settings.diarization_model_id}"
        self._settings = settings
        self._loading = threading.Lock()
        self._flow: SingleFlow | None = None

    def transcribe(
        self, source: Source | LocalFile, question: Question, watch: Watch
    ) -> Transcript:
        """See `Way`."""
        request = SingleRequest(
            Recording(source),
            Decoding(question.language, keyterms=question.keyterms),
            speakers=question.speakers,
            channels=question.channels,
            edits=question.edits,
            known_speakers=question.known,
        )
        return self._loaded().run(request, watch)

    def _loaded(self) -> SingleFlow:
        with self._loading:
            if self._flow is None:
                from core.flows.load import load_single

                self._flow = load_single(self._settings)
            return self._flow
