"""The flows of the roles that have models, loaded by the settings."""

from __future__ import annotations

from collections.abc import Callable

from core import modelstore
from core.flows.diarization import DiarizationFlow
from core.flows.recording import Reader
from core.flows.single import SingleFlow
from core.flows.transcription import TranscriptionFlow
from core.media.job_folder import check_temp_dir
from core.settings import Settings
from core.speakers.diarizer import Diarizer
from core.speakers.pyannote import PyannoteDiarizer
from core.speech.engine import SpeechEngine
from core.speech.languages import languages_of
from core.speech.parakeet import ParakeetModel
from core.speech.transcriber import BatchTranscriber, Transcriber

_ENGINES: dict[str, Callable[..., SpeechEngine]] = {"nemo": ParakeetModel}
"""The engines of speech models, by `ModelLocation.kind`."""


def load_single(settings: Settings) -> SingleFlow:
    """Load both models.

    The speaker model comes first: a TDT decode with CUDA graphs can break `torch.load` for the rest
    of the process (NeMo issue 15423).
    """
    reader = _reader(settings)
    diarizer = _load_diarizer(settings)
    return SingleFlow(reader, _load_transcriber(settings), diarizer)


def load_transcription(settings: Settings) -> TranscriptionFlow:
    """Load the speech model."""
    return TranscriptionFlow(_reader(settings), _load_transcriber(settings))


def load_diarization(settings: Settings) -> DiarizationFlow:
    """Load the speaker model."""
    return DiarizationFlow(_reader(settings), _load_diarizer(settings))


def _reader(settings: Settings) -> Reader:
    """Try the disk before the models are loaded, which takes long."""
    check_temp_dir(settings.temp_dir)
    return Reader(settings)


def _load_transcriber(settings: Settings) -> Transcriber:
    location = modelstore.find_speech_model(settings.model_id, token=settings.hub_token)
    name = modelstore.display_name(settings.model_id)
    load = _ENGINES[location.kind]
    with modelstore.verified(location):
        return BatchTranscriber(
            lambda: load(
                location.path,
                eager_imports=settings.eager_imports,
                **_options(location.kind, settings),
            ),
            name=name,
            languages=languages_of(name),
        )


def _options(kind: str, settings: Settings) -> dict[str, str]:
    """Return what only one engine knows."""
    if kind != "nemo":
        return {}
    return {"cuda_graphs": settings.cuda_graphs, "precision": settings.speech_precision}


def _load_diarizer(settings: Settings) -> Diarizer:
    location = modelstore.find_diarization_model(
        settings.diarization_model_id, token=settings.hub_token
    )
    with modelstore.verified(location):
        return PyannoteDiarizer(
            location, speed=settings.diarization_speed, eager_imports=settings.eager_imports
        )
