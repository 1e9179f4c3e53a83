"""From words to segments: pieces of one speaker that read as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.domain.timeline import Segment, Word
from core.transcript.sentences import LONG_PAUSE_S, ends_sentence
from core.transcript.word_spans import spoken_span

MAX_SEGMENT_S = 30.0
"""The length of Whisper's longest segment, to which readers of OpenAI's formats are used."""


def split_segments(words: Sequence[Word]) -> tuple[Segment, ...]:
    """Cut the words at changes of speaker, ends of sentences and long pauses.

    Cut pieces that are still too long at their longest pauses.
    """
    pieces = (piece for sentence in _sentences(words) for piece in _short_enough(sentence))
    return tuple(
        Segment(
            piece[0].start,
            max(word.end for word in piece),
            words=tuple(piece),
            speaker=piece[0].speaker,
        )
        for piece in pieces
    )


def finished_segments(words: Sequence[Word]) -> tuple[tuple[Segment, ...], tuple[Word, ...]]:
    """Return the segments that no further word can change, and the words of the others."""
    *finished, last = [*_sentences(words)] or [[]]
    done = [word for sentence in finished for word in sentence]
    return split_segments(done), tuple(last)


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and _is_cut(sentence[-1], word):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence


def _is_cut(word: Word, following: Word) -> bool:
    pause = following.start - spoken_span(word).end
    return (
        word.speaker != following.speaker or pause >= LONG_PAUSE_S or ends_sentence(word, following)
    )


def _short_enough(words: list[Word]) -> Iterator[list[Word]]:
    """Cut at the longest pause in the middle half, again and again, until no piece is too long."""
    if len(words) < 2 or spoken_span(words[-1]).end - words[0].start <= MAX_SEGMENT_S:
        yield words
        return
    middle = range(max(1, len(words) // 4), max(2, len(words) - len(words) // 4))
    cut = max(
        middle,
        key=lambda i: (words[i].start - spoken_span(words[i - 1]).end, -abs(2 * i - len(words))),
    )
    yield from _short_enough(words[:cut])
    yield from _short_enough(words[cut:])
