"""The answers of failed jobs: `error: "<code>: <sentence>"`, never an exception.

The traceback of an exception would leak paths and texts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from core.errors import Cancelled, WorkerError
from core.settings import Failures
from core.wire.fields import Answer
from handlers.faults import internal_error, where

log = logging.getLogger("parakeet.worker")


def answered(work: Callable[[], Answer], job_id: object, failures: Failures = "error") -> Answer:
    """Return the answer of the work, or that of its failure."""
    try:
        return work()
    except Cancelled as error:
        return failure(error, failures)
    except WorkerError as error:
        log.warning("%s | %s", job_id, error.code, extra={"job": job_id, "code": error.code})
        return failure(error, failures)
    except Exception as error:
        # A traceback can contain paths and texts.
        told = internal_error(error)
        extra = {"job": job_id, "code": told.code}
        log.error("%s | %s", job_id, where(error), extra=extra)  # noqa: TRY400
        return failure(told, failures)


def failure(error: WorkerError, failures: Failures = "error") -> Answer:
    """Return the answer of a failure, with what the SDK looks at.

    The SDK takes `error` and `refresh_worker` out of an answer and makes the rest the output. If
    nothing is left, the failed job has no output.
    """
    # The SDK cannot send half a character, and would send nothing at all.
    said = f"{error.code}: {error}".encode("utf-8", "replace").decode()
    answer: Answer = {"error": said}
    if failures == "output":
        answer = _Output(answer, success=False)
    if error.refresh_worker:
        answer["refresh_worker"] = True
    return answer


class _Output(Answer):
    """An answer from which the SDK cannot take the error, so that the job completes with it."""

    def pop(self, name: str, *default: Any) -> Any:
        """Return the default for `error`; do as other dicts for the rest."""
        return default[0] if name == "error" and default else super().pop(name, *default)
