"""The ends of sentences, and the pauses around them."""

from __future__ import annotations

import re

from core.domain.timeline import Word

# Brief (< 0.2 s), medium and long (> 1 s) pauses are the three modes that Campione and Véronis
# found, Speech Prosody 2002.
BRIEF_PAUSE_S = 0.2
LONG_PAUSE_S = 1.0

_OPENING = "\"'“‘«‹([{¿¡"
_CLOSING = "\"'”’»›)]}"
_BEFORE_A_NAME = re.compile(
    "mr|mrs|ms|mx|dr|prof|rev|hon|st|mt|ft|gen|col|maj|capt|cmdr|lt|sgt|gov|sen|rep|pres|messrs|mme|mlle|vs|hr|fr|sra|srta"
)
_BEFORE_A_NUMBER = re.compile(r"no|nos|nr|vol|fig|pp|ch|art|sec|.*\d")
_ANYWHERE = re.compile(r"etc|inc|ltd|co|corp|jr|sr|dept|approx|a\.m|p\.m|am|pm")
_LETTERS_WITH_DOTS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?")


def ends_sentence(word: Word, following: Word) -> bool:
    """Tell the end of a sentence from an abbreviation, an initial and half a number."""
    text = word.text.rstrip(_CLOSING)
    if not text.endswith("."):
        return text.endswith(("?", "!", "…", "。", "？", "！"))
    stem = text.rstrip(".").lstrip(_OPENING).lower()
    begin = following.text.lstrip(_OPENING)[:1]
    if _BEFORE_A_NUMBER.fullmatch(stem):
        return not begin.isdigit()
    if _ANYWHERE.fullmatch(stem):
        return begin.isupper()
    is_short_form = _BEFORE_A_NAME.fullmatch(stem) or _LETTERS_WITH_DOTS.fullmatch(stem + ".")
    return stem == "i" or not is_short_form
