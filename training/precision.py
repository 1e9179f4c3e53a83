"""The arithmetic that trainings use."""

import torch


def bfloat16_is_fast() -> bool:
    """Whether the machine has instructions for it; emulated, it was 7 times slower than float32."""
    return torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
