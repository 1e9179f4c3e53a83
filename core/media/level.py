"""The level of speech, set before anything is rounded.

Nothing is done to a recording of a usual level. A faint one is made louder and a too loud one
quieter, by a gain that holds for half a minute and changes slowly, so that it never pumps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from core.media.decoder.protocol import OUTPUT_RATE
from core.media.pieces import Mono, blocks

BLOCK = 1 << 19
"""Samples that get one gain, some 33 s."""
_MEMORY = 10
"""Blocks behind that count: a pause of five minutes is not made loud."""
_FRAME = OUTPUT_RATE // 20
_FAINT = 10 ** (-27 / 20)
"""Speech below this is faint: the models lose words of it."""
_AIM = 10 ** (-16 / 20)
"""Where they hear best."""
_MAX_GAIN = 10 ** (66 / 20)
_LOUD_SHARE = 90
_DYNAMIC = 3.0
"""Speech is this much louder than its pauses; steady noise is not."""
_OVER = 1.26
"""Peaks beyond full scale by 2 dB are those of any lossy format."""
_PEAK_SHARE = 99
_CLICK = 5.0
"""What is beyond almost all other samples by this factor is a click, or what is left of damage, and
may be clipped.
"""
_ROOM = 0.95
_FADE = OUTPUT_RATE // 2


@dataclass(frozen=True, slots=True)
class _Measured:
    """A block, with what decides about its gain."""

    samples: Mono
    speech: float
    """Level of its loud parts, RMS; 0 if it is as steady as noise."""
    peak: float
    """Its highest sample, but for clicks."""


def levelled(pieces: Iterable[Mono]) -> Iterator[Mono]:
    """Set the level of samples that come in pieces; give them in blocks."""
    behind: deque[_Measured] = deque(maxlen=_MEMORY)
    waiting: _Measured | None = None
    gain: float | None = None
    for block in blocks(pieces, BLOCK):
        measured = _measure(block)
        if waiting is not None:
            behind.append(_without_samples(waiting))
            next_gain = _gain([*behind, measured])
            yield _apply(waiting.samples, gain, next_gain)
            gain = next_gain
        waiting = measured
    if waiting is not None:
        yield _apply(waiting.samples, gain, _gain([*behind, waiting]))


def _measure(samples: Mono) -> _Measured:
    highest = max(float(samples.max()), -float(samples.min()))
    if not highest < np.inf:
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        highest = float(np.abs(samples).max())
    speech = _speech_level(samples)
    if highest > _OVER or 0 < speech < _FAINT:
        usual = float(np.percentile(np.abs(samples), _PEAK_SHARE))
        # Nearly all samples are zero in what is left of channels that cancel each other.
        highest = min(highest, _CLICK * usual) if usual else highest
    return _Measured(samples, speech, highest)


def _speech_level(samples: Mono) -> float:
    count = len(samples) // _FRAME
    if not count:
        return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    level = np.sqrt(np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / _FRAME)
    quiet, loud = np.percentile(level, [10, _LOUD_SHARE])
    return float(loud) if loud > _DYNAMIC * quiet else 0.0


def _without_samples(measured: _Measured) -> _Measured:
    return _Measured(np.empty(0, np.float32), measured.speech, measured.peak)


def _gain(blocks: list[_Measured]) -> float:
    """Decide by the blocks before, the block itself and the next one."""
    peak = max(block.peak for block in blocks)
    speech = max(block.speech for block in blocks)
    if peak > _OVER:
        return _ROOM / peak
    if 0 < speech < _FAINT:
        return max(1.0, min(_AIM / speech, _ROOM / peak, _MAX_GAIN))
    return 1.0


def _apply(samples: Mono, before: float | None, gain: float) -> Mono:
    """Multiply, round to 16 bits as all models were trained on, and keep within full scale."""
    if before is not None and before != gain:
        factors = np.full(len(samples), gain, np.float32)
        fade = min(_FADE, len(samples))
        factors[:fade] = np.linspace(before, gain, fade, dtype=np.float32)
        samples = samples * factors
    elif gain != 1.0:
        samples = samples * np.float32(gain)
    rounded: Mono = np.rint(samples * np.float32(32_768), dtype=np.float32)
    np.clip(rounded, -32_768, 32_767, out=rounded)
    rounded *= np.float32(1 / 32_768)
    return rounded
