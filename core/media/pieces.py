"""Samples that come in pieces of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Mono = NDArray[np.float32]
"""float32, shape (samples,)."""


def blocks(pieces: Iterable[Mono], size: int) -> Iterator[Mono]:
    """Cut them into blocks of one size; the last one may be shorter."""
    block, filled = np.empty(size, np.float32), 0
    for piece in pieces:
        begin = 0
        while begin < len(piece):
            count = min(size - filled, len(piece) - begin)
            block[filled : filled + count] = piece[begin : begin + count]
            begin, filled = begin + count, filled + count
            if filled == size:
                yield block
                block, filled = np.empty(size, np.float32), 0
    if filled:
        yield block[:filled]


def silence(count: int, size: int) -> Iterator[Mono]:
    """Return so many zeros, in pieces of at most this size."""
    for begin in range(0, count, size):
        yield np.zeros(min(size, count - begin), np.float32)
