"""NeMo's lists of tokens, out of the way while it builds a model.

A configuration has several copies of a model's tokens. OmegaConf and Hydra look at each token of
each copy some dozens of times while a model is built: for the 8,192 tokens of Parakeet v3 that
takes longer than everything else. A model with a tokenizer fills the lists anew from it, and then
asks for nothing but their length.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_BUILDERS = (
    "nemo.collections.asr.models.rnnt_bpe_models",
    "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models",
)
"""Modules with such models. Those of CTC alone ask for more than a length, and are left alone."""
_HAS_TOKENIZER = re.compile(r"^tokenizer:", re.MULTILINE)
_LIST = re.compile(r"^( *)(labels|vocabulary):\n\1 *- .*\n(?:\1- .*\n|\1 +.*\n|\n)*", re.MULTILINE)
"""A key, an item, and all that is no key beside it or around it."""


def empty(config: Path) -> None:
    """Empty the lists in the configuration of a model that has a tokenizer."""
    text = config.read_text(encoding="utf-8")
    if _HAS_TOKENIZER.search(text):
        config.write_text(_LIST.sub(r"\1\2: []\n", text), encoding="utf-8")


@contextlib.contextmanager
def as_texts() -> Iterator[None]:
    """Inside the `with`, put a text of as many characters where NeMo's models put a list of tokens.

    A text is one value, and never copied.
    """
    builders: list[Any] = [sys.modules[name] for name in _BUILDERS if name in sys.modules]
    lists = [builder.ListConfig for builder in builders]
    for builder in builders:
        builder.ListConfig = _text
    try:
        yield
    finally:
        for builder, own in zip(builders, lists, strict=True):
            builder.ListConfig = own


def _text(tokens: Sequence[str]) -> str:
    return " " * len(tokens)
