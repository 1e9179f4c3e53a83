"""Errors in OpenAI's shape: the HTTP status of each code, and the codes that only the server has.

The official clients repeat a request by themselves after 408, 409, 429 and 5xx.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from core.domain.codes import is_retryable
from core.errors import WorkerError

_STATUSES = {
    "source_too_large": 413,
    "download_timed_out": 408,
    "internal_error": 500,
    "disk_failed": 500,
    "model_not_found": 500,
    "model_access_denied": 500,
    "invalid_settings": 500,
    "endpoint_refused": 502,
    "endpoint_failed": 502,
    "download_interrupted": 502,
    "job_expired": 504,
    "deadline_exceeded": 504,
    "decoding_timed_out": 504,
}
"""By code; the others are 503 if another try may help, and 400 if not."""
_FIELD = re.compile(r"([a-z_]{1,40}): ")
_OF_A_FIELD = ("invalid_request", "unknown_model")


class Refusal(Exception):
    """An answer that the server gives by itself, without the flow."""

    status = 400
    code = "invalid_request"
    kind = "invalid_request_error"
    headers: Mapping[str, str] = {}


class WrongKey(Refusal):
    """The key is missing or wrong."""

    status = 401
    code = "invalid_api_key"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012  never changed


class WrongHost(Refusal):
    """A server without a key is for its own machine, and was called by another name."""

    status = 403
    code = "host_not_allowed"


class NoSuchPath(Refusal):
    """There is nothing at this path."""

    status = 404
    code = "not_found"


class NoSuchModel(Refusal):
    """The request is for a model that is not here."""

    status = 404
    code = "unknown_model"


class WrongMethod(Refusal):
    """The path has no such method."""

    status = 405
    code = "method_not_allowed"


class Busy(Refusal):
    """All places are taken."""

    status = 429
    code = "rate_limit_exceeded"
    kind = "requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(retry_after_s)}


class Loading(Refusal):
    """The models are not loaded yet."""

    status = 503
    code = "loading"
    kind = "server_error"
    headers = {"Retry-After": "5"}  # noqa: RUF012  never changed


class Ending(Refusal):
    """The server ends before the request did."""

    status = 503
    code = "shutting_down"
    kind = "server_error"


class Gone(Exception):
    """The caller has hung up; there is nobody to answer."""


def status_of(code: str) -> int:
    """Return the HTTP status of a code of `core.errors`."""
    return _STATUSES.get(code, 503 if is_retryable(code) else 400)


def body(error: WorkerError | Refusal, known: Iterable[str] = ()) -> dict[str, object]:
    """Return OpenAI's error object. `known` are the fields that the sentence may begin with."""
    if isinstance(error, Refusal):
        kind = error.kind
    else:
        kind = "server_error" if status_of(error.code) >= 500 else "invalid_request_error"
    named = _FIELD.match(str(error)) if error.code in _OF_A_FIELD else None
    param = named[1] if named and named[1] in {*known} else None
    return {
        "error": {"message": str(error), "type": kind, "param": param, "code": error.code},
    }
