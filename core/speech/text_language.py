"""The language of a text, for models that write several languages and do not say which."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Any

from core.speech.engine import Abilities, Guess

LEAST = 0.5
"""Probability from which a language is told: it is likelier than all others together.

A word or two, such as "Oui.", have less.
"""


class TextLanguage:
    """Tells languages apart by their spelling. Many threads may call it.

    py3langid (BSD): naive Bayes over byte sequences, its model in the package. It takes 0.6 s and
    some 100 MB when the first text comes, and milliseconds for the text of hours.
    """

    def __init__(self, languages: Collection[str]) -> None:
        """`languages` are the ISO 639-1 codes of those that a text may be in."""
        self._languages = languages
        self._lock = threading.Lock()
        self._identifier: Any = None

    def guess(self, texts: Iterable[str]) -> Guess | None:
        """Return the language of words together; None if they do not tell it."""
        text = " ".join(texts)
        if not any(map(str.isalpha, text)):
            return None
        language, probability = self._loaded().classify(text)
        return Guess(language, float(probability)) if probability >= LEAST else None

    def _loaded(self) -> Any:
        with self._lock:
            if self._identifier is None:
                from py3langid.langid import MODEL_FILE, LanguageIdentifier

                known = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
                known.set_languages([one for one in known.labels if one in self._languages])
                self._identifier = known
            return self._identifier


def text_language(abilities: Abilities) -> TextLanguage | None:
    """Return what tells the language of a model's text; None if it is known or the model hears
    it.
    """
    languages = abilities.languages or ()
    is_told = abilities.detects_language or len(languages) < 2
    return None if is_told else TextLanguage(languages)
