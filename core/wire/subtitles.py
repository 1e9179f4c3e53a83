"""The transcript as subtitles: cues that can be read, of one speaker each, whose text cannot break
the format.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, zip_longest

from core.domain.timeline import Transcript, Word
from core.wire.fields import Answer, one_line

# Two lines of 42 characters, 5/6 to 7 seconds: what Netflix's guide for timed text asks of
# subtitles in Latin letters.
LINE_CHARACTERS = 42
SHORTEST_CUE_MS = 833
LONGEST_CUE_MS = 7000
CLAUSE_PAUSE_S = 0.2
LABEL_CHARACTERS = 24

Texts = Callable[[Sequence[Word]], list[str]]
"""What a cue of these words shows, in parts between which a line may end."""


@dataclass(frozen=True, slots=True)
class _Cue:
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]


def srt(transcript: Transcript) -> Answer:
    """SubRip; who speaks stands before the words."""

    def block(number: int, cue: _Cue) -> str:
        lines = "\n".join(_lines(_labelled(cue.words))).translate(_NOT_STYLING)
        return f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{lines}\n"

    cues = _cues(transcript, _labelled)
    return {"srt": "\n".join(block(number, cue) for number, cue in enumerate(cues, start=1))}


def vtt(transcript: Transcript) -> Answer:
    """WebVTT; who speaks stands in a voice tag."""

    def block(cue: _Cue) -> str:
        label = _label(cue.words[0].speaker)
        voice = f"<v {html.escape(label, quote=False)}>" if label else ""
        lines = html.escape("\n".join(_lines(_unlabelled(cue.words))), quote=False)
        return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{voice}{lines}\n"

    return {"vtt": "\n".join(["WEBVTT\n", *map(block, _cues(transcript, _unlabelled))])}


_NOT_STYLING = str.maketrans("<>{}", "‹›()")
"""srt has no way to escape what players read as styling, or parsers as an arrow; the nearest
characters stand in.
"""


def _clock(milliseconds: int, point: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{point}{milliseconds:03d}"


def _label(speaker: str | None) -> str:
    """What a reader is shown: a number gets the word «Speaker» before it, a name stands as it
    is.
    """
    name = one_line(speaker or "")
    if len(name) > LABEL_CHARACTERS:
        name = name[: LABEL_CHARACTERS - 1] + "…"
    return f"Speaker {name}" if name.isdigit() or len(name) == 1 else name


def _unlabelled(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def _labelled(words: Sequence[Word]) -> list[str]:
    label = _label(words[0].speaker)
    return [f"{label}:"] * bool(label) + _unlabelled(words)


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    """One line, or two as even as possible, parted only between texts."""
    line = " ".join(texts)
    cuts = accumulate(len(text) + 1 for text in texts[:-1])
    cut = min(cuts, key=lambda cut: max(cut - 1, len(line) - cut), default=0)
    return (line,) if len(line) <= LINE_CHARACTERS or not cut else (line[: cut - 1], line[cut:])


def _cues(transcript: Transcript, texts: Texts) -> Iterator[_Cue]:
    """The segments as cues of one speaker each that do not overlap; `texts` says what a cue of
    these words would show.
    """
    groups = [
        tuple(group)
        for segment in transcript.segments
        for _, run in groupby(segment.words, key=lambda word: word.speaker)
        for group in _readable([piece for word in run for piece in _pieces(word)], texts)
    ]
    free_ms = 0
    for group, following in zip_longest(groups, groups[1:]):
        cue = _shown(group, following, free_ms)
        free_ms = cue.end_ms
        yield cue


def _pieces(word: Word) -> Iterator[Word]:
    """The word, or parts of it that fit a line, each with its part of the time."""
    text = one_line(word.text)
    for first in range(0, len(text), LINE_CHARACTERS):
        part = text[first : first + LINE_CHARACTERS].strip()
        start, end = (
            word.start + word.duration * at / len(text)
            for at in (first, min(len(text), first + LINE_CHARACTERS))
        )
        yield replace(word, start=start, end=end, text=part)


def _readable(words: list[Word], texts: Texts) -> Iterator[list[Word]]:
    """Cut at a comma, else at a pause, else in the middle, again and again, until every part fits a
    cue.
    """
    if len(words) < 2 or _fits(words, texts):
        if words:
            yield words
        return
    middle = range(max(1, len(words) // 4), max(2, len(words) - len(words) // 4))
    cut = max(
        middle, key=lambda i: (_clause_ends(words[i - 1], words[i]), -abs(2 * i - len(words)))
    )
    yield from _readable(words[:cut], texts)
    yield from _readable(words[cut:], texts)


def _fits(words: Sequence[Word], texts: Texts) -> bool:
    short = words[-1].end - words[0].start <= LONGEST_CUE_MS / 1000
    return short and all(len(line) <= LINE_CHARACTERS for line in _lines(texts(words)))


def _clause_ends(word: Word, following: Word) -> int:
    if word.text.endswith((",", ";", ":", "–", "—", ".", "?", "!")):
        return 2
    return following.start - word.end >= CLAUSE_PAUSE_S


def _shown(words: tuple[Word, ...], following: tuple[Word, ...] | None, free_ms: int) -> _Cue:
    """When the words are on screen: long enough to be read where that is free, and never together
    with the cues around.
    """
    start = max(free_ms, round(1000 * words[0].start))
    end = max(round(1000 * max(word.end for word in words)), start + SHORTEST_CUE_MS)
    limit = (
        start + LONGEST_CUE_MS
        if following is None
        else min(start + LONGEST_CUE_MS, round(1000 * following[0].start))
    )
    return _Cue(start, max(start + 1, min(end, limit)), words)
