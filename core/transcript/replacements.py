"""Phrases of a transcript, written otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from core.domain.rounding import seconds
from core.domain.timeline import Word
from core.domain.writing import divided
from core.transcript.marks import folded, partings


class Replacements:
    """Phrases to replace, each a word or several, whatever their case.

    In a script without blanks they are found wherever they stand: its words are the pieces in which
    a model happened to write it, so each letter counts as a word.
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
        pieces = [piece for index, word in enumerate(words) for piece in _pieces(word, index)]
        made: list[Word] = []
        first = at = 0
        while at < len(pieces):
            found = self._found(pieces, at)
            if found is None:
                at += 1
            else:
                made += _whole(pieces[first:at], words)
                made += found.written()
                first = at = at + len(found.words)
        return (*made, *_whole(pieces[first:], words))

    def _found(self, pieces: Sequence[_Piece], at: int) -> _Found | None:
        word = pieces[at].word
        for lead, body, trail in partings(word.text):
            for phrase in self._by_first.get(folded(body), ()):
                rest = [one.word for one in pieces[at + 1 : at + len(phrase.words)]]
                end = _end(rest, phrase.words[1:], word.speaker, trail)
                if end is not None:
                    return _Found((word, *rest), phrase.text, lead, end)
        return None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or the least of it that a phrase may be."""

    word: Word
    index: int
    """That of the word that it is of."""


def _pieces(word: Word, index: int) -> Iterator[_Piece]:
    texts = divided(word.text)
    if len(texts) == 1:
        yield _Piece(word, index)
        return
    for start, end, text in _parted(word, texts):
        yield _Piece(replace(word, start=start, end=end, text=text), index)


def _whole(pieces: Sequence[_Piece], words: Sequence[Word]) -> Iterator[Word]:
    """Yield words of which all pieces are there, and what is left of others."""
    for index, group in groupby(pieces, key=lambda one: one.index):
        own = [one.word for one in group]
        text = "".join(one.text for one in own)
        is_whole = text == words[index].text
        yield words[index] if is_whole else replace(own[0], end=own[-1].end, text=text)


def _parted(word: Word, texts: Sequence[str]) -> Iterator[tuple[float, float, str]]:
    """Yield texts with their times: each as much of a word's time as it has letters."""
    ends = [*accumulate(len(text) for text in texts)]
    times = [word.start, *(word.start + word.duration * end / ends[-1] for end in ends)]
    for index, text in enumerate(texts):
        yield seconds(times[index]), seconds(times[index + 1]), text


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
        whole = self._whole
        return [replace(whole, start=a, end=b, text=text) for a, b, text in _parted(whole, texts)]

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
    words: Sequence[Word], phrase: Sequence[str], speaker: str | None, first_trail: str
) -> str | None:
    """Return the marks behind a phrase whose first word was found; None if the rest is not there.

    Within a phrase there are only its own marks, and it is said by one speaker.
    """
    if not phrase:
        return first_trail
    if first_trail or len(words) < len(phrase) or any(one.speaker != speaker for one in words):
        return None
    if any(folded(one.text) != two for one, two in zip(words[:-1], phrase[:-1], strict=True)):
        return None
    behind = (
        trail
        for lead, body, trail in partings(words[-1].text)
        if not lead and folded(body) == phrase[-1]
    )
    return next(behind, None)
