"""Fetch models before they are needed, and check those that are there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from core.errors import ModelNotFound
from core.modelstore.hub import Hub
from core.modelstore.ids import display_name, is_path, split_revision
from core.modelstore.places import EMBEDDED
from core.modelstore.prefetch import Asked, Shelf
from core.settings import Settings


def tend(ids: Sequence[Asked], folder: Path, *, prefetch: bool, check: bool) -> None:
    """Fetch models into a folder if they are not there, then compare their files, as asked.

    Without ids, those of MODEL_ID and DIARIZATION_MODEL_ID. Raise ModelNotFound, ModelAccessDenied,
    SettingsError; OSError if the folder cannot be written.
    """
    settings = Settings.from_environment()
    if not folder.parent.is_dir():
        raise ModelNotFound(
            f"there is no {folder.parent}: attach a network volume to the endpoint, or name "
            "a folder with --to"
        )
    shelf = Shelf(folder, Hub(None, settings.hub_token))
    for model_id, revision in ids or _of_the_environment(settings):
        if prefetch:
            shelf.fill(model_id, revision)
        if check:
            shelf.check(model_id, revision)


def _of_the_environment(settings: Settings) -> list[Asked]:
    models = [settings.model_id, settings.diarization_model_id]
    for model_id in models:
        if model_id == EMBEDDED or is_path(model_id):
            logging.info("%s: nothing to fetch", display_name(model_id))
    return [
        split_revision(model_id)
        for model_id in models
        if model_id != EMBEDDED and not is_path(model_id)
    ]
