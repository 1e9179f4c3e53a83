"""A worker whose flow does what the request says: the handler and the SDK around it are real."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.domain.request import Destination
from core.domain.timeline import Segment, Transcript, Word
from core.domain.watch import Stage, Watch
from core.errors import Cancelled, DownloadFailed, InvalidUrl, ModelFailed, WorkerError
from core.settings import Settings
from core.wire.form import Form, TranscriptFormat
from core.wire.limits import MAX_RUN_BYTES
from core.wire.render import render
from handlers.runpod import worker

SECRET = "the quick brown secret"
"""What a transcript would be: it may be in answers, never in a log or an error."""


TEXT = Form(TranscriptFormat.TEXT)


@dataclass(frozen=True)
class Order:
    """What the request says."""

    request: str
    form: Form = TEXT
    destination: Destination | None = None


def parse(job_input: object) -> Order:
    """Read `{"do": …, "output_url": …}`."""
    assert isinstance(job_input, dict)
    place = job_input.get("output_url")
    return Order(job_input["do"], destination=Destination(place) if place else None)


def said(text: str, duration: Any = 1.0) -> Transcript:
    """A transcript of one long word."""
    word = Word(0.0, 1.0, text)
    return Transcript(duration, (word,), (Segment(0.0, 1.0, (word,)),))


ENVELOPE = len(json.dumps({"output": render(said(""), TEXT)}).encode())
"""What is sent around the text."""


class Obedient:
    """A flow that does as the request says."""

    def run(self, request: str, watch: Watch) -> Transcript:
        """Do it."""
        result: Transcript = getattr(self, f"_{request}")(watch)
        return result

    def rehearse(self, recording: Path) -> None:
        """Check that the recording is there."""
        assert recording.is_file()

    def _answer(self, _watch: Watch) -> Transcript:
        return said(SECRET)

    def _progress(self, watch: Watch) -> Transcript:
        for step in range(30):
            watch.report(Stage.TRANSCRIBING, step / 30)
            time.sleep(0.1)
        return said("done")

    def _wait(self, watch: Watch) -> Transcript:
        deadline = time.monotonic() + 60
        while not watch.cancelled():
            if time.monotonic() > deadline:
                return said("nobody cancelled")
            time.sleep(0.02)
        print("saw the cancel flag", flush=True)
        raise Cancelled("the caller took the job back")

    def _coded(self, _watch: Watch) -> Transcript:
        raise DownloadFailed("the host answered 503; try again", retryable=True)

    def _poison(self, _watch: Watch) -> Transcript:
        raise ModelFailed("the GPU failed; the worker is replaced")

    def _spoil(self, _watch: Watch) -> Transcript:
        return replace(said(SECRET), refresh_worker=True)

    def _spoil_too_large(self, watch: Watch) -> Transcript:
        return replace(self._too_large(watch), refresh_worker=True)

    def _bug(self, _watch: Watch) -> Transcript:
        raise KeyError(SECRET)

    def _nan(self, _watch: Watch) -> Transcript:
        return said(SECRET, float("nan"))

    def _numpy(self, _watch: Watch) -> Transcript:
        import numpy as np

        return said(SECRET, np.float32(1))

    def _large(self, _watch: Watch) -> Transcript:
        return said("é" * 6_000_000)

    def _largest(self, _watch: Watch) -> Transcript:
        return said("x" * (MAX_RUN_BYTES - ENVELOPE))

    def _too_large(self, _watch: Watch) -> Transcript:
        return said("x" * (MAX_RUN_BYTES - ENVELOPE + 1))

    def _half(self, _watch: Watch) -> Transcript:
        return said("Why? é \ud83d")

    def _half_error(self, _watch: Watch) -> Transcript:
        raise InvalidUrl("the host \ud83d is none")


class Broken(Obedient):
    """A flow whose models do not work."""

    def rehearse(self, recording: Path) -> None:
        """Fail as a broken GPU would."""
        raise WorkerError("no model works")


def load(settings: Settings) -> Obedient:
    """Return the flow that the environment's model id names."""
    return Broken() if settings.model_id == "broken" else Obedient()


if __name__ == "__main__":
    worker.start(load, parse)
