"""Refusals of what the orchestrator itself wrote into a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import EndpointRefused, InvalidRequest, JobFailed

_OWN_FAULT = re.compile(
    r"(?:^|; )(response_format(?=: )|[A-Za-z0-9_.]{1,120}(?=: unknown field; ))"
)
"""See `core.wire.refusal`: the format is never the caller's, and a field that the caller gave is
known to workers of this version.
"""


@contextmanager
def written_for(role: str) -> Iterator[None]:
    """Raise EndpointRefused for a job that fails because its worker is no such worker.

    Hand any other failure on, such as a language that the model does not know: that is the
    caller's. `role` is the endpoint's, as settings call it.
    """
    try:
        yield
    except JobFailed as refusal:
        fault = _OWN_FAULT.search(str(refusal))
        if refusal.code != InvalidRequest.code or fault is None:
            raise
        raise EndpointRefused(
            f"the {role} endpoint does not take {fault[1]} as a {role} worker of this version "
            f"does; check {role.upper()}_ENDPOINT_ID"
        ) from None
