"""What a model's id can be: `embedded`, a path, or `org/name@revision` on the hub."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import ModelNotFound
from core.modelstore.kinds import registered
from core.modelstore.pipeline_config import COMMUNITY_1

_PART = r"(?![.-])[A-Za-z0-9_.-]{1,96}(?<![.-])"
_HUB_ID = re.compile(rf"{_PART}/{_PART}(?<!\.git)")
_REVISION = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", re.ASCII)


def is_path(model_id: str) -> bool:
    """Tell whether an id names a file or folder of this machine."""
    suffixes = tuple(kind.suffix for kind in registered() if kind.suffix)
    return model_id.startswith(("/", ".", "~")) or model_id.endswith(suffixes) or _exists(model_id)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # too long for a path
        return False


def split_revision(model_id: str) -> tuple[str, str | None]:
    """Return the id on the hub, and the revision after the `@`: a commit, a tag or a branch."""
    name, _, revision = model_id.partition("@")
    return name, revision or None


def display_name(model_id: str) -> str:
    """Return the model's name for messages: its id without the revision, or the last part of a
    path.
    """
    return Path(model_id).name if is_path(model_id) else split_revision(model_id)[0]


def check_hub_id(model_id: str, revision: str | None = None) -> None:
    """Raise ModelNotFound if this cannot be an id, or a revision, on the hub."""
    if not _HUB_ID.fullmatch(model_id) or "--" in model_id or ".." in model_id:
        raise ModelNotFound(
            f"{model_id[:100]!r} is neither a path nor a Hugging Face id such as {COMMUNITY_1}"
        )
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise ModelNotFound(
            f"{revision[:100]!r} cannot be a revision of {model_id}; give its commit"
        )
