"""Make the embedding model of `make people` one of pyannote's.

A worker reads a checkpoint only if its class is one of pyannote's own models. With this folder on
PYTHONPATH, Python imports this module at its start, and `campplus.py` is found as the module
`pyannote.audio.models.embedding.campplus`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

NAME = "pyannote.audio.models.embedding.campplus"


class Finder:
    """Finds the one module, and leaves all others to Python."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name != NAME:
            return None
        return spec_from_file_location(NAME, Path(__file__).with_name("campplus.py"))


sys.meta_path.append(Finder)
