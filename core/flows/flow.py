"""The work of a role, as fronts see it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from core.domain.timeline import Diarization, Transcript
from core.domain.watch import Watch

Request_contra = TypeVar("Request_contra", contravariant=True)


class Flow(Protocol[Request_contra]):
    """The work of one role.

    A front parses a request before it and renders the result behind it. Many threads may call both
    methods at once.
    """

    def run(self, request: Request_contra, watch: Watch) -> Transcript | Diarization:
        """Do the work. Raise a `core.errors.WorkerError`."""
        ...

    def rehearse(self, recording: Path) -> None:
        """Run a short recording through all models, or ask for the health of the endpoints.

        Raise what a job would raise.
        """
        ...
