"""One thread calls a model, and failures of the device have a meaning."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from core.engine.accelerator import ModelThread, choose_device, is_device_fault, is_out_of_memory
from core.errors import Cancelled, ModelFailed, OutOfMemory


def allocate_too_much() -> None:
    """Ask torch's allocator for a petabyte."""
    torch.empty(1 << 50)


def test_torch_allocator_that_gives_up_is_out_of_memory():
    """The CPU's allocator raises a plain RuntimeError, which is recognised by its text."""
    with pytest.raises(RuntimeError) as caught:
        allocate_too_much()
    assert is_out_of_memory(caught.value)
    assert not is_device_fault(caught.value)


@pytest.mark.parametrize(
    ("error", "memory", "fault"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True, False),
        (MemoryError("batch_size (32) is probably too large"), True, False),
        (RuntimeError("CUDA error: out of memory"), True, False),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True, False),
        (
            torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
            False,
            True,
        ),
        (RuntimeError("CUDA error: device-side assert triggered"), False, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, True),
        (RuntimeError("shape mismatch"), False, False),
        (ValueError("CUDA error in a text of somebody else's"), False, False),
    ],
)
def test_errors_are_told_apart(error, memory, fault):
    """Out of memory, a faulty device, or neither."""
    assert (is_out_of_memory(error), is_device_fault(error)) == (memory, fault)


def test_calls_run_one_at_a_time_on_one_thread():
    """No two calls of many callers overlap, and each caller receives its own result."""
    thread = ModelThread("model")
    lock, names = threading.Lock(), set()

    def work(number: int) -> int:
        assert lock.acquire(blocking=False)
        names.add(threading.current_thread().name)
        lock.release()
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: thread.call(lambda: work(number)), range(200))) == list(
            range(200)
        )
    assert names == {"model_0"}


def test_begun_call_runs_on_the_same_thread_after_earlier_calls():
    """The caller does not wait for it."""
    thread, goes, names = ModelThread("model"), threading.Event(), []
    thread.begin(goes.wait)
    thread.begin(lambda: names.append(threading.current_thread().name))
    assert names == []
    goes.set()
    assert thread.call(lambda: threading.current_thread().name) == "model_0"
    assert names == ["model_0"]


def test_cancelled_call_that_waits_never_runs_and_leaves_nothing_in_memory():
    """It ends while the call before it goes on."""
    thread, goes, ran = ModelThread("model"), threading.Event(), []
    samples = np.zeros(3, np.float32)
    kept = weakref.ref(samples)
    thread.begin(lambda: ran.append(goes.wait(20)))
    with pytest.raises(Cancelled):
        thread.call(lambda samples=samples: ran.append(samples), lambda: True)
    del samples
    gc.collect()
    assert kept() is None
    assert ran == []
    goes.set()
    thread.call(lambda: None)
    assert ran == [True]


def test_cancelled_call_that_runs_ends_by_itself():
    """Its caller waits for what it makes of that."""
    begun, cancelled = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return cancelled.wait(20)

    def is_cancelled() -> bool:
        if begun.is_set():
            cancelled.set()
        return cancelled.is_set()

    assert ModelThread("model").call(work, is_cancelled)


def test_fault_of_the_device_becomes_an_error_that_replaces_the_worker():
    """The cause's text can hold anything and is not passed on."""

    def fail() -> None:
        raise torch.AcceleratorError("CUDA error: secret")

    with pytest.raises(ModelFailed) as caught:
        ModelThread("model").call(fail)
    assert caught.value.refresh_worker
    assert "secret" not in str(caught.value)


def test_model_that_does_not_fit_is_out_of_memory_at_load():
    """Loading has no smaller batch that could be tried."""
    with pytest.raises(OutOfMemory, match="does not fit"):
        ModelThread("model").load(allocate_too_much)


def test_device_is_the_given_one_or_the_best_of_the_machine():
    """A given name is used as it is."""
    assert choose_device("cuda:1") == "cuda:1"
    assert choose_device(None) == ("cuda" if torch.cuda.is_available() else "cpu")
