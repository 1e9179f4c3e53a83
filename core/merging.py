"""Words × turns: who said each word, and where the text falls into segments.

A word goes to the speaker whose turns cover most of it; where no turn does, to the nearest turn by its edge, flagged, or to
nobody. Word ends are capped before they are compared: a TDT decoder can let a word last until the next one, far into a pause.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby, pairwise

from core.timeline import Diarization, Segment, Span, Turn, Word

NEAREST_TURN_S = 0.5
"""A word that no turn covers goes to the nearest turn if that is at most this far from edge to edge."""

# Speech runs at 12 to 15 written letters a second; the cap lets a word be about half as fast, its last syllable drawn out.
LETTER_S = 0.125
FIGURE_S = 0.375
"""A digit, or a sign that is read out, stands for a spoken word of its own."""
LENGTHENING_S = 0.375
SHORTEST_WORD_S = 0.08
"""One step of a Parakeet encoder; some decoders give a word no length at all."""

# Brief (< 0.2 s), medium and long (> 1 s) pauses: the three modes found by Campione and Véronis, Speech Prosody 2002.
BRIEF_PAUSE_S = 0.2
LONG_PAUSE_S = 1.0

STRAY_WORDS = 2
"""Longest run of words that may be given to the speaker around it."""
MAX_SEGMENT_S = 30.0
"""As long as the longest segment of Whisper, which readers of OpenAI's formats are used to."""

_SIGNS_READ_OUT = frozenset("%&@+=$€£¥°")
_OPENING = "\"'“‘«‹([{¿¡"
_CLOSING = "\"'”’»›)]}"
_BEFORE_A_NAME = re.compile(
    "mr|mrs|ms|mx|dr|prof|rev|hon|st|mt|ft|gen|col|maj|capt|cmdr|lt|sgt|gov|sen|rep|pres|messrs|mme|mlle|vs|hr|fr|sra|srta"
)
_BEFORE_A_NUMBER = re.compile(r"no|nos|nr|vol|fig|pp|ch|art|sec|.*\d")
_ANYWHERE = re.compile(r"etc|inc|ltd|co|corp|jr|sr|dept|approx|a\.m|p\.m|am|pm")
_LETTERS_WITH_DOTS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?")


def label_words(words: Sequence[Word], diarization: Diarization) -> tuple[Word, ...]:
    """Say for each word who spoke it; everything else about the words, their order and their times stay as they are.

    The exclusive turns decide; where a diarization has none, its ordinary ones do. The ordinary turns tell which words lie in
    overlapped speech. Time O((W + D) log(W + D)) for W words and D turns of which only a few overlap at any time.
    """
    heard = [_heard(word) for word in words]
    sweep = _Sweep(_united(diarization.exclusive_turns or diarization.turns))
    crowded = _crowded(_united(diarization.turns))
    order = sorted(range(len(words)), key=lambda i: heard[i].start)
    shares = dict(zip(order, sweep.shares(heard[i] for i in order), strict=True))
    labels = [_Label.of(heard[i], shares[i], sweep) for i in range(len(words))]
    speakers = _without_strays(words, heard, [label.speaker for label in labels])
    return tuple(
        replace(
            word,
            speaker=speaker,
            speaker_confidence=None if speaker is None else min(1.0, shares[i].get(speaker, 0.0) / heard[i].duration),
            overlapped=_meets(heard[i], crowded),
            nearest=labels[i].nearest and speaker == labels[i].speaker,
        )
        for i, (word, speaker) in enumerate(zip(words, speakers, strict=True))
    )


def split_segments(words: Sequence[Word]) -> tuple[Segment, ...]:
    """Cut the words at a change of speaker, a sentence's end, a long pause, and where a piece would get too long."""
    pieces = (piece for sentence in _sentences(words) for piece in _short_enough(sentence))
    return tuple(Segment(piece[0].start, max(word.end for word in piece), words=tuple(piece), speaker=piece[0].speaker) for piece in pieces)


def _heard(word: Word) -> Span:
    """The part of a word's span in which it can have been spoken, and never nothing."""
    length = max(SHORTEST_WORD_S, word.duration)
    if length > LENGTHENING_S:  # else it is short enough whatever is written
        length = min(length, _longest(word.text))
    return Span(word.start, word.start + length)


def _longest(text: str) -> float:
    letters = sum(map(str.isalpha, text))
    figures = sum(char.isdigit() or char in _SIGNS_READ_OUT for char in text)
    return LENGTHENING_S + LETTER_S * letters + FIGURE_S * figures


def _united(turns: Iterable[Turn]) -> list[Turn]:
    """The same speech with no speaker twice at a time, sorted; turns that start together stay in the order given."""
    united: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda turn: turn.start):
        own = united.setdefault(turn.speaker, [])
        if own and turn.start <= own[-1].end:
            own[-1] = replace(own[-1], end=max(own[-1].end, turn.end))
        elif turn.duration > 0:
            own.append(turn)
    return sorted((turn for own in united.values() for turn in own), key=lambda turn: turn.start)


def _crowded(turns: Sequence[Turn]) -> list[Span]:
    """Where two or more of the united turns run at once; sorted, apart from each other."""
    changes = sorted([(turn.start, 1) for turn in turns] + [(turn.end, -1) for turn in turns])
    talking = accumulate(change for _, change in changes)
    spans = [Span(start, end) for ((start, _), (end, _)), count in zip(pairwise(changes), talking, strict=False) if count > 1]
    return [span for span in spans if span.duration > 0]


def _meets(span: Span, others: Sequence[Span]) -> bool:
    """Whether the span shares time with one of the sorted, disjoint others."""
    first = bisect_left(others, span.start, key=lambda other: other.end)
    return any(span.overlap(other) > 0 for other in others[first : first + 2])


class _Sweep:
    """United turns, in order of their start, asked about spans."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._last_to_end = list(accumulate(turns, partial(max, key=lambda turn: turn.end)))

    def shares(self, spans: Iterable[Span]) -> Iterator[dict[str, float]]:
        """For spans in order of their start: seconds that each speaker covers, who covers none left out."""
        running: list[Turn] = []
        coming = 0
        for span in spans:
            while coming < len(self._turns) and self._turns[coming].start < span.end:
                running.append(self._turns[coming])
                coming += 1
            running = [turn for turn in running if turn.end > span.start]
            covered: dict[str, float] = {}
            for turn in running:
                if (overlap := span.overlap(turn)) > 0:
                    covered[turn.speaker] = covered.get(turn.speaker, 0.0) + overlap
            yield covered

    def nearest(self, span: Span) -> Turn | None:
        """The turn with the edge nearest to a span that none covers, of two the one before; None where all are far."""
        after = bisect_left(self._turns, span.end, key=lambda turn: turn.start)
        near = [*self._last_to_end[:after][-1:], *self._turns[after : after + 1]]
        turn = min(near, key=span.gap, default=None)
        return turn if turn is not None and span.gap(turn) <= NEAREST_TURN_S else None


@dataclass(frozen=True, slots=True)
class _Label:
    speaker: str | None
    nearest: bool

    @classmethod
    def of(cls, span: Span, covered: dict[str, float], sweep: _Sweep) -> _Label:
        if covered:
            # Of two who cover as much, the one who was speaking first.
            return cls(max(covered, key=covered.__getitem__), nearest=False)
        turn = sweep.nearest(span)
        return cls(turn.speaker if turn else None, nearest=turn is not None)


def _without_strays(words: Sequence[Word], heard: Sequence[Span], speakers: Sequence[str | None]) -> list[str | None]:
    """Give one or two words inside a sentence to the speaker on both their sides.

    People change after a pause or a sentence. With neither on either side, so short a run is the blurred edge of a turn.
    """
    runs = [list(run) for _, run in groupby(range(len(words)), key=speakers.__getitem__)]
    smooth = list(speakers)
    for run in runs[1:-1]:
        before, first, last, after = run[0] - 1, run[0], run[-1], run[-1] + 1
        around = smooth[before]
        if (
            len(run) <= STRAY_WORDS
            and None not in (around, speakers[first])
            and around == speakers[after]
            and not any(_ends_sentence(words[i], words[i + 1]) for i in range(before, after))
            and heard[first].start - heard[before].end < BRIEF_PAUSE_S
            and heard[after].start - heard[last].end < BRIEF_PAUSE_S
        ):
            smooth[first:after] = [around] * len(run)
    return smooth


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and _parts(sentence[-1], word):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence


def _parts(word: Word, following: Word) -> bool:
    pause = following.start - _heard(word).end
    return word.speaker != following.speaker or pause >= LONG_PAUSE_S or _ends_sentence(word, following)


def _ends_sentence(word: Word, following: Word) -> bool:
    """Whether a sentence ends with the word: it bears the mark, and not as an abbreviation, an initial or half a number."""
    text = word.text.rstrip(_CLOSING)
    if not text.endswith("."):
        return text.endswith(("?", "!", "…"))
    stem = text.rstrip(".").lstrip(_OPENING).lower()
    begin = following.text.lstrip(_OPENING)[:1]
    if _BEFORE_A_NUMBER.fullmatch(stem):
        return not begin.isdigit()
    if _ANYWHERE.fullmatch(stem):
        return begin.isupper()
    return stem == "i" or not (_BEFORE_A_NAME.fullmatch(stem) or _LETTERS_WITH_DOTS.fullmatch(stem + "."))


def _short_enough(words: list[Word]) -> Iterator[list[Word]]:
    """Cut at the longest pause in the middle half, again and again, until no piece is too long."""
    if len(words) < 2 or _heard(words[-1]).end - words[0].start <= MAX_SEGMENT_S:
        yield words
        return
    middle = range(max(1, len(words) // 4), max(2, len(words) - len(words) // 4))
    cut = max(middle, key=lambda i: (words[i].start - _heard(words[i - 1]).end, -abs(2 * i - len(words))))
    yield from _short_enough(words[:cut])
    yield from _short_enough(words[cut:])
