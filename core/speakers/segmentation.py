"""Who of up to three local speakers is active when, window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.media.audio import Samples
from core.speakers.windows import Windows, batches

Done = Callable[[int, int], None]
"""Told how many windows of how many are done; may raise to end the run."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What the segmentation model says of every window."""

    windows: Windows
    active: npt.NDArray[np.uint8]
    """(windows, frames, speakers): 1 while a local speaker speaks."""
    scores: npt.NDArray[Any]
    """The same shape: `active` itself from powerset models, else float32 activations in 0..1."""
    frames: Any
    """pyannote's `SlidingWindow` of the frames."""

    def feature(self) -> Any:
        """Return `active` as pyannote's `SlidingWindowFeature`."""
        from pyannote.core import SlidingWindowFeature

        return SlidingWindowFeature(self.active, self.windows.sliding())


class Segmenter:
    """Runs a pipeline's segmentation model, as pyannote's `Inference` does, with less overhead.

    A powerset model's classes are chosen on the device and become speakers at once, from a table,
    rather than by one product of matrices for each batch.
    """

    def __init__(self, pipeline: Any, *, step: float | None = None) -> None:
        """Take the model of a `SpeakerDiarization` pipeline.

        `step` is the distance between two windows as a fraction of their duration; None takes the
        pipeline's own.
        """
        inference = pipeline._segmentation
        self._pipeline, self._model, self._device = pipeline, inference.model, inference.device
        self._duration_s = float(inference.duration)
        self._step_s = inference.step if step is None else step * self._duration_s
        self._speakers_of: npt.NDArray[np.uint8] | None = None
        if self._model.specifications.powerset:
            self._speakers_of = inference.conversion.mapping.cpu().numpy().astype(np.uint8)

    def run(self, samples: Samples, *, batch_size: int, done: Done) -> Segmentation:
        """Segment a recording that is not empty. Raises what torch raises, and what `done` does."""
        windows = Windows.over(samples, self._duration_s, self._step_s)
        # One array from the start: small pieces among large ones that are given back would keep
        # the memory of these.
        outputs: npt.NDArray[Any] | None = None
        done(0, windows.count)
        for indices in batches(np.arange(windows.count), batch_size):
            found = self._infer(windows.cut(indices, min(batch_size, windows.count)))
            if outputs is None:
                outputs = np.empty((windows.count, *found.shape[1:]), found.dtype)
            outputs[indices] = found[: len(indices)]
            done(int(indices[-1]) + 1, windows.count)
        return self._segmentation(windows, outputs)

    def _infer(self, batch: Any) -> npt.NDArray[Any]:
        """Return a powerset model's classes (batch, frames), or the activations."""
        import torch

        with torch.inference_mode():
            output = self._model(batch.to(self._device))
            if self._speakers_of is not None:
                output = output.argmax(dim=-1).to(torch.uint8)
            found: npt.NDArray[Any] = output.cpu().numpy()
        return found

    def _segmentation(self, windows: Windows, outputs: Any) -> Segmentation:
        frames = self._model.receptive_field
        if self._speakers_of is not None:
            active = self._speakers_of[outputs]
            return Segmentation(windows, active, active, frames)
        return Segmentation(windows, self._binary(windows, outputs), outputs, frames)

    def _binary(self, windows: Windows, scores: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        from pyannote.audio.utils.signal import binarize
        from pyannote.core import SlidingWindowFeature

        feature = SlidingWindowFeature(scores, windows.sliding())
        onset = self._pipeline.segmentation.threshold
        binary: npt.NDArray[Any] = binarize(feature, onset=onset, initial_state=False).data
        return binary.astype(np.uint8)
