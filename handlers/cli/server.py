"""A server with OpenAI's API for transcriptions: ours, or another."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import stamina

from core.domain.codes import is_known, is_retryable
from core.domain.http_status import is_transient
from core.domain.request import LocalFile, Source
from core.domain.timeline import Transcript
from core.domain.watch import Stage, Watch
from core.errors import (
    EndpointRefused,
    EndpointUnavailable,
    JobFailed,
    SettingsError,
    WorkerError,
)
from core.flows.together import all_or_none
from core.media import fetch
from core.media.job_folder import job_folder
from core.settings import Settings
from handlers.cli import answers
from handlers.cli.endpoint import fields, voices
from handlers.cli.options import Question

PATH = "/v1/audio/transcriptions"
MODEL = "whisper-1"
"""The name that every such server knows, whatever model it has."""
TRIES = 6
_CONNECT_S = 10.0
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_SENTENCE = 500


class ServerWay:
    """Uploads each recording; one at a URL is fetched first."""

    def __init__(self, url: str, key: str | None, settings: Settings) -> None:
        """Raise SettingsError if that is no URL of a server."""
        if not _is_server(url):
            raise SettingsError("--server: give a URL such as http://localhost:8000")
        self.name = f"server {url.rstrip('/')}"
        self._url = url.rstrip("/").removesuffix("/v1") + PATH
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._settings = settings

    def transcribe(
        self, source: Source | LocalFile, question: Question, watch: Watch
    ) -> Transcript:
        """See `Way`."""
        with self._file(source, watch) as path:
            watch.report(Stage.TRANSCRIBING, 0.0)
            answer = anyio.run(self._ask, path, question, watch)
        return answers.read(answer, name="the server", is_split=question.is_split)

    @contextlib.contextmanager
    def _file(self, source: Source | LocalFile, watch: Watch) -> Iterator[Path]:
        with job_folder(self._settings.temp_dir) as folder:
            watch.report(Stage.DOWNLOADING, 0.0)
            yield fetch.fetch(source, folder, settings=self._settings, cancelled=watch.cancelled)

    async def _ask(self, path: Path, question: Question, watch: Watch) -> object:
        answer: list[object] = []

        async def ask() -> None:
            try:
                answer.append(await self._persist(path, question))
            except _Hiccup as hiccup:  # that of the last try
                raise hiccup.failure from None

        await all_or_none([ask], watch.cancelled)
        return answer[0]

    async def _persist(self, path: Path, question: Question) -> object:
        """Upload, and try again while that may help."""
        timeout = httpx2.Timeout(self._settings.job_timeout, connect=_CONNECT_S)
        async with httpx2.AsyncClient(timeout=timeout, headers=self._headers) as client:
            async for attempt in stamina.retry_context(
                on=_may_help, attempts=TRIES, timeout=None, wait_initial=0.2, wait_max=10.0
            ):
                with attempt:
                    return await self._post(client, path, question)
        raise AssertionError("stamina raises the last error")

    async def _post(self, client: httpx2.AsyncClient, path: Path, question: Question) -> object:
        form: dict[str, Any] = {
            "model": MODEL,
            "response_format": "verbose_json",
            "timestamp_granularities[]": ["word", "segment"],
            **_own(question),
        }
        try:
            with path.open("rb") as file:
                name = path.name.encode(errors="replace").decode()  # it need not be UTF-8
                response = await client.post(self._url, data=form, files={"file": (name, file)})
        except httpx2.RequestError as error:
            sentence = f"the server cannot be reached ({type(error).__name__})"
            raise _Hiccup(EndpointUnavailable(sentence)) from None
        if not response.is_success:
            raise _refusal(response)
        return _json(response)


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # a host with half a bracket
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query


def _own(question: Question) -> dict[str, str | list[str]]:
    """Return the fields of the question: for words alone, only those that OpenAI has too."""
    asked = fields(question) | {"diarize": None if question.speakers is None else True}
    asked.pop("known_speakers", None)
    own: dict[str, str | list[str]] = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in asked.items()
        if value is not None
    }
    if named := voices(question):
        own["known_speaker_names[]"] = list(named)
        own["known_speaker_references[]"] = [
            f"data:application/octet-stream;base64,{voice}" for voice in named.values()
        ]
    return own


class _Hiccup(Exception):
    """A failure that may pass, after `after_s` seconds if the server names a time."""

    def __init__(self, failure: WorkerError, after_s: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.after_s = after_s


def _may_help(error: Exception) -> bool | float:
    if not isinstance(error, _Hiccup):
        return False
    return True if error.after_s is None else min(60.0, error.after_s)


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise EndpointRefused("the answer of the server is not JSON; check --server") from None


def _refusal(response: httpx2.Response) -> Exception:
    """Return the server's own error, as a `_Hiccup` if another try may help.

    A code of ours tells whether it may; any other error is judged by its status.
    """
    status = response.status_code
    code, sentence = _told(response)
    may_pass = is_retryable(code) if is_known(code) else is_transient(status)
    if code:
        failure: WorkerError = JobFailed(sentence, code=code, retryable=may_pass)
    else:
        failure = _uncoded(status, sentence)
    if not may_pass:
        return failure
    after = response.headers.get("Retry-After", "")
    return _Hiccup(failure, float(after) if after.isdecimal() else None)


def _told(response: httpx2.Response) -> tuple[str, str]:
    """Return the code and the sentence of an error in OpenAI's shape, each empty if missing."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        error = response.json()["error"]
        if isinstance(error, str):  # as some servers answer
            error = {"message": error}
        code, sentence = str(error.get("code") or ""), str(error["message"])[:_MOST_SENTENCE]
        if _CODE.fullmatch(code):
            return code, sentence.removeprefix(f"{code}: ")
        return "", sentence
    return "", ""


def _uncoded(status: int, sentence: str) -> WorkerError:
    """Return the error of a server that gives no code."""
    if is_transient(status):
        said = f"; it says: {sentence}" if sentence else ""
        return EndpointUnavailable(f"the server is busy or down (HTTP status {status}){said}")
    if sentence:
        return EndpointRefused(f"the server says: {sentence}")
    return EndpointRefused(f"the server does not take this (HTTP status {status}); check --server")
