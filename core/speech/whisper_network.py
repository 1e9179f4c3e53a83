"""The network of a Whisper model on CTranslate2: windows in, languages and drafts out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.request import Decoding
from core.domain.timeline import Span
from core.domain.writing import meet
from core.engine import processor
from core.engine.accelerator import is_device_fault, is_out_of_memory
from core.engine.cuda_libraries import load_cublas
from core.errors import ModelNotFound
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import BEAM_SIZE
from core.speech.drafts import Draft
from core.speech.engine import Guess
from core.speech.spelling import Token

WINDOW_S = 30.0
"""The encoder hears windows of this length; shorter ones are padded with silence."""
_WINDOW_SAMPLES = int(WINDOW_S * SAMPLE_RATE)
_FRAMES_PER_S = 100
_STEP_S = 0.02
"""Two frames of features make one step of the encoder's output."""
_SAMPLED = 5
"""Texts to draw at temperatures above 0; the likeliest is taken (openai/whisper's `best_of`)."""
_CONTEXT_TOKENS = 448
"""The decoder's context holds so many tokens: prompt and text."""
_FIRST_TOKENS, _TOKENS_PER_S = 32, 16
"""More text than that is a loop: fast English has 6 tokens a second, Burmese, spelled byte by byte,
14.
"""
_NAMES = {"jv": "jw"}
"""The languages that Whisper calls otherwise than ISO 639-1."""
_CODES = {name: code for code, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of sound as the encoder hears them."""

    encoded: Any
    """ctranslate2.StorageView, shape (windows, steps, width)."""
    durations_s: tuple[float, ...]
    """Without the padding."""
    guesses: tuple[Guess | None, ...]
    """The likeliest language of each; None if the model has only one."""

    def pick(self, indices: Sequence[int]) -> Windows:
        """Return some of the windows."""
        if list(indices) == list(range(len(self.durations_s))):
            return self
        durations_s = tuple(self.durations_s[index] for index in indices)
        guesses = tuple(self.guesses[index] for index in indices)
        return Windows(_view(self._rows()[list(indices)]), durations_s, guesses)

    def steps(self, span: Span) -> Any:
        """Return what the encoder made of a part of each window: a ctranslate2.StorageView."""
        first, last = int(span.start / _STEP_S), int(span.end / _STEP_S)
        return _view(self._rows()[:, first : max(first + 1, last)])

    def _rows(self) -> NDArray[Any]:
        import ctranslate2

        return np.asarray(self.encoded.to_device(ctranslate2.Device.cpu))


def _view(rows: NDArray[Any]) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(rows))


class Network:
    """A Whisper model of any size. Only one thread may call it."""

    def __init__(self, path: Path, device: str | None, *, beam_size: int = BEAM_SIZE) -> None:
        """Load a folder. Raises ModelNotFound if it holds no such model."""
        import ctranslate2

        self.device = device or ("cuda" if ctranslate2.get_cuda_device_count() else "cpu")
        self._model = _load(path, self.device)
        self._beam_size = beam_size

    @property
    def is_multilingual(self) -> bool:
        """Tell whether it knows more than English, and translates."""
        return bool(self._model.model.is_multilingual)

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes."""
        tokenizer, names = self._model.hf_tokenizer, self._model.supported_languages
        known = (name for name in names if tokenizer.token_to_id(f"<|{name}|>") is not None)
        return frozenset(_CODES.get(name, name) for name in known)

    def encode(self, arrays: Sequence[Samples]) -> Windows:
        """Hear arrays, float32, shape (samples,), 16 kHz mono, of at most 30 s each."""
        durations_s = tuple(min(WINDOW_S, len(one) / SAMPLE_RATE) for one in arrays)
        encoded = self._encode(np.stack([self._features(one) for one in arrays]))
        return Windows(encoded, durations_s, tuple(self._detect(encoded, len(durations_s))))

    def _features(self, samples: Samples) -> NDArray[np.float32]:
        padded = np.pad(samples, (0, max(0, _WINDOW_SAMPLES - len(samples))))
        found = self._model.feature_extractor(padded[:_WINDOW_SAMPLES], padding=0)
        return np.asarray(found, np.float32)

    def _encode(self, features: NDArray[np.float32]) -> Any:
        """A processor hears one window after the other: its arrays are large enough as they are."""
        if self.device != "cpu":
            return self._model.encode(features)
        alone = [np.asarray(self._model.encode(one[np.newaxis])) for one in features]
        return _view(np.concatenate(alone))

    def _detect(self, encoded: Any, count: int) -> list[Guess | None]:
        if not self.is_multilingual:
            return [None] * count
        return [_guess(*ranked[0]) for ranked in self._model.model.detect_language(encoded)]

    def languages_in(self, window: Windows, spans: Sequence[Span]) -> list[dict[str, float]]:
        """Return how likely each language is in each part of a window, for a model of several.

        The encoder has heard all of it; a part costs one step of the decoder.
        """
        ranked = [self._model.model.detect_language(window.steps(span))[0] for span in spans]
        return [
            {guess.language: guess.probability for guess in itertools.starmap(_guess, one)}
            for one in ranked
        ]

    def write(
        self, windows: Windows, decoding: Decoding, *, temperature: float = 0.0
    ) -> list[Draft]:
        """Write the text of each window, whose language is known.

        At temperature 0 search for the likeliest text, above it draw texts at random.
        """
        tokenizer = self._tokenizer(decoding)
        results = self._generate(windows, self._prompt(tokenizer, decoding), temperature)
        texts = [
            [token for token in result.sequences_ids[0] if token < tokenizer.eot]
            for result in results
        ]
        frames = [round(one * _FRAMES_PER_S) for one in windows.durations_s]
        aligned = self._model.model.align(windows.encoded, tokenizer.sot_sequence, texts, frames)
        drafts = [
            _draft(alignment, text, tokenizer)
            for text, alignment in zip(texts, aligned, strict=True)
        ]
        return [
            replace(
                draft,
                no_speech=float(result.no_speech_prob),
                clarity=guess.probability if guess else 1.0,
            )
            for draft, result, guess in zip(drafts, results, windows.guesses, strict=True)
        ]

    def _tokenizer(self, decoding: Decoding) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        code = decoding.language or "en"
        return Tokenizer(
            self._model.hf_tokenizer,
            self.is_multilingual,
            task=decoding.task.value,
            language=_NAMES.get(code, code),
        )

    def _prompt(self, tokenizer: Any, decoding: Decoding) -> list[int]:
        terms = ", ".join(decoding.keyterms) or None
        prompt: list[int] = self._model.get_prompt(
            tokenizer, [], without_timestamps=True, hotwords=terms
        )
        return prompt

    def _generate(self, windows: Windows, prompt: list[int], temperature: float) -> list[Any]:
        longest_s = max(windows.durations_s)
        most = len(prompt) + _FIRST_TOKENS + int(_TOKENS_PER_S * longest_s)
        drawn = {"beam_size": 1, "num_hypotheses": _SAMPLED, "sampling_topk": 0}
        results: list[Any] = self._model.model.generate(
            windows.encoded,
            [prompt] * len(windows.durations_s),
            max_length=min(_CONTEXT_TOKENS, most),
            return_no_speech_prob=True,
            sampling_temperature=temperature or 1.0,
            **(drawn if temperature else {"beam_size": self._beam_size}),
        )
        return results


def _guess(token: str, probability: float) -> Guess:
    name = token.strip("<|>")
    return Guess(_CODES.get(name, name), float(probability))


def _draft(alignment: Any, tokens: Sequence[int], tokenizer: Any) -> Draft:
    pieces, groups = tokenizer.split_tokens_on_unicode(list(tokens))
    edges = _edges_s(alignment.alignments, len(tokens))
    probabilities = alignment.text_token_probs
    letters, first = [], 0
    for piece, group in zip(pieces, groups, strict=True):
        last = first + len(group)
        confidence = min(1.0, max(0.0, float(min(probabilities[first:last]))))
        letter = "".join(piece.split())
        letters.append(Token(letter, edges[first], edges[last], confidence))
        first = last
    return Draft("".join(_divided(pieces)), tuple(letters), tuple(map(float, probabilities)))


def _divided(pieces: Sequence[str]) -> Iterator[str]:
    """Put blanks between the pieces of scripts that have none.

    So a word is as long as a piece, and not as a sentence.
    """
    for before, piece in itertools.pairwise(("", *pieces)):
        yield f" {piece}" if meet(before, piece) and piece[0].isalnum() else piece


def _edges_s(alignment: Sequence[tuple[int, int]], tokens: int) -> list[float]:
    """Return the start of each token and the end of the last, given pairs of token and step."""
    edges_s = [0.0] * (tokens + 1)
    for token, step in reversed(alignment):
        if token <= tokens:
            edges_s[token] = round(step * _STEP_S, 2)
    return edges_s


def _load(path: Path, device: str) -> Any:
    import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.feature_extractor import FeatureExtractor

    if device == "cuda":
        load_cublas()
    else:
        processor.make_ready()
    ctranslate2.set_random_seed(0)
    try:
        # int8 is twice as fast as float32 on a CPU; a GPU computes in the type of the files.
        model = WhisperModel(
            str(path), device=device, compute_type="int8" if device == "cpu" else "default"
        )
    except Exception as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelNotFound(
            f"{path.name} cannot be read as a Whisper model for CTranslate2 "
            f"({type(error).__name__}); check the folder"
        ) from None
    if len(model.feature_extractor.mel_filters) != model.model.n_mels:
        # Conversions without a preprocessor_config.json: large-v3 has more bands than the others.
        model.feature_extractor = FeatureExtractor(feature_size=model.model.n_mels)
    return model
