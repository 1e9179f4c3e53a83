"""Utterances to words: NVIDIA NeMo's Parakeet models behind a `Transcriber`.

What NeMo 3.0.0's `transcribe()` asks of its callers, and so what stands here: it is not thread-safe (it toggles the model's mode and
preprocessor), so one thread calls it; asked for timestamps it rebuilds the decoder, for CTC models at every call, so the decoding is set
once and offsets are read from the hypotheses; it pads arrays under one second on both sides and shifts their times, so they are padded
here, on the right.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.accelerator import ModelThread, choose_device, device_failed, is_device_fault, is_out_of_memory, release_memory
from core.audio import SAMPLE_RATE
from core.chunking import Utterance, join_words
from core.errors import Cancelled, ModelNotFound, OutOfMemory, UnsupportedLanguage
from core.modelstore import EMBEDDED, display_name
from core.timeline import Character, Transcription, Word

ENGLISH = frozenset({"en"})
# https://huggingface.co/nvidia/parakeet-tdt-0.6b-v3, "Supported Languages".
EUROPEAN = frozenset(
    "bg hr cs da nl en et fi fr de el hu it lv lt mt pl pt ro sk sl es sv ru uk".split(),
)
LANGUAGES = {EMBEDDED: ENGLISH, "parakeet-tdt-0.6b-v2": ENGLISH, "parakeet-tdt-0.6b-v3": EUROPEAN}
"""What the known models know, by the last part of their id. Others take any language, as a label."""
