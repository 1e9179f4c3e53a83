"""The speaker model's answer about one part of a recording."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.timeline import Diarization, Span, Turn, Voice

_NOWHERE = Span(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two voices must be, as cosines; each speaker model has its own."""

    linking: float
    """The least of two parts' voices of one person."""
    threshold: float
    """The least of a known speaker's voice to get the name."""
    margin: float
    """The least distance to the second best name."""


@dataclass(frozen=True, slots=True)
class DiarizedPart(Diarization):
    """Who spoke when in one of several parts, and what it takes to join it to the others.

    The turns are those of the part, cut at its ends. The speakers are numbered in it alone, and the
    voices are of everybody who has a turn in it.
    """

    own: Span = _NOWHERE
    """What the part is of the recording; empty if there are fewer parts than were asked for."""
    heard: Span = _NOWHERE
    """The part with its margins, which its neighbours hear too."""
    margins: tuple[Turn, ...] = ()
    """The same speakers' exclusive turns before and after the part."""
    likeness: Likeness = Likeness(1.0, 1.0, 0.0)
    known: tuple[Voice, ...] = ()
    """The voices of known speakers, by their names: nobody has a name yet."""
