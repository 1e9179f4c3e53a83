"""Who said each word, as found so far."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from core.domain.timeline import Span, Turn, Word
from core.transcript.sentences import ends_sentence
from core.transcript.word_spans import spoken_end


class Labels:
    """The speakers found so far for words, as lists by the word's index.

    An object for each word and its span would take half of the time of the whole.
    """

    def __init__(self, words: Sequence[Word], turns: Iterable[Turn]) -> None:
        """Begin without speakers; `turns` are sorted, and each speaker's own do not overlap."""
        self._own: dict[str, list[Turn]] = {}
        for turn in turns:
            self._own.setdefault(turn.speaker, []).append(turn)
        self.words = words
        self.starts = [word.start for word in words]
        self.ends = [spoken_end(word) for word in words]
        """From a word's start to here is the time in which it can have been spoken."""
        self.speakers: list[str | None] = [None] * len(words)
        self.covered_s = [0.0] * len(words)
        """Seconds of the word's time that the speaker's turns cover."""
        self.nearest = [False] * len(words)
        """True if no turn covers the word and the speaker is that of the nearest one."""

    def span(self, index: int) -> Span:
        """Return the time in which a word can have been spoken."""
        return Span(self.starts[index], self.ends[index])

    def pause_s(self, after: int) -> float:
        """Return the silence between a word and the one before it."""
        return self.starts[after] - self.ends[after - 1]

    def parts(self, after: int) -> bool:
        """Tell whether a sentence ends between a word and the one before it."""
        return ends_sentence(self.words[after - 1], self.words[after])

    def give(self, indices: Iterable[int], speaker: str) -> None:
        """Give words to a speaker who need not cover them."""
        own = self._own.get(speaker, [])
        for index in indices:
            span = self.span(index)
            first = bisect_left(own, span.start, key=lambda turn: turn.end)
            after = bisect_left(own, span.end, key=lambda turn: turn.start)
            self.speakers[index], self.nearest[index] = speaker, False
            self.covered_s[index] = shares_s(span, own[first:after]).get(speaker, 0.0)

    def labelled(self, overlapped: Iterable[bool]) -> tuple[Word, ...]:
        """Return the words with their speakers, each told whether several speak in it."""
        return tuple(
            map(
                _labelled,
                self.words,
                self.speakers,
                self._confidences(),
                overlapped,
                self.nearest,
            )
        )

    def _confidences(self) -> Iterator[float | None]:
        told = zip(self.speakers, self.covered_s, self.starts, self.ends, strict=True)
        for speaker, covered_s, start, end in told:
            yield None if speaker is None else min(1.0, covered_s / (end - start))


def _labelled(
    word: Word, speaker: str | None, confidence: float | None, overlapped: bool, nearest: bool
) -> Word:
    # `replace` takes half as long again.
    return Word(
        word.start,
        word.end,
        word.text,
        word.confidence,
        speaker,
        confidence,
        overlapped,
        nearest,
    )


def shares_s(span: Span, turns: Iterable[Turn]) -> dict[str, float]:
    """Return the seconds of the span that each speaker covers, for those who cover some of it."""
    covered: dict[str, float] = {}
    for turn in turns:
        if (overlap_s := span.overlap(turn)) > 0:
            covered[turn.speaker] = covered.get(turn.speaker, 0.0) + overlap_s
    return covered
