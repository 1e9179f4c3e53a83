"""Faults of the worker are not blamed on the recording."""

from __future__ import annotations

import pytest

from handlers.runpod.failures import answered


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file", "/usr/bin/decoder"),
        PermissionError(13, "Permission denied", "/usr/bin/decoder"),
        OSError(8, "Exec format error", "/usr/bin/decoder"),
        ImportError("libav is half installed"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_decoder_that_does_not_start_is_the_workers_fault(error: Exception) -> None:
    """Its code says that another try may help, and nothing about the recording."""

    def work() -> dict[str, object]:
        raise error

    said = str(answered(work, "job")["error"])
    assert said.startswith("internal_error: the worker failed (")
    assert "/usr/bin" not in said
    assert "recording" not in said
