"""The sounds with which people fill their pauses, such as um: by language, for what fills one
pause is a word elsewhere.

No word that answers or asks, such as mhm, uh-huh or eh, is among them. Sounds are written longer
the longer they are. What is a word or a unit at its shortest, such as mm, or öö in Estonian, is a
filler only if it is longer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from core.domain.timeline import Word
from core.transcript.language import Languages
from core.transcript.marks import folded, parted

_HM = "h+m+"
_SOUNDS = {
    "bg": "ъ{2,}м*|ъ+м+|м{3,}|хм+",
    "cs": f"e{{2,}}|é{{2,}}|e+h+m+|{_HM}",
    "da": f"[øæ]+h+m*|e+h+m*|{_HM}",
    "de": f"[äö]+h+m*|e+h+m+|{_HM}",
    "el": "ε{2,}|ε+μ+|μ{3,}|χμ{2,}",
    "en": f"u+h+m*|u+m+|e+r+m+|er|{_HM}",
    "es": f"e{{2,}}h*|e+h*m+|m{{3,}}|{_HM}",
    "et": f"e{{2,}}|õ{{2,}}|ä{{2,}}|ö{{3,}}|ö+h+m*|ö{{2,}}m+|e+h+m+|{_HM}",
    "fi": f"[öä]{{2,}}|ö+h+m*|{_HM}",
    "fr": f"e+u+h+|h+e+u+|h+u+m+|{_HM}",
    "hr": f"e{{2,}}|e+h+m+|{_HM}",
    "hu": f"ö+h*|[őe]{{2,}}|{_HM}",
    "it": f"e{{2,}}h*|[eu]+h+m+|m{{3,}}|{_HM}",
    "lt": f"[eė]{{2,}}|e+h+m+|{_HM}",
    "lv": f"[eē]{{2,}}|e+h+m+|{_HM}",
    "mt": f"e{{2,}}|e+[hħ]+m+|{_HM}",
    "nl": f"[ue]+h+m*|{_HM}",
    "pl": f"y{{2,}}|e{{2,}}|e+h+m+|{_HM}",
    "pt": f"h+u+m+|e+h+m+|ã+h+|{_HM}",
    "ro": f"[ăîe]{{2,}}|[ăe]+h*m+|{_HM}",
    "ru": "э+м*|м{3,}|хм+",
    "sk": f"e{{2,}}|e+h+m+|{_HM}",
    "sl": f"e{{2,}}|e+h+m+|{_HM}",
    "sv": f"[öäe]+h+m*|ö{{2,}}|{_HM}",
    "uk": "е{2,}м*|е+м+|м{3,}|хм+",
}
_ENDING = ".?!…。？！"
_JOINING = ",;:-–—，、"
"""Marks after which a sentence goes on."""
_PATTERNS = {language: re.compile(sounds) for language, sounds in _SOUNDS.items()}


def are_known(language: str | None) -> bool:
    """Tell whether the fillers of a language, by its ISO 639-1 code, are known."""
    return language in _PATTERNS


def is_filler(text: str, language: str) -> bool:
    """Tell whether a word without the marks around it only fills a pause.

    Capital letters alone, such as ER, are no filler. Raise KeyError if the language's fillers are
    not known.

    >>> is_filler("um", "en"), is_filler("um", "de")
    (True, False)
    """
    is_short_form = len(text) > 1 and text.isupper()
    return not is_short_form and _PATTERNS[language].fullmatch(folded(text)) is not None


def without_fillers(words: Sequence[Word], languages: Languages) -> tuple[Word, ...]:
    """Return one speaker's words, or those of several in turn, without fillers.

    A filler is one in the language of the words around it; if none of that language are known, all
    words stay. The end of a sentence, or its capital letter, goes to the word before or after.
    """
    kept: list[Word] = []
    capital_of: Word | None = None
    for word in words:
        lead, body, trail = parted(word.text)
        language = languages.of(word)
        if language is not None and are_known(language) and is_filler(body, language):
            if kept and kept[-1].speaker == word.speaker:
                kept[-1] = _ended(kept[-1], trail)
            capital_of = word if body[:1].isupper() else capital_of
            continue
        begins = capital_of is not None and capital_of.speaker == word.speaker
        text = lead + body[:1].upper() + body[1:] + trail if begins else word.text
        capital_of = None
        kept.append(_with_text(word, text))
    return tuple(kept)


def _ended(word: Word, trail: str) -> Word:
    """Return a word with the end of the sentence that the filler after it ended."""
    mark = "".join(char for char in trail if char in _ENDING)
    if not mark or word.text[-1:] in _ENDING:
        return word
    return _with_text(word, word.text.rstrip(_JOINING) + mark)


def _with_text(word: Word, text: str) -> Word:
    return word if text == word.text else replace(word, text=text)
