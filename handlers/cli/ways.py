"""Where the work is done: here, in a RunPod endpoint, or by a server with OpenAI's API."""

from __future__ import annotations

from typing import Protocol

from core.domain.request import LocalFile, Source
from core.domain.timeline import Transcript
from core.domain.watch import Watch
from core.settings import Environment, Key, Settings
from handlers.cli.options import Options, Question


class _Caller(Environment):
    """The settings that only the command line has."""

    openai_api_key: Key | None = None
    """The key that a server with OpenAI's API wants."""


class Way(Protocol):
    """One way to a transcript; many threads may call it."""

    name: str
    """What the transcript depends on, beside the recording and the question."""

    def transcribe(
        self, source: Source | LocalFile, question: Question, watch: Watch
    ) -> Transcript:
        """Return the transcript. Raise a `core.errors.WorkerError`."""
        ...


def chosen(options: Options) -> Way:
    """Return the way that the options name. Raise SettingsError."""
    settings = Settings.from_environment()
    if options.endpoint is not None:
        from handlers.cli.endpoint import EndpointWay

        return EndpointWay(options.endpoint, settings)
    if options.server is not None:
        from handlers.cli.server import ServerWay

        key = _Caller.from_environment().openai_api_key
        return ServerWay(options.server, key.get_secret_value() if key else None, settings)
    from handlers.cli.local import LocalWay

    return LocalWay(settings)
