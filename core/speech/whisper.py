"""A Whisper model: arrays in, words with times and confidence out.

The library's own batched mode decodes each window once, at temperature 0, and keeps whatever comes:
its guards against invented text are in its sequential mode alone. So the windows of a batch are
decoded here, all at once, and the doubtful ones again. `core.speech.drafts` says which these are.

The text is written without time tokens: with them the models invent more for noise, and skip more.
The times of words come from the decoder's attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.domain.request import Decoding
from core.media.audio import SAMPLE_RATE, Samples
from core.settings import BEAM_SIZE
from core.speech.drafts import Draft, better, with_terms
from core.speech.engine import Abilities, Guess, Recognition
from core.speech.heard import heard_words
from core.speech.sound import has_sound
from core.speech.spelling import recognition
from core.speech.stretches import divided, pieces, stretches
from core.speech.whisper_network import WINDOW_S, Network, Windows

_RETRIES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures of further attempts (openai/whisper).

Only a likely loop has them: no attempt at random finds a likelier text than the search did.
"""
_FRAME_S = 0.02

_Item = TypeVar("_Item")


class WhisperModel:
    """A Whisper model of any size, converted to CTranslate2.

    Only one thread may call it.
    """

    window_s = WINDOW_S

    def __init__(
        self,
        path: Path,
        *,
        device: str | None = None,
        beam_size: int = BEAM_SIZE,
        eager_imports: bool = False,  # noqa: ARG002  it imports nothing that it does not call
    ) -> None:
        """Load a folder and decode two seconds of faint noise with the model.

        `beam_size`: texts that the search keeps at a time; fewer are faster and make more errors.
        Raises ModelNotFound if the folder does not hold such a model.
        """
        self._network = Network(path, device, beam_size=beam_size)
        self.device = self._network.device
        self.abilities = Abilities(
            languages=self._network.languages,
            translates=self._network.is_multilingual,
            detects_language=True,
            takes_keyterms=True,
        )
        self._hear([np.full(2 * SAMPLE_RATE, 1e-3, np.float32)], Decoding())

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """See `core.speech.engine.SpeechEngine`."""
        found = [Recognition()] * len(arrays)
        loud = [index for index, samples in enumerate(arrays) if has_sound(samples)]
        if not loud:
            return found
        heard = [arrays[index] for index in loud]
        windows = self._network.encode(heard)
        whole = self._read(windows, heard, decoding)
        if decoding.language is None:
            whole = [
                self._in_languages(one, samples, windows.pick([index]), decoding)
                for index, (one, samples) in enumerate(zip(whole, heard, strict=True))
            ]
        return _placed(found, loud, whole)

    def _hear(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        return self._read(self._network.encode(arrays), arrays, decoding)

    def _read(
        self, windows: Windows, arrays: Sequence[Samples], decoding: Decoding
    ) -> list[Recognition]:
        guesses = windows.guesses if decoding.language is None else (None,) * len(arrays)
        drafts = [Draft()] * len(arrays)
        for code, members in _by_language(guesses, decoding.language).items():
            written = self._write(windows.pick(members), replace(decoding, language=code))
            drafts = _placed(drafts, members, written)
        return [
            replace(_recognition(draft, samples), guess=guess)
            for draft, samples, guess in zip(drafts, arrays, guesses, strict=True)
        ]

    def _in_languages(
        self, whole: Recognition, samples: Samples, window: Windows, decoding: Decoding
    ) -> Recognition:
        """Hear each stretch of a window in its own language, if it holds several."""
        spans = pieces(samples)
        if whole.guess is None or len(spans) < 2:
            return whole
        parts = stretches(spans, self._network.languages_in(window, spans))
        if len(parts) < 2:
            return whole
        # Alone, each is told more surely than beside the other.
        heard = self._hear([part.of(samples) for part in parts], decoding)
        parts = [
            replace(part, guess=one.guess or part.guess)
            for part, one in zip(parts, heard, strict=True)
        ]
        return divided(whole, parts, heard)

    def _write(self, windows: Windows, decoding: Decoding) -> list[Draft]:
        """Write the text of windows of one language; try loops again."""
        drafts = self._network.write(windows, decoding)
        alone = replace(decoding, keyterms=())
        if decoding.keyterms:
            drafts = self._checked(drafts, windows, alone)
        for temperature in _RETRIES:
            loops = [
                index
                for index, draft in enumerate(drafts)
                if draft.is_loop and not draft.is_invented
            ]
            if not loops:
                break
            others = self._network.write(windows.pick(loops), alone, temperature=temperature)
            pairs = zip(loops, others, strict=True)
            drafts = _placed(drafts, loops, [better(drafts[index], new) for index, new in pairs])
        return drafts

    def _checked(self, drafts: list[Draft], windows: Windows, alone: Decoding) -> list[Draft]:
        """Return texts with key terms if there is speech without them too, else those without.

        The key terms are likely after themselves, whatever is heard.
        """
        doubtful = [index for index, draft in enumerate(drafts) if draft.is_invented]
        if not doubtful:
            return drafts
        plain = self._network.write(windows.pick(doubtful), alone)
        chosen = [
            with_terms(drafts[index], other) for index, other in zip(doubtful, plain, strict=True)
        ]
        return _placed(drafts, doubtful, chosen)


def _by_language(guesses: Sequence[Guess | None], given: str | None) -> dict[str | None, list[int]]:
    """Group windows by their language."""
    members: dict[str | None, list[int]] = {}
    for index, guess in enumerate(guesses):
        members.setdefault(guess.language if guess else given, []).append(index)
    return members


def _placed(items: Sequence[_Item], indices: Sequence[int], others: Sequence[_Item]) -> list[_Item]:
    """Return the items with others in the places of these indices."""
    placed = list(items)
    for index, other in zip(indices, others, strict=True):
        placed[index] = other
    return placed


def _recognition(draft: Draft, samples: Samples) -> Recognition:
    if draft.is_invented:
        return Recognition()
    duration_s = len(samples) / SAMPLE_RATE
    found = recognition(draft.text, draft.tokens, frame_s=_FRAME_S, duration_s=duration_s)
    return heard_words(found, samples)
