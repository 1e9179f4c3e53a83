"""The languages that speech models know, as ISO 639-1 codes."""

from __future__ import annotations

from core.errors import UnsupportedLanguage
from core.speech.language_names import CODES

ENGLISH = frozenset({"en"})
EUROPEAN = frozenset(
    {"bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it"}
) | frozenset({"lt", "lv", "mt", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "uk"})
"""The 25 languages on the model card of nvidia/parakeet-tdt-0.6b-v3."""
LANGUAGES = {
    "embedded": ENGLISH,
    "parakeet-tdt-0.6b-v2": ENGLISH,
    "parakeet-tdt-0.6b-v3": EUROPEAN,
    # Their tokens name all languages of Whisper, but they were distilled on English alone.
    "distil-large-v2": ENGLISH,
    "distil-large-v3": ENGLISH,
    "distil-large-v3.5": ENGLISH,
    "distil-large-v3.5-ct2": ENGLISH,
    "faster-distil-whisper-large-v2": ENGLISH,
    "faster-distil-whisper-large-v3": ENGLISH,
}
"""By the last part of the model's name; other models take what their files say, or any."""


def languages_of(name: str) -> frozenset[str] | None:
    """Return the languages of the model of this name; None if it is not one of `LANGUAGES`."""
    return LANGUAGES.get(name.rpartition("/")[2].removesuffix(".nemo"))


def language_code(language: str | None, known: frozenset[str] | None, model: str) -> str | None:
    """Return the code of a language: `en` for `en`, `EN`, `en-US`, `eng` or `English`.

    If the language is None, return the only one that the model knows, else None. `known` is None
    if the model takes any language. Raise UnsupportedLanguage, which names the model.
    """
    if language is None:
        return next(iter(known)) if known is not None and len(known) == 1 else None
    code = language.strip().lower().replace("_", "-").partition("-")[0].strip()
    code = CODES.get(code, code)
    if known is not None and code not in known:
        raise UnsupportedLanguage(
            f"language {language[:20]!r} is not known to {model}: "
            f"leave it out, or give one of {', '.join(sorted(known))}"
        )
    return code
