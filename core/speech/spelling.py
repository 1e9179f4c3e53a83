"""From tokens, as a speech model emits them, to words with times and confidences."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.domain.timeline import Character, Word
from core.speech.engine import Recognition

_MARKS = frozenset(".,?!;:…。，、？！")
"""Models may emit these into silence: alone they are no word."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text as the model emits it, without blanks."""

    text: str
    start: float
    """Seconds."""
    end: float
    """Seconds, not before `start`."""
    confidence: float | None


def recognition(
    text: str, tokens: Iterable[Token], *, frame_s: float, duration_s: float
) -> Recognition:
    """Build words from a text and the tokens that spell it.

    A word lasts from its first letter to its last. Punctuation, which is often emitted much later,
    does not count: such characters are moved to the word's end, so that all lie within its span.
    The word's confidence is that of the least certain token of these letters. A word without a
    duration lasts one frame, `frame_s`, or until the next word.

    If the tokens do not spell the text (bytes, unknown tokens), the letters divide the tokens'
    times in proportion and have no confidence.
    """
    written = text.split()
    letters = [letter for token in tokens for letter in _letters(token)]
    if not letters or not written:
        return Recognition()
    is_spelled = "".join(letter.text for letter in letters) == "".join(written)
    if not is_spelled:
        letters = [replace(letter, confidence=None) for letter in letters]
    spellings = _spellings(letters, written)
    words = _in_order(list(map(_word, written, spellings)), frame_s, duration_s)
    spoken = [
        (word, within(word, map(_character, spelling)) if is_spelled else ())
        for word, spelling in zip(words, spellings, strict=True)
        if not _MARKS.issuperset(word.text)
    ]
    return Recognition(tuple(word for word, _ in spoken), tuple(chars for _, chars in spoken))


def within(word: Word, characters: Iterable[Character]) -> tuple[Character, ...]:
    """Return the characters of a word, moved into its span."""
    return tuple(
        replace(
            one,
            start=min(max(one.start, word.start), word.end),
            end=min(max(one.end, word.start), word.end),
        )
        for one in characters
    )


def _letters(token: Token) -> Iterator[Token]:
    """Divide a token's time evenly among its letters."""
    step = (token.end - token.start) / max(1, len(token.text))
    for index, letter in enumerate(token.text):
        yield Token(
            letter, token.start + index * step, token.start + (index + 1) * step, token.confidence
        )


def _spellings(letters: Sequence[Token], written: Sequence[str]) -> list[Sequence[Token]]:
    """Divide the letters among the words in proportion to their lengths; give each at least one."""
    edges = [0, *itertools.accumulate(map(len, written))]
    firsts = [edge * len(letters) // edges[-1] for edge in edges]
    return [letters[first : max(first + 1, last)] for first, last in itertools.pairwise(firsts)]


def _word(text: str, letters: Sequence[Token]) -> Word:
    spoken = [letter for letter in letters if letter.text.isalnum()] or letters
    confidences = [letter.confidence for letter in spoken if letter.confidence is not None]
    return Word(spoken[0].start, spoken[-1].end, text, min(confidences, default=None))


def _character(letter: Token) -> Character:
    return Character(letter.start, letter.end, letter.text)


def _in_order(words: Sequence[Word], frame_s: float, duration_s: float) -> Iterator[Word]:
    """Move words inside the recording and behind each other; lengthen those of no duration."""
    earliest = 0.0
    nexts = [word.start for word in words[1:]] + [duration_s]
    for word, following in zip(words, nexts, strict=True):
        start = min(max(word.start, earliest), duration_s)
        end = min(max(start, word.end, min(start + frame_s, following)), duration_s)
        earliest = start
        yield replace(word, start=start, end=end)
