"""Changes that callers want in the words: other words for some, and no fillers.

They come once the words have their speakers, so that times and speakers stay what was heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.domain.request import Edits
from core.domain.rounding import seconds
from core.domain.timeline import Character, Word
from core.transcript.fillers import are_known, without_fillers
from core.transcript.language import Languages
from core.transcript.replacements import Replacements
from core.transcript.spelled import without_words


def edited(
    words: Sequence[Word], edits: Edits, languages: Languages, *, apart: bool = False
) -> tuple[Word, ...]:
    """Return words with all edits made; those that do not change are the same objects.

    `apart` says that the words of several speakers are in order of time, however they interleave.
    """
    if apart:
        speakers = dict.fromkeys(word.speaker for word in words)
        own = ([word for word in words if word.speaker == one] for one in speakers)
        made = (word for one in own for word in edited(one, edits, languages))
        return tuple(sorted(made, key=lambda word: word.start))
    if edits.remove_fillers:
        words = without_fillers(words, languages)
    return Replacements(edits.replace).made(words)


def edit_warnings(edits: Edits, words: Iterable[Word], languages: Languages) -> Iterator[str]:
    """Yield what a caller should know of edits that cannot be made in the words."""
    if not edits.remove_fillers:
        return
    spoken = list(dict.fromkeys(map(languages.of, words))) or [languages.whole]
    unknown = [one for one in spoken if not are_known(one)]
    for one in unknown:
        why = "the language is not known" if one is None else f"none of {one} is known"
        some = "some words" if one is None else f"words in {one}"
        which = "" if unknown == spoken else f" on {some}"
        yield f"remove_fillers has no effect{which}: {why}"


def respelled(
    characters: Sequence[Character], before: Iterable[Word], after: Iterable[Word]
) -> tuple[Character, ...]:
    """Return the characters of words after an edit; those of new words divide their time."""
    if not characters:
        return ()
    old, new = list(before), list(after)
    had, have = set(map(id, old)), set(map(id, new))
    left = [word for word in old if id(word) not in have]
    kept = without_words(characters, left)
    fresh = [one for word in new if id(word) not in had for one in _letters(word)]
    return tuple(sorted([*kept, *fresh], key=lambda one: one.start))


def _letters(word: Word) -> Iterator[Character]:
    step_s = word.duration / len(word.text)
    for index, letter in enumerate(word.text):
        start_s = word.start + index * step_s
        yield Character(seconds(start_s), seconds(start_s + step_s), letter)
