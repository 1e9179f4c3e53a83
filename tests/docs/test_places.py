"""Where models come from: the table of docs/RUNPOD_DEPLOYMENT.md against core/modelstore, with a
model in every place.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.modelstore import EMBEDDED, Places, find_speech_model
from tests.core.modelstore.test_modelstore import REPOSITORIES, SPEECH, snapshot, write
from tests.docs.pages import ROOT, read, rows
from tests.hub import Hub, serve

TABLE = rows(read("RUNPOD_DEPLOYMENT"), "Where models come from")
FIELDS = {str(field.default): field.name for field in dataclasses.fields(Places)}
"""The places by the folders that they are in production."""


def test_the_places_are_asked_in_the_order_of_the_table(tmp_path: Path) -> None:
    """With a model in all of them the first gives it; when that is gone, the next; each calls
    itself as the table says.
    """
    model = REPOSITORIES[SPEECH]
    with serve(Hub(REPOSITORIES)) as hub:
        folders = {name: tmp_path / name for path, name in FIELDS.items() if path != "None"} | {
            "hub_cache": tmp_path / "hub_cache"
        }
        places = Places(**folders, hub=hub.url)
        snapshot(places.platform_cache, SPEECH, "a" * 40, model, is_main=True)
        snapshot(folders["hub_cache"], SPEECH, "a" * 40, model, is_main=True)
        write(places.image / SPEECH.replace("/", "--"), model)
        _prefetch(hub, folders[FIELDS["/runpod-volume/parakeet-models"]], tmp_path)
        asked = [_folder(row[1], folders) for row in TABLE[2:]]
        origins = []
        for folder in asked:
            origins.append(find_speech_model(SPEECH, places=places).origin)
            if folder is not None:
                shutil.rmtree(folder)
    assert origins == [row[2].strip("`") for row in TABLE[2:]]


def test_an_id_that_is_no_hubs_is_looked_for_where_it_says(tmp_path: Path) -> None:
    """The first two rows."""
    write(tmp_path / "embedded", {"speech.nemo": b"weights"})
    places: Any = Places(embedded=tmp_path / "embedded")
    origins = [
        find_speech_model(model_id, places=places).origin
        for model_id in (EMBEDDED, str(tmp_path / "embedded" / "speech.nemo"))
    ]
    assert origins == [row[2].strip("`") for row in TABLE[:2]]


def _folder(cell: str, folders: dict[str, Path]) -> Path | None:
    """Return the folder to remove so that a row's place is empty; None for the hub, the last."""
    named = re.search(r"`(/[^`]+)`", cell)
    if named:
        return folders[FIELDS[named[1]]]
    return folders["hub_cache"] if "cache" in cell else None


def _prefetch(hub: Hub, folder: Path, home: Path) -> None:
    """Fill a volume as the page says."""
    environment = {"HF_ENDPOINT": hub.url, "HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "core.modelstore", "--prefetch", SPEECH, "--to", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
