"""The device that models run on: which one, the only thread that may use a model, its failures."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from core.domain.watch import IsCancelled
from core.errors import Cancelled, ModelFailed, OutOfMemory

_Result = TypeVar("_Result")
_LOOK_S = 0.1
"""Seconds between two looks whether a call that waits is still wanted."""

# CUDA's libraries and torch's CPU allocator raise a plain RuntimeError with one of these texts when
# memory runs out, not torch.OutOfMemoryError.
_OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",
)
# After one of these the CUDA context is gone: every further call in the process fails too.
_DEVICE_FAULT = (
    "CUDA error",  # torch
    "CUDA failed with error",  # CTranslate2
    "CUBLAS_STATUS",
    "CUDNN_STATUS",
    "cuFFT error",
    "device-side assert",
)


class ModelThread:
    """The only thread that calls a model.

    Calls of NeMo and pyannote change the model's state while they run. Calls from several threads
    wait for each other, first come, first served.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def call(
        self, function: Callable[[], _Result], cancelled: IsCancelled = lambda: False
    ) -> _Result:
        """Run the function on the thread and return its result.

        Once it runs, the function itself must look whether it is cancelled.

        Raises Cancelled if that happens while earlier calls run, what the function raises, and
        ModelFailed if the GPU failed.
        """
        functions = [function]

        def run() -> _Result:
            return functions.pop()()

        with device_faults_named():
            running = self._executor.submit(run)
            while not wait([running], _LOOK_S).done:
                if cancelled() and running.cancel():
                    # The executor keeps the call until its turn, but not the samples it holds.
                    functions.clear()
                    raise Cancelled("the job was cancelled while it waited for the model")
            return running.result()

    def begin(self, function: Callable[[], None]) -> None:
        """Run the function on the thread without waiting. It must report its own failures."""
        self._executor.submit(function)

    def load(self, function: Callable[[], _Result]) -> _Result:
        """Run a function that loads a model.

        Raises what `call` raises, and OutOfMemory if the model does not fit.
        """
        try:
            return self.call(function)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        raise OutOfMemory("the model does not fit into memory; use a machine with more")


def choose_device(name: str | None) -> str:
    """Return the given torch device, or by default the first GPU, or `cpu` if there is none."""
    import torch

    return name or ("cuda" if torch.cuda.is_available() else "cpu")


def quick_dtype(device: Any) -> Any:
    """Return bfloat16 if a torch device computes in it, rather than imitate it; else float32."""
    import torch

    if device.type == "cuda":
        has_it = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        has_it = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if has_it else torch.float32


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on the GPU or in the CPU's allocator.

    If so, a smaller batch may work.
    """
    # pyannote turns the segmentation model's error into a MemoryError.
    if isinstance(error, MemoryError) or _is_torch(error, "OutOfMemoryError"):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def is_device_fault(error: BaseException) -> bool:
    """Tell whether the GPU failed in a way that makes the process unusable."""
    if is_out_of_memory(error):
        return False
    return _is_torch(error, "AcceleratorError") or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _DEVICE_FAULT)
    )


def _is_torch(error: BaseException, name: str) -> bool:
    """Tell whether an error is of this class of torch, which not every image has."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, getattr(torch, name))


@contextlib.contextmanager
def device_faults_named() -> Iterator[None]:
    """Raise ModelFailed if the GPU fails inside the `with`."""
    try:
        yield
    except Exception as error:
        if not is_device_fault(error):
            raise
        # Name only the type of the cause: its text can hold anything.
        raise ModelFailed(
            f"the GPU failed ({type(error).__name__}); this worker is replaced, try again"
        ) from None


def release_memory() -> None:
    """Give freed GPU memory back.

    Call it outside the `except` block: until then the traceback keeps tensors alive.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
