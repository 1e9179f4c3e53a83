"""What a model of a name can do, and requests checked against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.domain.request import Decoding, Task
from core.errors import InvalidRequest
from core.speech.engine import Abilities
from core.speech.languages import language_code, languages_of

_UNTRAINED = "turbo"
"""Large-v3-turbo was trained without translations: asked for one, it writes what was said."""
_NAMED = 3
"""Key terms that a warning names."""


def known(name: str, abilities: Abilities) -> Abilities:
    """Narrow what a model's files promise to what the model of this name was trained for."""
    languages = languages_of(name) or abilities.languages
    is_english = languages is not None and len(languages) == 1
    translates = abilities.translates and not is_english and _UNTRAINED not in name.lower()
    return replace(abilities, languages=languages, translates=translates)


def checked(decoding: Decoding, abilities: Abilities, model: str) -> Decoding:
    """Return the decoding with the code of its language.

    Raise UnsupportedLanguage or InvalidRequest, which name the model, if it cannot do that.
    """
    if decoding.task is Task.TRANSLATE and not abilities.translates:
        raise InvalidRequest(
            f"task translate is not known to {model}, which writes what is said: leave task out, "
            "or use a worker whose MODEL_ID is openai/whisper-large-v3"
        )
    if decoding.keyterms and not abilities.takes_keyterms:
        raise InvalidRequest(
            f"keyterms are not known to {model}: leave them out, or use a worker with a Whisper "
            "model, or with Parakeet's TDT or RNNT"
        )
    return replace(decoding, language=language_code(decoding.language, abilities.languages, model))


def is_writable(term: str, letters: frozenset[str]) -> bool:
    """Tell whether a term has no character but these, and white space."""
    return all(letter in letters or letter.isspace() for letter in term)


def unwritable(terms: Sequence[str], letters: frozenset[str] | None, model: str) -> Iterator[str]:
    """Warn of key terms with characters that the model cannot write; `letters` are those it can."""
    left_out = [term for term in terms if letters and not is_writable(term, letters)]
    if left_out:
        named = ", ".join(map(repr, left_out[:_NAMED]))
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        yield f"keyterms that {model} cannot spell have no effect: {named}{more}"
