"""What is told of an exception that nobody expected."""

from __future__ import annotations

import importlib

import pytest

from handlers.faults import internal_error, where


def test_a_missing_library_is_named() -> None:
    """An image that left out too much says so to the caller and in the log."""
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("of_nobody.tables")
    assert str(internal_error(caught.value)) == "the worker lacks the library of_nobody; report it"
    assert where(caught.value).startswith("ModuleNotFoundError of_nobody at ")


def test_the_text_of_another_fault_is_kept_back() -> None:
    """It can hold anything; its type is told."""
    with pytest.raises(KeyError) as caught:
        _ = {}["a secret"]
    told = str(internal_error(caught.value)) + where(caught.value)
    assert "KeyError" in told
    assert "secret" not in told
    assert "/" not in told
