"""Words against the sound that they were found in.

A model that only reads its own attention places words into pauses, and stretches the first word
after a pause over all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.domain.timeline import Word
from core.media.audio import Samples
from core.speech.drafts import repeated
from core.speech.engine import Recognition
from core.speech.sound import FRAME_S, SILENCE_DBFS, Levels, frames, levels
from core.speech.spelling import within
from core.transcript.sentences import ends_sentence
from core.transcript.word_spans import spoken_end

_UNHEARD_DB = 40.0
"""A word is in silence if all of it is so much quieter than the loud parts around."""
_QUIET_DB = 30.0
"""A word does not begin or end in what is so much quieter than its own loudest part."""
_MARGIN_S = 0.1
"""The times of a word are this far from the truth at times."""
_LONG_S = 0.4
"""Longer words may be stretched over a pause."""
_PAUSE_S = 0.2
"""No word has so long a pause in it."""
_HASTE_S = 0.06
"""Nobody says a word in less, but the attention gives short ones no more at times."""
_HASTY = 4
"""So many such words in a row were not all said."""


def heard_words(found: Recognition, samples: Samples) -> Recognition:
    """Drop the words that cannot have been said, and trim the others to their sound.

    These are words in silence, words that take no time, and what only repeats a loop.
    """
    sound = levels(samples)
    floor = max(SILENCE_DBFS, float(np.percentile(sound, 95)) - _UNHEARD_DB)
    repeats = repeated([word.text for word in found.words])
    once = [index for index in range(len(found.words)) if index not in repeats]
    unsaid = _unsaid([found.words[index] for index in once])
    kept = [
        index
        for at, index in enumerate(once)
        if at not in unsaid and _loudest(found.words[index], sound) > floor
    ]
    words = _late([_trimmed(found.words[index], sound) for index in kept])
    characters = tuple(
        within(word, found.characters[index]) for index, word in zip(kept, words, strict=True)
    )
    return replace(found, words=words, characters=characters)


def _late(words: Sequence[Word]) -> tuple[Word, ...]:
    """Begin the first words of sentences late if they last longer than they can be spoken.

    In noise no sound tells the pause that such a word is stretched over.
    """
    late = []
    for index, word in enumerate(words):
        is_first = index == 0 or ends_sentence(words[index - 1], word)
        surplus_s = word.end - spoken_end(word) if is_first else 0.0
        late.append(replace(word, start=word.start + surplus_s) if surplus_s > 0 else word)
    return tuple(late)


def _unsaid(words: Sequence[Word]) -> set[int]:
    """Return the words of hasty runs that repeat others, and all of a run at the end."""
    unsaid: set[int] = set()
    for run in _hasty_runs(words):
        is_last = run[-1] == len(words) - 1
        unsaid |= {index for index in run if is_last or _repeats(words, index)}
    return unsaid


def _hasty_runs(words: Sequence[Word]) -> list[list[int]]:
    groups = itertools.groupby(
        range(len(words)), key=lambda index: words[index].duration < _HASTE_S
    )
    runs = (list(indices) for is_hasty, indices in groups if is_hasty)
    return [run for run in runs if len(run) >= _HASTY]


def _repeats(words: Sequence[Word], index: int) -> bool:
    return index > 0 and words[index].letters == words[index - 1].letters


def _loudest(word: Word, sound: Levels) -> float:
    around = sound[frames(word.start - _MARGIN_S, word.end + _MARGIN_S)]
    return float(around.max(initial=-np.inf))


def _trimmed(word: Word, sound: Levels) -> Word:
    """Return a long word without the pauses around it, and what is beyond them."""
    first = frames(word.start, word.end).start
    own = sound[frames(word.start, word.end)]
    if word.duration <= _LONG_S or not len(own):
        return word
    loud = np.flatnonzero(own > own.max() - _QUIET_DB)
    islands = np.split(loud, np.flatnonzero(np.diff(loud) * FRAME_S > _PAUSE_S) + 1)
    loudest = max(islands, key=lambda frames: float(np.sum(10 ** (own[frames] / 10))))
    start = max(word.start, float(first + loudest[0]) * FRAME_S)
    end = min(word.end, float(first + loudest[-1] + 1) * FRAME_S)
    return replace(word, start=start, end=max(start, end))
