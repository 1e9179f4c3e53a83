"""From a model's id to files on this machine. The places, in the order in which they are asked:

1. `embedded`: the small models that ship with this project;
2. a file or folder, when the id is a path;
3. the platform's model cache: `/runpod-volume/huggingface-cache/hub/models--<org>--<name>` (its
   layout is Hugging Face's cache);
4. the image: a folder `/models/<org>--<name>` that holds a copy of the model's repository;
5. the network volume: `/runpod-volume/parakeet-models/<org>--<name>`, where `python -m
   core.modelstore --prefetch` puts it;
6. the Hugging Face cache of this machine;
7. the Hugging Face hub, with the token if there is one.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from core.modelstore.kinds import Pipeline, Speech
from core.modelstore.places import ModelLocation, PipelinePart, Places
from core.modelstore.search import (
    COMMUNITY_1,
    EMBEDDED,
    Search,
    display_name,
    find_part,
    wanted_elsewhere,
)

__all__ = [
    "COMMUNITY_1",
    "EMBEDDED",
    "ModelLocation",
    "PipelinePart",
    "Places",
    "display_name",
    "find_diarization_model",
    "find_speech_model",
]

log = logging.getLogger("parakeet.modelstore")


def find_speech_model(
    model_id: str, *, token: str | None = None, places: Places | None = None
) -> ModelLocation:
    """Find the `.nemo` file of a model; what only the hub has is downloaded.

    Raises ModelNotFound where no place has it, ModelAccessDenied where the hub has it and does not
    give it.
    """
    location = Search(Speech(), token, places or Places()).find(model_id)
    log.info("speech model %s: %s", display_name(model_id), location.origin)
    return location


def find_diarization_model(
    model_id: str, *, token: str | None = None, places: Places | None = None
) -> ModelLocation:
    """Find the folder of a pyannote pipeline and of the models that its configuration wants from
    other repositories.

    Raises ModelNotFound where no place has one of them, ModelAccessDenied where the hub has it and
    does not give it.
    """
    places = places or Places()
    location = Search(Pipeline(), token, places).find(model_id)
    parts = tuple(
        find_part(wanted, display_name(model_id), token, places)
        for wanted in wanted_elsewhere(location.path)
    )
    log.info("speaker model %s: %s", display_name(model_id), location.origin)
    return replace(location, parts=parts)
