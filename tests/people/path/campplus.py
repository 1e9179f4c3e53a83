"""CAM++ as an embedding model of pyannote's.

The network is in the package that brings the weights (Wang et al., CAM++: A Fast and Efficient
Network for Speaker Verification Using Context-Aware Masking, https://arxiv.org/abs/2303.00332);
`make people` puts it into `.people/network`, which has to be on PYTHONPATH as well.
"""

from __future__ import annotations

import torch
from camplusplus import CAMPPlus
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Task
from torch.nn.functional import interpolate
from torchaudio.compliance import kaldi

MEL_BANDS = 80
DIMENSION = 192
SHORTEST_S = 0.1
"""Of less speech than this an embedding says nothing."""
INT16 = 32_768
"""The network was trained on samples of this range."""


class CamPlusPlus(Model):
    """One vector for the speech of one person."""

    def __init__(
        self, sample_rate: int = 16_000, num_channels: int = 1, task: Task | None = None
    ) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.network = CAMPPlus(feat_dim=MEL_BANDS, embedding_size=DIMENSION)

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return DIMENSION

    def forward(self, waveforms: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return embeddings, shape (batch, 192), of waveforms, shape (batch, 1, samples).

        `weights`, shape (batch, frames), says which part of each is the person's: that of more
        than a half. An embedding of too little speech is NaN, as pyannote wants it. Raises
        ValueError if whole waveforms are too short.
        """
        samples = waveforms[:, 0]
        if samples.shape[1] < SHORTEST_S * self.hparams.sample_rate:
            raise ValueError(f"an embedding needs {SHORTEST_S} s of speech")
        if weights is None:
            return torch.stack([self._embedded(row) for row in samples])
        masks = interpolate(weights[:, None], size=samples.shape[1], mode="nearest")[:, 0]
        return torch.stack(
            [self._embedded(row[mask > 0.5]) for row, mask in zip(samples, masks, strict=True)]
        )

    def _embedded(self, samples: torch.Tensor) -> torch.Tensor:
        if len(samples) < SHORTEST_S * self.hparams.sample_rate:
            return samples.new_full((DIMENSION,), torch.nan)
        features = kaldi.fbank(
            samples[None] * INT16,
            num_mel_bins=MEL_BANDS,
            sample_frequency=self.hparams.sample_rate,
            dither=0.0,
        )
        return self.network((features - features.mean(0))[None])[0]
