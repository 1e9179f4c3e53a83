"""The words of the domain: spans, words, turns, segments and what is made of them.

Times are float seconds from the start of the file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time."""

    start: float
    """Seconds from the start of the file."""
    end: float
    """Seconds from the start of the file, not before `start`."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    @property
    def midpoint(self) -> float:
        """The time in the middle, in seconds."""
        return (self.start + self.end) / 2

    def overlap(self, other: Span) -> float:
        """Seconds that both spans cover; 0 where they do not meet.

        >>> Span(0, 2).overlap(Span(1.5, 4))
        0.5
        """
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))

    def gap(self, other: Span) -> float:
        """Seconds between the nearest edges; 0 where they meet.

        >>> Span(0, 2).gap(Span(2.5, 4))
        0.5
        """
        return max(0.0, other.start - self.end, self.start - other.end)


@dataclass(frozen=True, slots=True)
class Character(Span):
    """One written character and when it was said."""

    text: str


@dataclass(frozen=True, slots=True)
class Word(Span):
    """One word as written, punctuation attached."""

    text: str
    confidence: float | None = None
    """The speech model's confidence, 0..1; None where the model gives none."""
    speaker: str | None = None
    """Who said it; None where no turn is near."""
    speaker_confidence: float | None = None
    """Share of the word's time that the speaker's turns cover, 0..1; None without a speaker."""
    overlapped: bool = False
    """Somebody else was speaking too."""
    nearest: bool = False
    """No turn covers the word: it went to the nearest one."""

    @property
    def letters(self) -> str:
        """The letters and digits of the text, case folded: what two models that hear the same word
        agree on.
        """
        return "".join(filter(str.isalnum, self.text.casefold()))


@dataclass(frozen=True, slots=True)
class Turn(Span):
    """Somebody speaks."""

    speaker: str


@dataclass(frozen=True, slots=True)
class Segment(Span):
    """Words of one speaker that read as one piece: a sentence, or what stands between two
    pauses.
    """

    words: tuple[Word, ...]
    speaker: str | None = None

    @property
    def text(self) -> str:
        """The words, a blank between them."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was said: the speech model's answer."""

    words: tuple[Word, ...]
    characters: tuple[Character, ...] = ()
    language: str | None = None
    """ISO 639-1 code; None where neither the caller nor the model tells."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who spoke when: the speaker model's answer.

    Speakers are "1", "2"… in order of first appearance.
    """

    turns: tuple[Turn, ...]
    """Sorted by start; may overlap."""
    exclusive_turns: tuple[Turn, ...]
    """Sorted by start; at any time at most one speaker. For labelling words."""
    warnings: tuple[str, ...] = ()
    duration: float = 0.0
    """Seconds of the whole file, or up to where the caller's range or the limit ended."""

    @property
    def num_speakers(self) -> int:
        """How many different speakers."""
        return len({turn.speaker for turn in (*self.turns, *self.exclusive_turns)})


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole answer: who said what, when."""

    duration: float
    """Seconds of the whole file, or up to where the caller's range or the limit ended."""
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]
    characters: tuple[Character, ...] = ()
    language: str | None = None
    diarized: bool = False
    """Speakers were asked for, so every word was looked at for one."""
    num_speakers: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All words, a blank between them."""
        return " ".join(word.text for word in self.words)
