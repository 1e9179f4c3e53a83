"""Spans, words, turns, segments and what is made of them.

Times are float seconds from the start of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.domain.usage import Usage
from core.domain.writing import joined


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
        """Seconds from the start of the file to the middle."""
        return (self.start + self.end) / 2

    def overlap(self, other: Span) -> float:
        """Return the seconds that both spans cover; 0 if they do not meet.

        >>> Span(0, 2).overlap(Span(1.5, 4))
        0.5
        """
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))

    def gap(self, other: Span) -> float:
        """Return the seconds between the nearest edges; 0 if they meet.

        >>> Span(0, 2).gap(Span(2.5, 4))
        0.5
        """
        return max(0.0, other.start - self.end, self.start - other.end)


@dataclass(frozen=True, slots=True)
class Character(Span):
    """One written character, and when it was said."""

    text: str


@dataclass(frozen=True, slots=True)
class Word(Span):
    """One word as written, punctuation attached."""

    text: str
    confidence: float | None = None
    """The speech model's confidence, 0..1; None if it has none."""
    speaker: str | None = None
    """Who said it; None if no turn is near."""
    speaker_confidence: float | None = None
    """Fraction of the word's time that the speaker's turns cover, 0..1; None without a speaker."""
    overlapped: bool = False
    """True if somebody else speaks at the same time."""
    nearest: bool = False
    """True if no turn covers the word and the nearest one named its speaker."""

    @property
    def letters(self) -> str:
        """The letters and digits of the text, case folded.

        Two models that hear the same word agree on these.
        """
        return "".join(filter(str.isalnum, self.text.casefold()))


@dataclass(frozen=True, slots=True)
class Turn(Span):
    """A stretch in which one speaker speaks."""

    speaker: str


@dataclass(frozen=True, slots=True)
class Voice:
    """How somebody sounds, as a vector of length 1, to compare with others of its model."""

    model: str
    """The id of the network that made it."""
    vector: tuple[float, ...] = field(repr=False)
    speaker: str | None = None
    """Whose it is, as in the turns; None for a voice from outside of the recording."""
    seconds: float = 0.0
    """How much speech it was made of, in which nobody else speaks."""


@dataclass(frozen=True, slots=True)
class Speech(Span):
    """A stretch that sounds like speech, whether words were found in it or not."""

    speaker: str | None = None
    """Whose channel it is on, if channels are speakers."""


@dataclass(frozen=True, slots=True)
class LanguageSpan(Span):
    """A stretch whose words are in one language, as the speech model hears it."""

    language: str
    """ISO 639-1 code."""
    speaker: str | None = None
    """Whose channel it is on, if channels are speakers."""


@dataclass(frozen=True, slots=True)
class Segment(Span):
    """Words of one speaker that read as one piece: a sentence, or the words between two pauses."""

    words: tuple[Word, ...]
    speaker: str | None = None

    @property
    def text(self) -> str:
        """The words as they are written one after the other."""
        return joined(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Paragraph(Span):
    """Segments of one speaker that a reader takes in together."""

    segments: tuple[Segment, ...]
    first: int
    """The index of the first of them in the transcript."""

    @property
    def speaker(self) -> str | None:
        """Who says it; None if nobody is known to."""
        return self.segments[0].speaker

    @property
    def text(self) -> str:
        """The segments as they are written one after the other."""
        return joined(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Transcription:
    """The speech model's answer: what was said."""

    words: tuple[Word, ...]
    characters: tuple[Character, ...] = ()
    """Those of each word lie within its span; sorted by start."""
    language: str | None = None
    """ISO 639-1 code; None if neither the caller nor the model names one."""
    warnings: tuple[str, ...] = ()
    is_split: bool = False
    """Each channel was heard by itself and is the speaker of its words."""
    language_confidence: float | None = None
    """How sure the language is, 0..1; None if nobody had to detect it."""
    speech: tuple[Speech, ...] = ()
    """What sounds like speech by its level; sorted by start, disjoint but for channels."""
    found_again: tuple[Span, ...] = ()
    """Where words were found at a second look only; sorted by start."""
    languages: tuple[LanguageSpan, ...] = ()
    """Sorted by start, disjoint but for channels; empty if the model did not detect a language."""


@dataclass(frozen=True, slots=True)
class Diarization:
    """The speaker model's answer: who spoke when.

    Speakers are "1", "2"… in order of first appearance.
    """

    turns: tuple[Turn, ...]
    """Sorted by start; may overlap."""
    exclusive_turns: tuple[Turn, ...]
    """Sorted by start; at most one speaker at any time. For labelling words."""
    warnings: tuple[str, ...] = ()
    duration: float = 0.0
    """Seconds from the start of the file to the end of what was decoded."""
    voices: tuple[Voice, ...] | None = None
    """The speakers' voices, in the order of their numbers; None if they were not asked for."""
    usage: Usage | None = field(default=None, compare=False)

    @property
    def num_speakers(self) -> int:
        """How many different speakers the exclusive turns have, or the others if there are none."""
        return len({turn.speaker for turn in self.exclusive_turns or self.turns})


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole answer: who said what, and when."""

    duration: float
    """Seconds from the start of the file to the end of what was decoded."""
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]
    characters: tuple[Character, ...] = ()
    language: str | None = None
    diarized: bool = False
    """True if speakers were asked for, even if no word has one."""
    num_speakers: int = 0
    warnings: tuple[str, ...] = ()
    """All but those of gaps."""
    turns: tuple[Turn, ...] = ()
    """Who spoke when, as the speaker model or the caller says; may overlap."""
    usage: Usage | None = field(default=None, compare=False)
    paragraphs: tuple[Paragraph, ...] = ()
    """The segments again, for readers."""
    language_confidence: float | None = None
    """How sure the language is, 0..1; None if nobody had to detect it."""
    voices: tuple[Voice, ...] | None = None
    """The speakers' voices; None if they were not asked for."""
    speech: tuple[Speech, ...] = ()
    """What sounds like speech by its level; see `Transcription`."""
    found_again: tuple[Span, ...] = ()
    """Where words were found at a second look only; sorted and disjoint."""
    languages: tuple[LanguageSpan, ...] = ()
    """Which language is heard where; see `Transcription`."""
    repaired: int = 0
    """How many such places there are."""
    coverage: float | None = None
    """Share of the time of speech that has words, 0..1; None if there is no speech."""
    gaps: tuple[Speech, ...] = ()
    """Where at least a second of speech has no word; sorted by start."""
    start: float = 0.0
    """Seconds from the start of the file to the start of what was asked for."""
    is_split: bool = False
    """Channels are speakers: one's segments may lie in the midst of another's."""
    refresh_worker: bool = field(default=False, compare=False)
    """True if the process that made it can no longer be trusted, as after a failed GPU."""

    @property
    def text(self) -> str:
        """All words, segment by segment, as they are written one after the other."""
        return joined(segment.text for segment in self.segments)

    @property
    def told(self) -> tuple[str, ...]:
        """All warnings, those of gaps last."""
        return (*self.warnings, *gap_warnings(self.gaps))


MOST_GAPS_NAMED = 20
"""The most gaps that have a warning each; in music there is any number of them."""


def gap_warnings(gaps: Sequence[Speech]) -> tuple[str, ...]:
    """Return a warning for each of the first gaps, and one that counts the others."""
    named = tuple(map(_gap_warning, gaps[:MOST_GAPS_NAMED]))
    more = len(gaps) - len(named)
    return (*named, f"words are missing in {more} more stretches of sound") if more else named


def _gap_warning(gap: Speech) -> str:
    whose = "" if gap.speaker is None else f"{gap.speaker}: "
    where = f"between {gap.start:.1f} s and {gap.end:.1f} s"
    return f"{whose}no words were found {where}, where there is sound; it may be music or noise"
