"""The tree of errors: each leaf with its own code, and the tree in the docstring true."""

from __future__ import annotations

import re

import pytest

from core import errors
from core.domain.codes import SECOND_CODES, is_known, is_retryable
from core.errors import DownloadFailed, WorkerError


def _leaves(kind: type[WorkerError] = WorkerError) -> list[type[WorkerError]]:
    public = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [leaf for child in public for leaf in _leaves(child)] or [kind]


def test_every_leaf_has_a_code_of_its_own() -> None:
    """What a caller's program can tell apart."""
    codes = [leaf.code for leaf in _leaves()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", code) for code in codes)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """Name, code and whether a retry may help."""
    drawn = re.findall(
        r"[├└]── (\w+) {2,}([a-z0-9_]+)( +\(.*\))?$", errors.__doc__ or "", re.MULTILINE
    )
    assert {(name, code) for name, code, _ in drawn} == {
        (leaf.__name__, leaf.code) for leaf in _leaves()
    }
    retryable = {name for name, _, note in drawn if "retryable" in note}
    sometimes = {"DownloadFailed", "DiskFailed", "UploadFailed"}
    assert retryable == {leaf.__name__ for leaf in _leaves() if leaf.retryable} | sometimes


def test_every_error_says_what_it_means() -> None:
    """One sentence in its docstring."""
    assert all((leaf.__doc__ or "").strip().endswith(".") for leaf in _leaves())


@pytest.mark.parametrize("retryable", [True, False])
def test_a_failed_download_may_or_may_not_be_worth_a_retry(retryable: bool) -> None:
    """A host that is down may come back, a missing file does not; the code tells them apart."""
    failed = DownloadFailed("the host did not answer", retryable=retryable)
    assert failed.retryable is is_retryable(failed.code) is retryable
    assert not DownloadFailed("no such file").retryable


def test_a_code_alone_says_whether_to_try_again() -> None:
    """As the error does; an unknown code is not worth it, and can be told from ours."""
    assert {leaf.code: is_retryable(leaf.code) for leaf in _leaves()} == {
        leaf.code: leaf.retryable for leaf in _leaves()
    }
    assert not is_retryable("of_a_newer_worker")
    assert not is_known("of_a_newer_worker")
    assert all(is_known(code) for code in (*SECOND_CODES, *(leaf.code for leaf in _leaves())))


def test_only_a_failed_model_asks_for_another_worker() -> None:
    """All else leaves the process sound."""
    assert [leaf.code for leaf in _leaves() if leaf.refresh_worker] == ["model_failed"]
