"""Where `make people` leaves models and recordings, and how a worker is told of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKE = "run `make people`, which fetches them"


@dataclass(frozen=True, slots=True)
class People:
    """The folder that `make people` fills."""

    folder: Path

    @property
    def speech(self) -> Path:
        """Whisper base, for 99 languages: a `MODEL_ID`."""
        return self._there("speech")

    @property
    def speech_en(self) -> Path:
        """Whisper tiny.en, for English: a `MODEL_ID`."""
        return self._there("speech-en")

    @property
    def speakers(self) -> Path:
        """segmentation-3.0 and CAM++: a `DIARIZATION_MODEL_ID`."""
        return self._there("speakers")

    @property
    def recordings(self) -> Path:
        """A wav, with a json of words and turns beside it, for each recording."""
        return self._there("recordings")

    @property
    def rivals(self) -> Path:
        """The labelling of whisperX, as a package to import."""
        return self._there("rivals")

    @property
    def python_path(self) -> str:
        """The PYTHONPATH with which a worker can read `speakers`."""
        return os.pathsep.join(map(str, (ROOT / "tests/people/path", self._there("network"))))

    def recording(self, name: str) -> Path:
        """Return a recording's wav.

        Raises FileNotFoundError, also if it was left out for want of apt.
        """
        return self._there(f"recordings/{name}.wav")

    def _there(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise FileNotFoundError(f"there is no {self.folder.name}/{name}: {MAKE}")
        return path


def people() -> People:
    """Return the folder that PEOPLE_DIR names, or `.people`."""
    return People(Path(os.environ.get("PEOPLE_DIR", ROOT / ".people")).resolve())
