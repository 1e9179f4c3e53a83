"""Phrases of a transcript, written otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from core.domain.rounding import seconds
from core.domain.timeline import Word
from core.transcript.marks import folded, partings


class Replacements:
    """Phrases to replace, each a word or several, whatever their case."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Take what to write for each phrase, word by word; an empty text removes the phrase."""
        self._by_first: dict[str, list[_Phrase]] = {}
        phrases = [_Phrase(tuple(map(folded, old.split())), new) for old, new in texts.items()]
        for phrase in sorted(phrases, key=lambda one: len(one.words), reverse=True):
            self._by_first.setdefault(phrase.words[0], []).append(phrase)

    def made(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return the words with all phrases replaced, of several the longest.

        The marks around a phrase stay. Words of another number divide the time of all.
        """
        made: list[Word] = []
        at = 0
        while at < len(words):
            found = self._found(words, at)
            if found is None:
                made.append(words[at])
                at += 1
            else:
                made += found.written()
                at += len(found.words)
        return tuple(made)

    def _found(self, words: Sequence[Word], at: int) -> _Found | None:
        for lead, body, trail in partings(words[at].text):
            for phrase in self._by_first.get(folded(body), ()):
                rest = words[at + 1 : at + len(phrase.words)]
                end = _end(rest, phrase.words[1:], words[at].speaker, trail)
                if end is not None:
                    return _Found((words[at], *rest), phrase.text, lead, end)
        return None


@dataclass(frozen=True, slots=True)
class _Phrase:
    words: tuple[str, ...]
    """Case folded."""
    text: str


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
        return [replace(self._whole, start=a, end=b, text=text) for a, b, text in self._at(texts)]

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

    def _at(self, texts: Sequence[str]) -> Iterator[tuple[float, float, str]]:
        """Yield the texts with their times: each as much of the whole as it has letters."""
        whole = self._whole
        ends = [*accumulate(len(text) for text in texts)]
        times = [whole.start, *(whole.start + whole.duration * end / ends[-1] for end in ends)]
        for index, text in enumerate(texts):
            yield seconds(times[index]), seconds(times[index + 1]), text


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
