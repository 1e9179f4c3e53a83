"""The device that models run on: which it is, the one thread that may use a model, and what a
failure on it means.
"""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.errors import ModelFailed, OutOfMemory

_Result = TypeVar("_Result")

# Parts of the texts by which CUDA's libraries and torch's CPU allocator say that memory ran out
# without torch.OutOfMemoryError.
_OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",
)
# After these every further call in the process fails too: the CUDA context is gone.
_DEVICE_FAULT = ("CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "cuFFT error", "device-side assert")


class ModelThread:
    """The one thread that calls a model: NeMo's and pyannote's calls change the model's state while
    they run.

    Calls from many threads wait for each other in the order in which they came.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Run the function on the thread and wait; raises what it raises, and ModelFailed where the
        GPU failed.
        """
        with device_faults_named():
            return self._executor.submit(function).result()

    def begin(self, function: Callable[[], None]) -> None:
        """Run the function on the thread and do not wait: it has to tell of its failures itself."""
        self._executor.submit(function)

    def load(self, function: Callable[[], _Result]) -> _Result:
        """Run the function, which loads a model; raises what `call` raises, and OutOfMemory where
        the model does not fit.
        """
        try:
            return self.call(function)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        raise OutOfMemory("the model does not fit into memory; use a machine with more")


def choose_device(name: str | None) -> str:
    """Name the torch device to use: the one asked for, else the first GPU, else `cpu`."""
    import torch

    return name or ("cuda" if torch.cuda.is_available() else "cpu")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on the GPU or in the CPU's allocator; a smaller batch may then
    work.
    """
    import torch

    # pyannote turns the segmentation model's error into a MemoryError.
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def is_device_fault(error: BaseException) -> bool:
    """Tell whether the GPU failed in a way that spoils the process."""
    import torch

    if is_out_of_memory(error):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _DEVICE_FAULT)
    )


@contextlib.contextmanager
def device_faults_named() -> Iterator[None]:
    """Raise ModelFailed where the GPU fails inside of the `with`."""
    try:
        yield
    except Exception as error:
        if not is_device_fault(error):
            raise
        # The cause is named by its type alone: its text can hold anything.
        raise ModelFailed(
            f"the GPU failed ({type(error).__name__}); this worker is replaced, try again"
        ) from None


def release_memory() -> None:
    """Give freed GPU memory back.

    Call it outside the `except` block: the traceback keeps tensors alive until then.
    """
    import torch

    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def silence_nemo() -> None:
    """Keep NeMo's log to errors, before it is imported: it prints whole configurations. pyannote
    imports it too, where it is installed.
    """
    for name in ("nemo_logger", "nv_one_logger"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.ERROR)
        # NeMo sets its level back to warnings while it transcribes.
        if _is_error not in logger.filters:
            logger.addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
