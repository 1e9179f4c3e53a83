"""The flows of the roles that have models, loaded by the settings."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from core import modelstore
from core.engine import garbage
from core.errors import ModelNotFound
from core.flows.diarization import DiarizationFlow
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.media.job_folder import check_temp_dir
from core.settings import Settings
from core.speakers.diarizer import Diarizer
from core.speakers.pyannote import PyannoteDiarizer
from core.speech.engine import SpeechEngine
from core.speech.nemo_archive import WeightsAhead
from core.speech.parakeet import ParakeetModel
from core.speech.transcriber import BatchTranscriber, Transcriber
from core.speech.whisper import WhisperModel

_ENGINES: dict[str, Callable[..., SpeechEngine]] = {
    "nemo": ParakeetModel,
    "whisper": WhisperModel,
}
"""The engines of speech models, by `ModelLocation.kind`."""
_LIBRARIES = {"nemo": "nemo", "whisper": "faster_whisper"}
"""The library that each engine imports; not every image has both."""


@garbage.kept()
def load_single(settings: Settings) -> SingleFlow:
    """Load both models.

    The speaker model comes first: a TDT decode with CUDA graphs can break `torch.load` for the rest
    of the process (NeMo issue 15423).
    """
    reader = _reader(settings)
    speech = _SpeechModel(settings)
    diarizer = _load_diarizer(settings)
    return SingleFlow(reader, speech.load(), diarizer)


@garbage.kept()
def load_transcription(settings: Settings) -> TranscriptionFlow:
    """Load the speech model."""
    return TranscriptionFlow(_reader(settings), _SpeechModel(settings).load())


@garbage.kept()
def load_diarization(settings: Settings) -> DiarizationFlow:
    """Load the speaker model."""
    return DiarizationFlow(_reader(settings), _load_diarizer(settings))


def _reader(settings: Settings) -> Reader:
    """Try the disk before the models are loaded, which takes long."""
    check_temp_dir(settings.temp_dir)
    return Reader(settings)


class _SpeechModel:
    """The speech model in its place, found; its weights may be on their way already."""

    def __init__(self, settings: Settings) -> None:
        self._location = modelstore.find_speech_model(settings.model_id, token=settings.hub_token)
        self._name = modelstore.display_name(settings.model_id)
        self._engine = _engine(self._location.kind, self._name)
        self._options: dict[str, Any] = {"eager_imports": settings.eager_imports}
        if self._location.kind == "nemo":
            self._options |= {
                "cuda_graphs": settings.cuda_graphs,
                "precision": settings.speech_precision,
                "weights": WeightsAhead(self._location.path),
            }
        else:
            self._options["beam_size"] = settings.beam_size

    def load(self) -> Transcriber:
        with modelstore.verified(self._location):
            return BatchTranscriber(
                lambda: self._engine(self._location.path, **self._options), name=self._name
            )


def _engine(kind: str, model: str) -> Callable[..., SpeechEngine]:
    if importlib.util.find_spec(_LIBRARIES[kind]) is None:
        other = "SPEECH=parakeet" if kind == "nemo" else "SPEECH=whisper"
        raise ModelNotFound(
            f"{model} is a model for {_LIBRARIES[kind]}, which this image does not have: set "
            f"MODEL_ID to another model, or build the image with --build-arg {other}"
        )
    return _ENGINES[kind]


def _load_diarizer(settings: Settings) -> Diarizer:
    location = modelstore.find_diarization_model(
        settings.diarization_model_id, token=settings.hub_token
    )
    with modelstore.verified(location):
        return PyannoteDiarizer(
            location,
            speed=settings.diarization_speed,
            threshold=settings.known_speaker_threshold,
            margin=settings.known_speaker_margin,
            eager_imports=settings.eager_imports,
        )
