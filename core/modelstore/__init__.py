"""From a model's id to files on this machine. The places, in the order in which they are asked:

1. `embedded`: the small models that ship with this project;
2. a file or folder, if the id is a path;
3. the platform's model cache: `/runpod-volume/huggingface-cache/hub/models--<org>--<name>` (its
   layout is Hugging Face's cache);
4. the image: a folder `/models/<org>--<name>` that holds a copy of the model's repository;
5. the network volume: `/runpod-volume/parakeet-models/<org>--<name>`, where `python -m
   core.modelstore --prefetch` puts it;
6. the Hugging Face cache of this machine;
7. the Hugging Face hub, with the token if there is one.

An id on the hub may end in `@` and a revision. Then a place counts only if it has that revision,
and an image or a volume must have a marker that says so.

A Whisper model under its well-known id, such as `openai/whisper-large-v3`, is read from the
repository that has it converted.
"""

from __future__ import annotations

import logging

from core.modelstore.ids import display_name, is_path
from core.modelstore.kinds import registered
from core.modelstore.pipeline_config import COMMUNITY_1
from core.modelstore.places import EMBEDDED, ModelLocation, PipelinePart, Places
from core.modelstore.search import Search
from core.modelstore.verify import verified

__all__ = [
    "COMMUNITY_1",
    "EMBEDDED",
    "ModelLocation",
    "PipelinePart",
    "Places",
    "display_name",
    "find_diarization_model",
    "find_speech_model",
    "verified",
]

log = logging.getLogger("parakeet.modelstore")


def find_speech_model(
    model_id: str, *, token: str | None = None, places: Places | None = None
) -> ModelLocation:
    """Find a speech model of any registered kind; download it if only the hub has it.

    Raises ModelNotFound if no place has it, ModelAccessDenied if the hub refuses it.
    """
    location = Search(registered("speech"), token, places or Places()).find(model_id)
    log.info("speech model %s: %s", _shown(model_id), location.origin)
    return location


def find_diarization_model(
    model_id: str, *, token: str | None = None, places: Places | None = None
) -> ModelLocation:
    """Find a speaker model and the models that it takes from other repositories.

    Raises ModelNotFound if no place has one of them, ModelAccessDenied if the hub refuses one.
    """
    location = Search(registered("speakers"), token, places or Places()).find(model_id)
    log.info("speaker model %s: %s", _shown(model_id), location.origin)
    return location


def _shown(model_id: str) -> str:
    return display_name(model_id) if is_path(model_id) else model_id
