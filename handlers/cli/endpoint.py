"""A RunPod endpoint: a single worker or an orchestrator, by the platform's REST API."""

from __future__ import annotations

import base64

import anyio
import httpx2

from core.domain.request import LocalFile, Source, SpeakerCount
from core.domain.timeline import Transcript
from core.domain.watch import Stage, Watch
from core.errors import SettingsError, SourceTooLarge
from core.flows.together import all_or_none
from core.media import fetch
from core.remote import Address, Endpoint, Pace, connect, request_body
from core.settings import Settings
from core.wire.limits import MAX_RUN_BYTES
from handlers.cli import answers
from handlers.cli.options import Question

_OTHER_FIELDS_BYTES = 10_000
_MOST_FILE_BYTES = (MAX_RUN_BYTES - _OTHER_FIELDS_BYTES) // 4 * 3
"""What fits into a request as base64."""


class EndpointWay:
    """Runs a job for each recording; each has an event loop and connections of its own."""

    def __init__(self, endpoint: str, settings: Settings) -> None:
        """Raise SettingsError if there is no key."""
        if settings.runpod_api_key is None:
            raise SettingsError("RUNPOD_API_KEY: not set; put the key of your account into it")
        self.name = f"endpoint {endpoint}"
        base = settings.runpod_endpoint_base_url
        self._address = Address("given", endpoint if "://" in endpoint else f"{base}/{endpoint}")
        self._key = settings.runpod_api_key.get_secret_value()
        self._settings = settings
        self._pace = Pace()
        self._tls = httpx2.create_ssl_context(trust_env=False)

    def transcribe(
        self, source: Source | LocalFile, question: Question, watch: Watch
    ) -> Transcript:
        """See `Way`."""
        watch.report(Stage.QUEUED, 0.0)
        asked = self._audio(source) | fields(question) | {"response_format": "verbose_json"}
        body = request_body(asked, timeout_s=self._settings.job_timeout)
        answer = anyio.run(self._ask, body, watch)
        return answers.read(answer, name="the endpoint", is_split=question.is_split)

    async def _ask(self, body: bytes, watch: Watch) -> object:
        output: list[object] = []
        deadline = anyio.current_time() + self._settings.job_timeout

        async def ask() -> None:
            async with connect(self._key, pace=self._pace, tls=self._tls) as client:
                endpoint = Endpoint(self._address, client, self._pace)
                output.append(await endpoint.run(body, deadline=deadline, report=watch.report))

        await all_or_none([ask], watch.cancelled)
        return output[0]

    def _audio(self, source: Source | LocalFile) -> dict[str, object]:
        if isinstance(source, Source):
            return {"audio_url": source.value}
        fetch.check(source, self._settings)
        content = source.path.read_bytes()
        if len(content) > _MOST_FILE_BYTES:
            raise SourceTooLarge(
                f"the file has {len(content) / 1e6:.1f} MB and a request carries "
                f"{_MOST_FILE_BYTES / 1e6:.1f} MB; put it where a URL leads to it and give that, "
                "or use --server or --local"
            )
        return {"audio_base64": base64.b64encode(content).decode()}


def voices(question: Question) -> dict[str, str]:
    """Return the recordings of known speakers as base64, by name. Raise OSError."""
    found = {}
    for one in question.known:
        if isinstance(one.audio, LocalFile):
            found[one.name] = base64.b64encode(one.audio.path.read_bytes()).decode()
    return found


def fields(question: Question) -> dict[str, object]:
    """Return a question as fields of a request, without those that say nothing."""
    counts = SpeakerCount() if question.is_split else question.speakers or SpeakerCount()
    named = {
        "language": question.language,
        "channels": str(question.channels) if question.is_split else None,
        "diarize": None if question.speakers or question.is_split else False,
        "num_speakers": counts.exact,
        "min_speakers": counts.at_least,
        "max_speakers": counts.at_most,
        "known_speakers": [
            {"name": name, "audio": audio} for name, audio in voices(question).items()
        ]
        or None,
        "keyterms": list(question.keyterms) or None,
        "replace": dict(question.edits.replace) or None,
        "remove_fillers": question.edits.remove_fillers or None,
    }
    return {name: value for name, value in named.items() if value is not None}
