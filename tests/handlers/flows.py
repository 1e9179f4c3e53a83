"""A worker whose flow does what the request tells it to: the adapter and the SDK around it are the
real ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from core.domain.watch import Watch
from core.errors import Cancelled, DownloadFailed, ModelFailed, WorkerError
from core.settings import Settings
from handlers.runpod import worker

SECRET = "the quick brown secret"
"""Stands for a transcript: it may be in answers, never in a log or an error."""


class Told:
    """A flow that is told what to do."""

    def answer(self, job_input: object, watch: Watch) -> dict[str, object]:
        """Do what `do` says."""
        assert isinstance(job_input, dict)
        return getattr(self, f"_{job_input['do']}")(watch)

    def rehearse(self, recording: Path) -> None:
        """Check that the recording is there."""
        assert recording.is_file()

    def _answer(self, _watch: Watch) -> dict[str, object]:
        return {"text": SECRET, "success": True}

    def _progress(self, watch: Watch) -> dict[str, object]:
        for step in range(30):
            watch.report("transcribing", step / 30)
            time.sleep(0.1)
        return {"success": True}

    def _wait(self, watch: Watch) -> dict[str, object]:
        deadline = time.monotonic() + 60
        while not watch.cancelled():
            if time.monotonic() > deadline:
                return {"success": True}
            time.sleep(0.02)
        print("saw the cancel flag", flush=True)
        raise Cancelled("the caller took the job back")

    def _coded(self, _watch: Watch) -> dict[str, object]:
        raise DownloadFailed("the host answered 503; try again", retryable=True)

    def _poison(self, _watch: Watch) -> dict[str, object]:
        raise ModelFailed("the GPU failed; the worker is replaced")

    def _bug(self, _watch: Watch) -> dict[str, object]:
        raise KeyError(SECRET)

    def _nan(self, _watch: Watch) -> dict[str, object]:
        return {"duration": float("nan")}

    def _numpy(self, _watch: Watch) -> dict[str, object]:
        import numpy as np

        return {"duration": np.float32(1)}

    def _large(self, _watch: Watch) -> dict[str, object]:
        return {"text": "é" * 6_000_000}


@dataclass(frozen=True)
class Broken(Told):
    """A flow whose models do not work."""

    def rehearse(self, recording: Path) -> None:
        """Fail as a broken GPU would."""
        raise WorkerError("no model works")


def load(settings: Settings) -> Told:
    """The flow that the environment's model id names."""
    return Broken() if settings.model_id == "broken" else Told()


if __name__ == "__main__":
    worker.start(load)
