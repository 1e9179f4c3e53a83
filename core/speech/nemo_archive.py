"""A faster way to restore a model from a `.nemo` file.

The file is a tar of `model_config.yaml`, `model_weights.ckpt` and the files that the configuration
names, such as a tokenizer. NeMo unpacks it to disk, gives every weight a random value and then
copies the real ones over these. Here the weights are read straight from the archive to their final
place in memory, while torch and NeMo are being imported, and the model is built around them.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from core.speech import token_lists

WEIGHTS = "model_weights.ckpt"
_PIECE_BYTES = 32 << 20
_FEATURES = "preprocessor."
"""Names of the filterbank and the window begin so; NeMo computes features in float32."""
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python has filters since 3.11.4, and NeMo wants them; Debian 12's Python is older."""


class WeightsAhead:
    """The weights of an uncompressed archive, copied into memory by a thread of their own.

    It needs no torch, so it can begin before that is imported, which takes a second. The copy is
    an anonymous file: torch maps it, and so copies nothing again.
    """

    def __init__(self, path: Path) -> None:
        """Begin to read."""
        reader = ThreadPoolExecutor(1, thread_name_prefix="weights")
        self._copy = reader.submit(_copied_weights, path)
        reader.shutdown(wait=False)

    def tensors(self, device: str, dtype: Any = None) -> dict[str, Any]:
        """Wait for the copy and return its tensors on the device.

        If there is a `dtype`, weights go to the device in it, one after the other, apart from those
        of the features. Raise what tarfile and torch raise if the file is anything else, and
        OSError if there is no memory for it.
        """
        import torch

        with self._copy.result() as copy:
            weights: dict[str, Any] = torch.load(
                f"/proc/self/fd/{copy.fileno()}",
                map_location=device if dtype is None else "cpu",
                mmap=zipfile.is_zipfile(copy),  # torch made no zip files before version 1.6
                weights_only=True,
            )
        return weights if dtype is None else _cast(weights, device, dtype)


def _copied_weights(path: Path) -> BinaryIO:
    """Return an anonymous file with the weights of an archive."""
    with tarfile.open(path, "r:") as archive, path.open("rb", buffering=0) as file:
        member = next(member for member in archive if _is_weights(member))
        copy = os.fdopen(os.memfd_create(WEIGHTS), "w+b", buffering=0)
        try:
            _copy(file.fileno(), member.offset_data, member.size, copy)
        except BaseException:
            copy.close()
            raise
    return copy


def _copy(source: int, start: int, size: int, copy: BinaryIO) -> None:
    """Copy a stretch of a file, in pieces that suit a network volume."""
    piece = memoryview(bytearray(min(size, _PIECE_BYTES)))
    end = start + size
    while start < end:
        count = os.preadv(source, [piece[: end - start]], start)
        if not count:
            raise EOFError("the archive ends within its weights")
        copy.write(piece[:count])
        start += count


def _cast(weights: dict[str, Any], device: str, dtype: Any) -> dict[str, Any]:
    """Move weights to a device and a dtype, and let each go once it is moved."""
    cast = {}
    for name in list(weights):
        value = weights.pop(name)
        changes = value.is_floating_point() and not name.startswith(_FEATURES)
        cast[name] = value.to(device, dtype if changes else value.dtype)
    return cast


def connector(weights: Future[dict[str, Any]], dtype: Any = None) -> Any:
    """Return NeMo's hook into restoring a model, one that uses these weights.

    Weights in `dtype` stay in it, others get that of the model. The hook unpacks the rest of the
    archive.
    """
    from nemo.core.connectors.save_restore_connector import SaveRestoreConnector

    class _Connector(_GivenWeights, SaveRestoreConnector):  # type: ignore[misc]
        pass

    return _Connector(weights, dtype)


class _GivenWeights:
    """The methods of NeMo's `SaveRestoreConnector` that deal with weights."""

    def __init__(self, weights: Future[dict[str, Any]], dtype: Any) -> None:
        super().__init__()
        self._weights = weights
        self._dtype = dtype

    def _filtered_tar_info(
        self, tar_path: str, filter_fn: Callable[[str], bool] | None = None
    ) -> list[tarfile.TarInfo]:
        members = super()._filtered_tar_info(tar_path, filter_fn)  # type: ignore[misc]
        return [member for member in members if not _is_weights(member)]

    def _unpack_nemo_file(
        self, path2file: str, out_folder: str, members: Sequence[tarfile.TarInfo]
    ) -> str:
        from nemo.utils.tar_utils import is_safe_tar_member

        with tarfile.open(path2file, "r:") as archive:
            for member in members:
                if is_safe_tar_member(member, os.path.realpath(out_folder)):
                    archive.extract(member, out_folder, **_FILTER)
        token_lists.empty(Path(out_folder, self.model_config_yaml))  # type: ignore[attr-defined]
        return out_folder

    def load_config_and_state_dict(self, *arguments: Any) -> Any:
        with _without_random_values(), token_lists.as_texts():
            return super().load_config_and_state_dict(*arguments)  # type: ignore[misc]

    def _load_state_dict_from_disk(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self._weights.result()

    def load_instance_with_state_dict(
        self, instance: Any, state_dict: dict[str, Any], strict: bool
    ) -> None:
        own = instance.state_dict()
        values = {
            name: _laid_out_like(own.get(name), value, self._dtype)
            for name, value in state_dict.items()
        }
        instance.load_state_dict(values, strict=strict, assign=True)
        instance._set_model_restore_state(is_being_restored=False)


def _is_weights(member: tarfile.TarInfo) -> bool:
    return PurePosixPath(member.name).name == WEIGHTS


def _laid_out_like(own: Any, value: Any, dtype: Any) -> Any:
    """Return the value in the memory layout of the model's own parameter, and in its dtype unless
    the value is in `dtype`.

    Return it unchanged if both match, or if there is no such parameter. The layout decides which
    kernels run, and so the last digits of the answer.
    """
    import torch

    if own is None or own.shape != value.shape:
        return value
    wanted = dtype if value.dtype == dtype else own.dtype
    if (wanted, own.stride()) == (value.dtype, value.stride()):
        return value
    return torch.empty_like(own, dtype=wanted, device=value.device).copy_(value)


def _without_random_values() -> Any:
    """Return a context in which no parameter is initialised: untouched memory costs nothing.

    This is for parameters alone: every one of them is among the weights, or loading these fails.
    Buffers get their values, because some of them are not among the weights.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    random = {torch.Tensor.uniform_, torch.Tensor.normal_}

    class _Mode(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, _: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if function in random or getattr(function, "__module__", None) == "torch.nn.init":
                tensor = args[0] if args else kwargs["tensor"]
                if isinstance(tensor, torch.nn.Parameter):
                    return tensor
            return function(*args, **kwargs)

    return _Mode()
