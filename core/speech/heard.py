"""Words against the sound that they were found in.

A model that only reads its own attention places words into pauses, and stretches the first word
after a pause over all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.domain.timeline import Character, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.speech.drafts import repeated
from core.speech.engine import Recognition

_FRAME_S = 0.01
_FRAME_SAMPLES = int(_FRAME_S * SAMPLE_RATE)
_SILENCE_DBFS = -70.0
"""Anything quieter is no speech, whatever is around it."""
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

_SKIPPED_S = 3.0
"""Shortest stretch without words that is heard again: less is a pause, a sigh or a cough."""
_SKIPPED_SOUND_S = 1.5
"""Seconds of it that must be as loud as speech."""
_BREAK_S = 1.0
"""A longer pause divides what is heard again; half as much of it stays on either side."""

_Timed = TypeVar("_Timed", Word, Character)
Levels = NDArray[np.float64]
"""Decibels of full scale by frames of 10 ms; float64, shape (frames,)."""


def levels(samples: Samples) -> Levels:
    """Return the level of each frame of an array, float32, shape (samples,)."""
    padded = np.pad(samples, (0, -len(samples) % _FRAME_SAMPLES)).astype(np.float64)
    power = np.square(padded.reshape(-1, _FRAME_SAMPLES)).mean(axis=1)
    found: Levels = 10 * np.log10(np.maximum(power, 1e-12))
    return found


def has_sound(samples: Samples) -> bool:
    """Tell whether an array is more than silence."""
    return bool(len(samples)) and float(levels(samples).max()) > _SILENCE_DBFS


def heard_words(found: Recognition, samples: Samples) -> Recognition:
    """Drop the words that cannot have been said, and trim the others to their sound.

    These are words in silence, words that take no time, and what only repeats a loop.
    """
    sound = levels(samples)
    floor = max(_SILENCE_DBFS, float(np.percentile(sound, 95)) - _UNHEARD_DB)
    repeats = repeated([word.text for word in found.words])
    once = [index for index in range(len(found.words)) if index not in repeats]
    unsaid = _unsaid([found.words[index] for index in once])
    kept = [
        index
        for at, index in enumerate(once)
        if at not in unsaid and _loudest(found.words[index], sound) > floor
    ]
    words = tuple(_trimmed(found.words[index], sound) for index in kept)
    characters = tuple(
        _within(found.characters[index], word) for index, word in zip(kept, words, strict=True)
    )
    return replace(found, words=words, characters=characters)


def skipped(found: Recognition, samples: Samples) -> list[slice]:
    """Return the stretches of sound in which no word was found, of an array with words elsewhere.

    Models leave out what follows a pause, or is in another language.
    """
    if not found.words:
        return []
    sound = levels(samples)
    loud = sound > max(_SILENCE_DBFS, float(np.percentile(sound, 95)) - _QUIET_DB)
    edges = [0.0, *(time for word in found.words for time in (word.start, word.end))]
    edges.append(len(samples) / SAMPLE_RATE)
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [
        stretch
        for start, end in gaps
        if end - start >= _SKIPPED_S
        for stretch in _stretches(loud, start, end)
    ]


def _stretches(loud: NDArray[np.bool_], start_s: float, end_s: float) -> Iterator[slice]:
    """Yield the samples of each stretch of sound in a gap that is long enough."""
    frames = _frames(start_s, end_s)
    found = frames.start + np.flatnonzero(loud[frames])
    for stretch in np.split(found, np.flatnonzero(np.diff(found) * _FRAME_S > _BREAK_S) + 1):
        if len(stretch) * _FRAME_S >= _SKIPPED_SOUND_S:
            first = max(start_s, float(stretch[0]) * _FRAME_S - _BREAK_S / 2)
            last = min(end_s, float(stretch[-1] + 1) * _FRAME_S + _BREAK_S / 2)
            yield slice(round(first * SAMPLE_RATE), round(last * SAMPLE_RATE))


def filled(found: Recognition, start_s: float, more: Recognition) -> Recognition:
    """Return a recognition with the words that were found in one of its gaps."""
    at = sum(word.start < start_s for word in found.words)
    words = tuple(_moved(word, start_s) for word in more.words)
    characters = tuple(tuple(_moved(one, start_s) for one in word) for word in more.characters)
    return replace(
        found,
        words=found.words[:at] + words + found.words[at:],
        characters=found.characters[:at] + characters + found.characters[at:],
    )


def _moved(one: _Timed, by_s: float) -> _Timed:
    return replace(one, start=round(one.start + by_s, 6), end=round(one.end + by_s, 6))


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


def _within(characters: Sequence[Character], word: Word) -> tuple[Character, ...]:
    """Return the characters of a word that was trimmed."""
    return tuple(
        replace(
            one,
            start=min(max(one.start, word.start), word.end),
            end=min(max(one.end, word.start), word.end),
        )
        for one in characters
    )


def _frames(start_s: float, end_s: float) -> slice:
    first = max(0, int(start_s / _FRAME_S))
    return slice(first, max(first + 1, round(end_s / _FRAME_S)))


def _loudest(word: Word, sound: Levels) -> float:
    around = sound[_frames(word.start - _MARGIN_S, word.end + _MARGIN_S)]
    return float(around.max(initial=-np.inf))


def _trimmed(word: Word, sound: Levels) -> Word:
    """Return a long word without the pauses around it, and what is beyond them."""
    first = _frames(word.start, word.end).start
    own = sound[_frames(word.start, word.end)]
    if word.duration <= _LONG_S or not len(own):
        return word
    loud = np.flatnonzero(own > own.max() - _QUIET_DB)
    islands = np.split(loud, np.flatnonzero(np.diff(loud) * _FRAME_S > _PAUSE_S) + 1)
    loudest = max(islands, key=lambda frames: float(np.sum(10 ** (own[frames] / 10))))
    start = max(word.start, float(first + loudest[0]) * _FRAME_S)
    end = min(word.end, float(first + loudest[-1] + 1) * _FRAME_S)
    return replace(word, start=start, end=max(start, end))
