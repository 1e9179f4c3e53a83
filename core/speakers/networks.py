"""Networks for speaker embeddings in two steps: frames of waveforms, and vectors pooled from them.

pyannote's models do both in one call. The first step takes almost all the time and is the same for
all speakers of a waveform.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class FrameNetwork(Protocol):
    """A network whose vectors are pooled from frames."""

    @property
    def device(self) -> Any:
        """The torch device that it is on."""
        ...

    def frames(self, waveforms: Any) -> Any:
        """Return a tensor (batch, …, frames) of waveforms (batch, 1, samples)."""
        ...

    def embed(self, frames: Any, masks: Any) -> Any:
        """Return vectors (batch, speakers, dimension), by masks (batch, speakers, any frames)."""
        ...

    def of_nobody(self) -> npt.NDArray[np.float32]:
        """Return the vector (dimension,) that the network gives for an empty mask."""
        ...


def frame_network(model: Any, *, trunk_dtype: Any = None) -> FrameNetwork | None:
    """Return a pyannote embedding model as a `FrameNetwork`; None if it is of another kind.

    The model is changed in place and keeps its results. `trunk_dtype` is the torch dtype of a
    ResNet's convolutions; features and pooling are in float32 in any case, for half precision there
    costs tens of points of error (pyannote pull request 1992).
    """
    from pyannote.audio.models.embedding import XVectorMFCC, XVectorSincNet
    from pyannote.audio.models.embedding.wespeaker import BaseWeSpeakerResNet

    if isinstance(model, BaseWeSpeakerResNet) and not model.resnet.two_emb_layer:
        return ResNet(model, trunk_dtype=trunk_dtype)
    if isinstance(model, XVectorMFCC | XVectorSincNet):
        return XVector(model)
    return None


class ResNet:
    """WeSpeaker's ResNet with its batch norms folded into the convolutions, and channels last.

    Folding is exact but for rounding: both are linear once training is over.
    """

    def __init__(self, model: Any, *, trunk_dtype: Any = None) -> None:
        """Take pyannote's model; `trunk_dtype` is the torch dtype of the convolutions."""
        import torch

        self.model = model
        self._dtype = trunk_dtype or torch.float32
        _fold_batch_norms(model.resnet)
        model.resnet.to(memory_format=torch.channels_last)
        for layer in self._layers():
            layer.to(self._dtype)
        self.stride, self.reach = _stride_and_reach(self._layers())

    stride: int
    """Features from one frame to the next."""
    reach: int
    """The features on each side that a frame depends on."""

    @property
    def device(self) -> Any:
        """See `FrameNetwork`."""
        return self.model.device

    def frames(self, waveforms: Any) -> Any:
        """See `FrameNetwork`: (batch, channels, mels / 8, frames), a frame in 80 ms."""
        return self.trunk(self.model.compute_fbank(waveforms))

    def features(self, samples: Any) -> Any:
        """Return the features of samples (n,), not centred: (frames, mels), a frame in 10 ms."""
        return self.model._fbank(samples[None] * (1 << 15))

    def trunk(self, features: Any) -> Any:
        """Return frames, in float32, of centred features (batch, frames, mels)."""
        return self.model.resnet.forward_frames(features.to(self._dtype)).float()

    def embed(self, frames: Any, masks: Any) -> Any:
        """See `FrameNetwork`."""
        return self.model.forward_embedding(frames, weights=masks)

    def of_nobody(self) -> npt.NDArray[np.float32]:
        """See `FrameNetwork`: mean and deviation are zero, so the bias is left."""
        return _usable(self.model.resnet.seg_1.bias)

    def _layers(self) -> list[Any]:
        resnet = self.model.resnet
        return [resnet.conv1, resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]


class XVector:
    """An x-vector network: MFCC or SincNet, then convolutions over time."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def device(self) -> Any:
        """See `FrameNetwork`."""
        return self.model.device

    def frames(self, waveforms: Any) -> Any:
        """See `FrameNetwork`: (batch, channels, frames)."""
        front = getattr(self.model, "mfcc", None) or self.model.sincnet
        outputs = front(waveforms).squeeze(dim=1)
        for layer in self.model.tdnns:
            outputs = layer(outputs)
        return outputs

    def embed(self, frames: Any, masks: Any) -> Any:
        """See `FrameNetwork`."""
        return self.model.embedding(self.model.stats_pool(frames, weights=masks))

    def of_nobody(self) -> npt.NDArray[np.float32]:
        """See `FrameNetwork`."""
        return _usable(self.model.embedding.bias)


def _stride_and_reach(layers: list[Any]) -> tuple[int, int]:
    """Return how far apart in time the outputs of convolutions are, and how far one looks.

    Shortcuts look less far than what they bridge. (pyannote's `receptive_field_size` takes the
    padding off, and says 1 for a ResNet.)
    """
    from torch import nn

    stride, reach = 1, 0
    for layer in layers:
        for name, module in layer.named_modules():
            if isinstance(module, nn.Conv2d) and "shortcut" not in name:
                reach += stride * (module.kernel_size[1] // 2)
                stride *= module.stride[1]
    return stride, reach


def _fold_batch_norms(module: Any) -> None:
    """Fold each `bn…` into the `conv…` of the same number, and each of a shortcut into its own."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, nn.BatchNorm2d):
                continue
            # A shortcut is a `Sequential` of a convolution "0" and its batch norm "1".
            of = "0" if name == "1" else name.replace("bn", "conv")
            setattr(parent, of, fuse_conv_bn_eval(getattr(parent, of), child))
            setattr(parent, name, nn.Identity())


def _usable(bias: Any) -> npt.NDArray[np.float32]:
    """Return the bias, or ones if a cosine with it would be NaN."""
    vector: npt.NDArray[np.float32] = bias.detach().float().cpu().numpy()
    return vector if np.isfinite(vector).all() and vector.any() else np.ones_like(vector)
