"""HTTP statuses: which of them may pass."""

from __future__ import annotations

import pytest

from core.domain.http_status import is_transient


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 524, 599])
def test_a_status_of_a_busy_or_broken_host_is_transient(status: int) -> None:
    """The same request may succeed later."""
    assert is_transient(status)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 410, 422, 428, 499])
def test_a_status_that_is_about_the_request_is_not(status: int) -> None:
    """The same request will be answered in the same way."""
    assert not is_transient(status)
