"""The repositories that hold well-known models in the form that their engine reads.

Whisper's own repositories have the weights in PyTorch's form; CTranslate2 reads another.
"""

from __future__ import annotations

from core.errors import ModelNotFound

_SIZES = (
    *("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"),
    *("large-v1", "large-v2", "large-v3"),
)
_DISTILLED = ("distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3")

CONVERTED = {
    **{f"openai/whisper-{size}": f"Systran/faster-whisper-{size}" for size in _SIZES},
    "openai/whisper-large": "Systran/faster-whisper-large-v1",
    "openai/whisper-large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    **{
        f"distil-whisper/{name}": f"Systran/faster-{name.replace('distil-', 'distil-whisper-')}"
        for name in _DISTILLED
    },
    "distil-whisper/distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
"""As faster-whisper 1.2.1 has them (`faster_whisper/utils.py`), by the id of the original."""


def converted(model_id: str, revision: str | None) -> str:
    """Return the id of the repository to read a model from, which is most often its own.

    Raise ModelNotFound if a revision of a model is asked for whose files are in another repository.
    """
    repository = CONVERTED.get(model_id, model_id)
    if revision is not None and repository != model_id:
        raise ModelNotFound(
            f"{model_id} is read from {repository}, which has other revisions: give its id, with "
            "its own revision"
        )
    return repository
