"""A Parakeet model of NVIDIA NeMo: arrays in, words with times and confidence out.

What NeMo 3.0.0's `transcribe()` asks of its callers, and so what stands here: asked for timestamps
it rebuilds the decoder (CTC models at every call), so the decoding is set once and offsets are read
from the hypotheses; it pads arrays of less than a second on both sides and shifts their times, so
they are padded here, on the right; its word confidences can differ in number from its words (NeMo
issue 15143), so words are put together here, from the tokens.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.domain.request import Decoding
from core.domain.timeline import Character, Word
from core.engine.accelerator import choose_device, is_device_fault, is_out_of_memory
from core.engine.lazy_imports import LIGHTNING_EXTRAS, imported
from core.engine.nemo_log import silence_nemo
from core.errors import ModelNotFound
from core.media.audio import SAMPLE_RATE, Samples
from core.speech import nemo_archive
from core.speech.engine import Recognition

MIN_SAMPLES = SAMPLE_RATE
"""NeMo pads what is shorter, on both sides."""
PROBE_S = 2.0
"""How much is decoded at the start to see that the model works."""

_NEVER_CALLED = (
    "sklearn",
    "datasets",
    "onnx",
    "pytorch_lightning",
    "nemo.collections.asr.modules.transformer_encoder",
)
"""What NeMo imports for training, export and other models.

The last, which is not Parakeet's encoder, calls torch's compiler.
"""

_MARKS = frozenset(".,?!;:…")
"""A model may emit one of them alone, into silence: that is no word."""

log = logging.getLogger("parakeet.model")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text as the model emits it, without blanks."""

    text: str
    start: float
    """Seconds."""
    end: float
    """Seconds, not before `start`."""
    confidence: float | None


class ParakeetModel:
    """A TDT, RNNT or CTC model from a `.nemo` file.

    Its calls change its state: only one thread may make them.
    """

    def __init__(
        self, path: Path, *, device: str | None = None, eager_imports: bool = False
    ) -> None:
        """Load the model and decode two seconds of faint noise with it.

        Raises ModelNotFound for a file that is not such a model.
        """
        self.device = choose_device(device)
        self._model = _restore(path, self.device, eager_imports=eager_imports)
        self._frame_s = (
            float(self._model.cfg.preprocessor.window_stride)
            * self._model.encoder.subsampling_factor
        )
        _set_decoding(self._model)
        self._probe()

    def recognise(
        self,
        arrays: Sequence[Samples],
        decoding: Decoding,  # noqa: ARG002  the language is a label
    ) -> list[Recognition]:
        """See `core.speech.engine.SpeechEngine`."""
        padded = [np.pad(samples, (0, max(0, MIN_SAMPLES - len(samples)))) for samples in arrays]
        hypotheses = self._model.transcribe(
            padded, batch_size=len(padded), return_hypotheses=True, verbose=False
        )
        return [
            recognition(
                hypothesis.text,
                self._tokens(hypothesis),
                frame_s=self._frame_s,
                duration_s=len(samples) / SAMPLE_RATE,
            )
            for hypothesis, samples in zip(hypotheses, arrays, strict=True)
        ]

    def _tokens(self, hypothesis: Any) -> list[Token]:
        offsets = hypothesis.timestamp["char"]
        confidences = hypothesis.token_confidence or ()
        if len(confidences) != len(offsets):
            confidences = [None] * len(offsets)
        return [
            self._token(offset, confidence)
            for offset, confidence in zip(offsets, confidences, strict=True)
        ]

    def _token(self, offset: dict[str, Any], confidence: float | None) -> Token:
        text = "".join("".join(offset["char"]).split())
        start, end = offset["start_offset"] * self._frame_s, offset["end_offset"] * self._frame_s
        return Token(
            text,
            float(start),
            float(max(start, end)),
            None if confidence is None else min(1.0, max(0.0, float(confidence))),
        )

    def _probe(self) -> None:
        """Decode; where that fails on a GPU, decode again without CUDA graphs.

        NeMo's graphs need a driver as new as the CUDA bindings (NeMo issues 15145, 14915: «CUDA
        failure 35»).
        """
        noise = np.random.default_rng(0).standard_normal(int(PROBE_S * SAMPLE_RATE)).astype(
            np.float32
        ) * np.float32(1e-3)
        try:
            self.recognise([noise], Decoding())
        except Exception as error:
            if not self._model.disable_cuda_graphs():
                raise
            log.warning(
                "CUDA graphs do not work here (%s): decoding without them, more slowly",
                type(error).__name__,
            )
        else:
            return
        self.recognise([noise], Decoding())


def recognition(
    text: str, tokens: Iterable[Token], *, frame_s: float, duration_s: float
) -> Recognition:
    """Put words together from a text and the tokens that spell it.

    A word lasts from its first letter to its last; punctuation, which is often emitted much later,
    does not count. Its confidence is that of the least certain token of these letters. A word that
    the model gave no time lasts one frame, `frame_s`, or until the next. Where the tokens do not
    spell the text (bytes, unknown tokens), the letters share the tokens' times in proportion and
    have no confidence.
    """
    letters = [letter for token in tokens for letter in _letters(token)]
    written = text.split()
    total = sum(map(len, written))
    spelled = [letter.text for letter in letters] == [letter for word in written for letter in word]
    if not letters or not written:
        return Recognition()
    if not spelled:
        letters = [replace(letter, confidence=None) for letter in letters]
    edges = [0, *itertools.accumulate(map(len, written))]
    shares = [_share(letters, first, last, total) for first, last in itertools.pairwise(edges)]
    words = _in_order(
        [_word(word, share) for word, share in zip(written, shares, strict=True)],
        frame_s,
        duration_s,
    )
    characters = [_characters(share, duration_s) if spelled else () for share in shares]
    said = [
        (word, letters)
        for word, letters in zip(words, characters, strict=True)
        if not _MARKS.issuperset(word.text)
    ]
    return Recognition(tuple(word for word, _ in said), tuple(letters for _, letters in said))


def _letters(token: Token) -> Iterator[Token]:
    """Share a token's time among its letters evenly."""
    step = (token.end - token.start) / max(1, len(token.text))
    for index, letter in enumerate(token.text):
        yield Token(
            letter, token.start + index * step, token.start + (index + 1) * step, token.confidence
        )


def _share(letters: Sequence[Token], first: int, last: int, total: int) -> Sequence[Token]:
    """The letters that stand for those from `first` to before `last` of `total`; never none."""
    start = first * len(letters) // total
    return letters[start : max(start + 1, last * len(letters) // total)]


def _word(text: str, letters: Sequence[Token]) -> Word:
    spoken = [letter for letter in letters if letter.text.isalnum()] or letters
    confidences = [letter.confidence for letter in spoken if letter.confidence is not None]
    return Word(spoken[0].start, spoken[-1].end, text, min(confidences, default=None))


def _characters(letters: Sequence[Token], duration_s: float) -> tuple[Character, ...]:
    return tuple(
        Character(min(letter.start, duration_s), min(letter.end, duration_s), letter.text)
        for letter in letters
    )


def _in_order(words: Sequence[Word], frame_s: float, duration_s: float) -> Iterator[Word]:
    earliest = 0.0
    nexts = [word.start for word in words[1:]] + [duration_s]
    for word, following in zip(words, nexts, strict=True):
        start = min(max(word.start, earliest), duration_s)
        end = min(max(start, word.end, min(start + frame_s, following)), duration_s)
        earliest = start
        yield replace(word, start=start, end=end)


def import_nemo(*, eager: bool = False) -> Any:
    """Import NeMo, which takes most of the time of a start, and return its class of all models.

    For `eager` see `core.engine.lazy_imports.imported`.
    """
    import torch  # noqa: F401  with its compiler, which is deferred while NeMo is imported

    silence_nemo()
    return imported("NeMo", _asr_model, (*LIGHTNING_EXTRAS, *_NEVER_CALLED), eager=eager)


def _asr_model() -> Any:
    import librosa.filters  # noqa: F401  else making a model imports it, with SciPy's signals
    from nemo.collections.asr.models import ASRModel
    from nemo.utils import logging as nemo_log

    nemo_log.setLevel(logging.ERROR)
    return ASRModel


def _restore(path: Path, device: str, *, eager_imports: bool) -> Any:
    with ThreadPoolExecutor(1, thread_name_prefix="weights") as reader:
        weights = reader.submit(nemo_archive.read_weights, path, device)
        model = _build(import_nemo(eager=eager_imports), path, device, weights)
    if not (
        hasattr(model, "decoding")
        and hasattr(getattr(model, "encoder", None), "subsampling_factor")
    ):
        raise ModelNotFound(
            f"{path.name} is a NeMo {type(model).__name__}; a TDT, RNNT or CTC model is needed"
        )
    if model.cfg.get("sample_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise ModelNotFound(
            f"{path.name} wants {model.cfg.sample_rate} Hz; a model for {SAMPLE_RATE} Hz is needed"
        )
    return model.to(device).eval()


def _build(kind: Any, path: Path, device: str, weights: Future[dict[str, Any]]) -> Any:
    """Restore a model around its weights; where that cannot be, in NeMo's own way."""
    try:
        return kind.restore_from(
            str(path), map_location="cpu", save_restore_connector=nemo_archive.connector(weights)
        )
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        log.info(
            "%s is restored in NeMo's own way, more slowly (%s)", path.name, type(error).__name__
        )
    try:
        return kind.restore_from(str(path), map_location=device)
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelNotFound(
            f"{path.name} cannot be read as a NeMo model ({type(error).__name__}); check the file"
        ) from None


def _set_decoding(model: Any) -> None:
    """Greedy decoding with token times and confidences, set once.

    The confidence is the probability of the token among all, scaled so that a guess is 0: (p * V -
    1) / (V - 1) for V tokens.
    """
    from omegaconf import open_dict

    decoding = model.cfg.decoding
    with open_dict(decoding):
        decoding.strategy = "greedy_batch"
        decoding.compute_timestamps = True
        decoding.rnnt_timestamp_type = decoding.ctc_timestamp_type = "char"
        decoding.confidence_cfg = {
            "preserve_token_confidence": True,
            "exclude_blank": True,
            "aggregation": "min",
            "method_cfg": {"name": "max_prob", "alpha": 1.0},
        }
    model.change_decoding_strategy(decoding, verbose=False)
