"""The language of a recording that was heard piece by piece, and of its words."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.domain.timeline import LanguageSpan, Transcription, Word


class Languages:
    """Which language each word of a transcript is in."""

    def __init__(self, whole: str | None, spans: Iterable[LanguageSpan] = ()) -> None:
        """Take the language of the whole, and those of stretches.

        These are sorted by start, and disjoint but for channels.
        """
        self.whole = whole
        self._spans: dict[str | None, list[LanguageSpan]] = defaultdict(list)
        for one in spans:
            self._spans[one.speaker].append(one)

    def of(self, word: Word) -> str | None:
        """Return the language of the stretch around the middle of a word, else that of the whole.

        A stretch of a channel holds words of that channel alone.
        """
        spans = self._spans.get(word.speaker) or self._spans.get(None, [])
        after = bisect_right(spans, word.midpoint, key=lambda one: one.start)
        is_held = after > 0 and word.midpoint <= spans[after - 1].end
        return spans[after - 1].language if is_held else self.whole


def language_of(heard: Sequence[Transcription]) -> tuple[str | None, float | None]:
    """Return the language of most words, each counted as much as it is sure, and how sure that is.

    Pieces without words count if no other names a language. A language that nobody had to detect
    has no confidence.
    """
    told = [one for one in heard if one.language is not None]
    told = [one for one in told if one.words] or told
    if not told:
        return None, None
    weights: dict[str, float] = defaultdict(float)
    for one in told:
        sure = 1.0 if one.language_confidence is None else one.language_confidence
        weights[str(one.language)] += sure * len(one.words)
    language = max(weights, key=weights.__getitem__)
    if all(one.language_confidence is None for one in told):
        return language, None
    count = sum(len(one.words) for one in told)
    return language, weights[language] / count if count else told[0].language_confidence


def joined_languages(found: Iterable[LanguageSpan]) -> tuple[LanguageSpan, ...]:
    """Return the stretches of one channel in order: those of one language in a row as one.

    Where two overlap, because utterances do, the later one begins where the other ends.
    """
    joined: list[LanguageSpan] = []
    for one in sorted(found, key=lambda one: one.start):
        last = joined[-1] if joined else None
        if last is not None and last.language == one.language:
            joined[-1] = replace(last, end=max(last.end, one.end))
        elif last is None or one.end > last.end:
            start = one.start if last is None else max(one.start, last.end)
            joined.append(replace(one, start=start))
    return tuple(joined)
