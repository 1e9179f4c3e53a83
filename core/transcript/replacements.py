"""Phrases of a transcript, written otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from core.domain.rounding import seconds
from core.domain.timeline import Word
from core.domain.writing import divided
from core.transcript.marks import folded, partings


class Replacements:
    """Phrases to replace, each a word or several, whatever their case.

    In a script without blanks they are found wherever they appear: its words are the pieces in
    which a model happened to write it, so each letter counts as a word.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Take what to write for each phrase; an empty text removes the phrase."""
        self._by_first: dict[str, list[_Phrase]] = {}
        phrases = [_Phrase.of(old, new) for old, new in texts.items()]
        for phrase in sorted(phrases, key=lambda one: len(one.words), reverse=True):
            self._by_first.setdefault(phrase.words[0], []).append(phrase)

    def made(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return the words with all phrases replaced, of several the longest.

        The marks around a phrase stay. Words of another number divide the time of all.
        """
        if not self._by_first:
            return tuple(words)
        pieces = [
            piece
            for index, word in enumerate(words)
            for piece in _pieces(word, divided(word.text), index)
        ]
        made: list[Word] = []
        first = at = 0
        while at < len(pieces):
            found = self._found(pieces, at)
            if found is None:
                at += 1
            else:
                made += _whole(pieces[first:at])
                made += found.written()
                first = at = at + len(found.words)
        return (*made, *_whole(pieces[first:]))

    def _found(self, pieces: Sequence[_Piece], at: int) -> _Found | None:
        piece = pieces[at]
        for lead, body, trail in partings(piece.text):
            for phrase in self._by_first.get(folded(body), ()):
                rest = pieces[at + 1 : at + len(phrase.words)]
                end = _end(rest, phrase.words[1:], piece.of.speaker, trail)
                if end is not None:
                    said = tuple(one.word for one in (piece, *rest))
                    return _Found(said, phrase.text, lead, end)
        return None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or the least of it that a phrase may be."""

    text: str
    of: Word
    index: int
    """That of the word among all."""
    first: int
    """How many letters of the word come before."""

    @property
    def word(self) -> Word:
        """The piece as a word, which has as much of the whole word's time as it has letters."""
        whole = self.of
        if self.text == whole.text:
            return whole
        ends = (self.first, self.first + len(self.text))
        start, end = (seconds(whole.start + whole.duration * at / len(whole.text)) for at in ends)
        return replace(whole, start=start, end=end, text=self.text)


def _pieces(word: Word, texts: Iterable[str], index: int = 0) -> Iterator[_Piece]:
    first = 0
    for text in texts:
        yield _Piece(text, word, index, first)
        first += len(text)


def _whole(pieces: Sequence[_Piece]) -> Iterator[Word]:
    """Yield words of which all pieces are there, and what is left of others."""
    for _, group in groupby(pieces, key=lambda one: one.index):
        own = list(group)
        yield replace(own[0], text="".join(one.text for one in own)).word


@dataclass(frozen=True, slots=True)
class _Phrase:
    words: tuple[str, ...]
    """Case folded; each letter of a script without blanks is one."""
    text: str

    @classmethod
    def of(cls, old: str, new: str) -> _Phrase:
        words = (piece for word in old.split() for piece in divided(word))
        return cls(tuple(map(folded, words)), new)


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase among the words."""

    words: tuple[Word, ...]
    text: str
    """What to write."""
    lead: str
    trail: str

    def written(self) -> list[Word]:
        """Return the words to write, in the time of those that were said."""
        texts = self.text.split()
        if not texts:
            return []
        trail = self.trail[1:] if self.trail[:1] == texts[-1][-1] else self.trail
        texts = [self.lead + texts[0], *texts[1:]]
        texts[-1] += trail
        if len(texts) == len(self.words):
            return [replace(one, text=text) for one, text in zip(self.words, texts, strict=True)]
        whole = replace(self._whole, text="".join(texts))
        return [piece.word for piece in _pieces(whole, texts)]

    @property
    def _whole(self) -> Word:
        """One word with all that is known of the words together."""
        sure = [one.confidence for one in self.words if one.confidence is not None]
        spoken = [
            one.speaker_confidence for one in self.words if one.speaker_confidence is not None
        ]
        return replace(
            self.words[0],
            end=max(one.end for one in self.words),
            confidence=min(sure, default=None),
            speaker_confidence=min(spoken, default=None),
            overlapped=any(one.overlapped for one in self.words),
            nearest=any(one.nearest for one in self.words),
        )


def _end(
    pieces: Sequence[_Piece], phrase: Sequence[str], speaker: str | None, first_trail: str
) -> str | None:
    """Return the marks behind a phrase whose first word was found; None if the rest is not there.

    Within a phrase there are only its own marks, and it is said by one speaker.
    """
    if not phrase:
        return first_trail
    if first_trail or len(pieces) < len(phrase) or any(one.of.speaker != speaker for one in pieces):
        return None
    if any(folded(one.text) != two for one, two in zip(pieces[:-1], phrase[:-1], strict=True)):
        return None
    behind = (
        trail
        for lead, body, trail in partings(pieces[-1].text)
        if not lead and folded(body) == phrase[-1]
    )
    return next(behind, None)
