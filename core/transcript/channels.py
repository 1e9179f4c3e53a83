"""The words of channels that were heard each by itself, as one transcript.

All may speak at once. A channel also hears others faintly, through the room or the wire: a word
that two channels heard belongs to the louder one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Protocol, TypeVar

from core.domain.timeline import Character, LanguageSpan, Segment, Span, Speech, Transcription, Word
from core.transcript.coverage import covered, united, without
from core.transcript.language import language_of
from core.transcript.segments import split_segments
from core.transcript.spelled import without_words
from core.transcript.word_spans import spoken_span

_LOUDER = 2.0
"""A channel that is this many times as loud, 6 dB, is heard on others rather than the reverse."""
_NEAR_S = 0.2
"""Two channels place a word that both heard less than this far apart."""
_SAME_SOUND = 0.9
"""Loudness that goes together like this is one sound, whatever the model made of it."""
_SAME_WORD = 0.6
"""The same for what the model heard as one word on both channels.

Two people who say it at once are as alike, so it counts only if a leak can be that loud.
"""
_ABOVE_LEAK = 1.6
"""Whoever speaks into a leak is louder than it by more than 4 dB."""


_Timed = TypeVar("_Timed", Word, Character, Speech, LanguageSpan, Span)


class Loudness(Protocol):
    """How loud the channels of a recording are; channels count from 0."""

    def level(self, channel: int, span: Span) -> float:
        """Return the root mean square of a stretch, 0..1."""
        ...

    def likeness(self, channel: int, other: int, span: Span) -> float:
        """Return how far the loudness of two channels goes together around a stretch, -1..1."""
        ...

    def source(self, channel: int, other: int, span: Span) -> float:
        """Return another channel's level when it made what is heard here in a stretch."""
        ...

    def leaked(self, channel: int, other: int, span: Span) -> float:
        """Return the level that another channel brings with it on this one in a stretch, 0..1, with
        the noise that is always here; 0 if no leak was found.
        """
        ...

    def leaked_at_most(self, channel: int, other: int, span: Span) -> float:
        """Return the same for the greatest leak that may have escaped notice."""
        ...


def name(channel: int) -> str:
    """Return the speaker of a channel; channels count from 0.

    >>> name(0)
    'Channel 1'
    """
    return f"Channel {channel + 1}"


def joined(heard: dict[int, Transcription], loudness: Loudness) -> Transcription:
    """Return the words of all channels in order of time, each with its channel as speaker.

    `heard` is by channel. A word that a channel only overhears is left out.
    """
    words = {channel: one.words for channel, one in heard.items()}
    said = [
        _said(
            channel,
            one,
            _overheard(channel, words, loudness),
            _leaking(channel, words, loudness),
        )
        for channel, one in heard.items()
    ]
    language, sure = language_of(said)
    return Transcription(
        words=_in_order(word for one in said for word in one.words),
        characters=_in_order(character for one in said for character in one.characters),
        language=language,
        language_confidence=sure,
        warnings=tuple(warning for one in said for warning in one.warnings),
        is_split=True,
        speech=_in_order(speech for one in said for speech in one.speech),
        found_again=_in_order(span for one in said for span in one.found_again),
        languages=_in_order(_languages(said)),
    )


def _languages(said: Sequence[Transcription]) -> Iterator[LanguageSpan]:
    """Yield the stretches of each channel in order.

    If channels are in several languages, one whose model told no stretches is a stretch itself.
    """
    told = {one.language for one in said if one.words} - {None}
    for one in said:
        yield from one.languages
        if one.words and one.language and not one.languages and len(told) > 1:
            first, last = one.words[0], max(word.end for word in one.words)
            yield LanguageSpan(first.start, last, one.language, first.speaker)


def _said(
    channel: int, heard: Transcription, overheard: Sequence[Word], leaking: Sequence[Word]
) -> Transcription:
    speaker = name(channel)
    strange = set(overheard)
    return Transcription(
        words=tuple(replace(word, speaker=speaker) for word in heard.words if word not in strange),
        characters=without_words(heard.characters, overheard),
        language=heard.language,
        language_confidence=heard.language_confidence,
        warnings=tuple(f"{speaker}: {warning}" for warning in heard.warnings),
        speech=tuple(
            Speech(one.start, one.end, speaker)
            for one in without(united(heard.speech), covered((*overheard, *leaking)))
        ),
        found_again=heard.found_again,
        languages=tuple(replace(one, speaker=speaker) for one in heard.languages),
    )


def _overheard(channel: int, words: Mapping[int, Sequence[Word]], loudness: Loudness) -> list[Word]:
    return [word for word in words[channel] if _is_overheard(word, channel, words, loudness)]


def _leaking(channel: int, words: Mapping[int, Sequence[Word]], loudness: Loudness) -> list[Word]:
    """Return the words of other channels that are also to be heard on this one, more faintly."""
    return [
        word
        for other, heard in words.items()
        if other != channel
        for word in heard
        if loudness.source(channel, other, spoken := spoken_span(word))
        >= _LOUDER * (level := loudness.level(channel, spoken))
        and level <= _ABOVE_LEAK * loudness.leaked(channel, other, spoken)
    ]


def mark_overlaps(words: Sequence[Word]) -> tuple[Word, ...]:
    """Mark the words during which another speaker has a word; a channel is a sure speaker."""
    own = _by_speaker(words)

    def is_overlapped(word: Word) -> bool:
        return any(_during(word, own[speaker]) for speaker in own if speaker != word.speaker)

    return tuple(
        replace(word, speaker_confidence=1.0, overlapped=is_overlapped(word)) for word in words
    )


def segments_by_speaker(words: Sequence[Word]) -> tuple[Segment, ...]:
    """Cut the words of each speaker into segments, and return all of them in order of start."""
    own = chain.from_iterable(map(split_segments, _by_speaker(words).values()))
    return tuple(sorted(own, key=lambda segment: segment.start))


def _by_speaker(words: Iterable[Word]) -> dict[str | None, list[Word]]:
    own: dict[str | None, list[Word]] = {}
    for word in words:
        own.setdefault(word.speaker, []).append(word)
    return own


def _is_overheard(
    word: Word, channel: int, words: Mapping[int, Sequence[Word]], loudness: Loudness
) -> bool:
    spoken = spoken_span(word)
    near = Span(spoken.start - _NEAR_S, spoken.end + _NEAR_S)
    return any(
        _is_sound_of(other, channel, spoken, loudness, _likeness_of(word, there))
        for other, heard in words.items()
        if other != channel and (there := _during(near, heard))
    )


def _likeness_of(word: Word, there: Sequence[Word]) -> float:
    """Return how alike the sound must be for a word to be one of those on another channel."""
    return _SAME_WORD if word.letters in {one.letters for one in there} else _SAME_SOUND


def _is_sound_of(
    other: int, channel: int, spoken: Span, loudness: Loudness, least_alike: float
) -> bool:
    """Tell if a channel only overhears another in a stretch."""
    level = loudness.level(channel, spoken)
    if loudness.source(channel, other, spoken) < _LOUDER * level:
        return False
    if level <= _ABOVE_LEAK * loudness.leaked(channel, other, spoken):
        return True
    return (
        level <= _ABOVE_LEAK * loudness.leaked_at_most(channel, other, spoken)
        and loudness.likeness(channel, other, spoken) >= least_alike
    )


def _during(span: Span, words: Sequence[Word]) -> Sequence[Word]:
    """Return the words, of one speaker and in order, that overlap a span."""
    first = bisect_left(words, span.start, key=lambda word: word.end)
    end = bisect_left(words, span.end, key=lambda word: word.start)
    return [word for word in words[first:end] if word.overlap(span) > 0]


def _in_order(timed: Iterable[_Timed]) -> tuple[_Timed, ...]:
    return tuple(sorted(timed, key=lambda one: one.start))
