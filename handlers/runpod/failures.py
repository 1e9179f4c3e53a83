"""The answers of failed jobs: `error: "<code>: <sentence>"`, never an exception.

The traceback of an exception would leak paths and texts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from core.errors import Cancelled, InternalError, WorkerError
from core.wire.fields import Answer

log = logging.getLogger("parakeet.worker")


def answered(work: Callable[[], Answer], job_id: object) -> Answer:
    """Return the answer of the work, or that of its failure."""
    try:
        return work()
    except Cancelled as error:
        return failure(error)
    except WorkerError as error:
        log.warning("%s | %s", job_id, error.code)
        return failure(error)
    except Exception as error:
        # A traceback can contain paths and texts.
        log.error("%s | %s", job_id, _where(error))  # noqa: TRY400
        kind = type(error).__name__
        return failure(
            InternalError(f"the worker failed ({kind}); try again, and report it if it stays")
        )


def failure(error: WorkerError) -> Answer:
    """Return the answer of a failure, with the fields that the SDK looks at."""
    answer: Answer = {
        "error": f"{error.code}: {error}",
        "success": False,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.refresh_worker:
        answer["refresh_worker"] = True
    return answer


def _where(error: BaseException) -> str:
    """Return the type of the error and the line that raised it, without message or path."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    file = Path(place.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{place.tb_lineno}"
