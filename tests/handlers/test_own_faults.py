"""Faults of the worker are not blamed on the recording."""

from __future__ import annotations

import asyncio

import pytest

from core.settings import Settings
from handlers.runpod.failures import answered
from handlers.runpod.worker import make_handler
from tests.handlers.flows import SECRET, Obedient, parse


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


def test_a_process_that_was_poisoned_on_the_way_to_an_answer_asks_to_be_replaced() -> None:
    """The caller gets the answer, which the SDK sends without what it is asked there; if the
    platform does not carry the answer, the process is replaced all the same.
    """
    handler = make_handler(Obedient(), parse, Settings())
    told = asyncio.run(handler({"id": "a", "input": {"do": "spoil"}}))
    assert (told["text"], told["refresh_worker"]) == (SECRET, True)
    lost = asyncio.run(handler({"id": "b", "input": {"do": "spoil_too_large"}}))
    assert str(lost["error"]).startswith("output_too_large: ")
    assert lost["refresh_worker"] is True
