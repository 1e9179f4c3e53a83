"""The transcript as subtitles: cues of one speaker each, on screen long enough to be read.

No text can break the format.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from heapq import merge
from itertools import accumulate, groupby

from core.domain.timeline import Segment, Transcript, Word
from core.domain.writing import spaced
from core.wire.cues import LONGEST_CUE_MS, Cue, Words, join_short, timed
from core.wire.fields import Answer, one_line

# Netflix's guide for timed text asks for two lines of 42 Latin characters.
LINE_CHARACTERS = 42
CLAUSE_PAUSE_S = 0.2
LABEL_CHARACTERS = 24

Texts = Callable[[Sequence[Word]], list[str]]
"""Returns the texts that a cue of these words shows; a line may end between two of them."""


def srt(transcript: Transcript) -> Answer:
    """Return SubRip, with the speaker in front of the words."""

    def block(number: int, cue: Cue) -> str:
        lines = "\n".join(_lines(_labelled(cue.words))).translate(_NOT_STYLING)
        return f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{lines}\n"

    cues = _cues(transcript, _labelled)
    return {"srt": "\n".join(block(number, cue) for number, cue in enumerate(cues, start=1))}


def vtt(transcript: Transcript) -> Answer:
    """Return WebVTT, with the speaker in a voice tag."""

    def block(cue: Cue) -> str:
        label = _label(cue.words[0].speaker)
        voice = f"<v {html.escape(label, quote=False)}>" if label else ""
        lines = html.escape("\n".join(_lines(_unlabelled(cue.words))), quote=False)
        return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{voice}{lines}\n"

    return {"vtt": "\n".join(["WEBVTT\n", *map(block, _cues(transcript, _unlabelled))])}


_NOT_STYLING = str.maketrans("<>{}", "‹›()")
"""Replaces what players read as styling, or parsers as an arrow: srt cannot escape it."""


def _clock(milliseconds: int, point: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{point}{milliseconds:03d}"


def _label(speaker: str | None) -> str:
    """Return a speaker's name to show: a number or a single letter follows the word Speaker."""
    name = one_line(speaker or "")
    if len(name) > LABEL_CHARACTERS:
        name = name[: LABEL_CHARACTERS - 1] + "…"
    return f"Speaker {name}" if name.isdigit() or len(name) == 1 else name


def _unlabelled(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def _labelled(words: Sequence[Word]) -> list[str]:
    label = _label(words[0].speaker)
    texts = _unlabelled(words)
    return [f"{label}:", *texts] if label else texts


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    """Return one line, or two of lengths as equal as possible, broken only between texts."""
    parts = list(spaced(texts))
    line = "".join(parts)
    if len(line) <= LINE_CHARACTERS or len(texts) < 2:
        return (line,)
    ends = accumulate(map(len, parts[:-1]))
    blanks = (part.startswith(" ") for part in parts[1:])
    _, end = min(
        (max(end, len(line) - end - blank), end) for end, blank in zip(ends, blanks, strict=True)
    )
    return line[:end], line[end:].lstrip(" ")


def _cues(transcript: Transcript, texts: Texts) -> list[Cue]:
    """Cut the segments into cues of one speaker each, in order of start.

    They do not overlap, but for those of different channels if channels are speakers.
    """
    start_ms, end_ms = round(1000 * transcript.start), round(1000 * transcript.duration)
    tracks = []
    for segments in _one_at_a_time(transcript):
        groups = list(_groups(segments, texts))
        joined = join_short(groups, end_ms, fits=lambda words: _fits(words, texts))
        tracks.append(timed(joined, end_ms, start_ms=start_ms))
    return list(merge(*tracks, key=lambda cue: cue.start_ms))


def _one_at_a_time(transcript: Transcript) -> Iterable[Sequence[Segment]]:
    """Return the segments in sequences in each of which nobody speaks in another's midst."""
    if not transcript.is_split:
        return [transcript.segments]
    own: dict[str | None, list[Segment]] = {}
    for segment in transcript.segments:
        own.setdefault(segment.speaker, []).append(segment)
    return own.values()


def _groups(segments: Sequence[Segment], texts: Texts) -> Iterator[Words]:
    """Yield the words of each cue."""
    for segment in segments:
        for _, run in groupby(segment.words, key=lambda word: word.speaker):
            for group in _readable([piece for word in run for piece in _pieces(word)], texts):
                yield tuple(group)


def _pieces(word: Word) -> Iterator[Word]:
    """Yield the word, or pieces of it that fit a line, each with its portion of the time."""
    text = one_line(word.text)
    for first in range(0, len(text), LINE_CHARACTERS):
        piece = text[first : first + LINE_CHARACTERS].strip()
        start, end = (
            word.start + word.duration * at / len(text)
            for at in (first, min(len(text), first + LINE_CHARACTERS))
        )
        yield replace(word, start=start, end=end, text=piece)


def _readable(words: list[Word], texts: Texts) -> Iterator[list[Word]]:
    """Cut words in two, again and again, until every group of them fits a cue."""
    if not words:
        return
    if len(words) == 1 or _fits(words, texts):
        yield words
        return
    cut = _best_cut(words)
    yield from _readable(words[:cut], texts)
    yield from _readable(words[cut:], texts)


def _fits(words: Sequence[Word], texts: Texts) -> bool:
    short = words[-1].end - words[0].start <= LONGEST_CUE_MS / 1000
    return short and all(len(line) <= LINE_CHARACTERS for line in _lines(texts(words)))


class _Break(IntEnum):
    """How good a place is to end a cue, in ascending order."""

    ANYWHERE = 0
    AT_A_PAUSE = 1
    AT_A_MARK = 2


def _best_cut(words: Sequence[Word]) -> int:
    """Return how many words to put in front of the cut: the best place in the middle half.

    Of two equally good places, the one nearer to the middle wins.
    """
    quarter = len(words) // 4
    middle_half = range(max(1, quarter), max(2, len(words) - quarter))
    return max(
        middle_half,
        key=lambda cut: (_break(words[cut - 1], words[cut]), -abs(2 * cut - len(words))),
    )


def _break(word: Word, following: Word) -> _Break:
    if word.text.endswith((",", ";", ":", "–", "—", ".", "?", "!")):
        return _Break.AT_A_MARK
    if following.start - word.end >= CLAUSE_PAUSE_S:
        return _Break.AT_A_PAUSE
    return _Break.ANYWHERE
