"""Equal parts of a recording for the speaker model: where they are, and whose turns are theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from core.domain.parts import DiarizedPart
from core.domain.request import Part, SpeakerCount
from core.domain.timeline import Diarization, Span, Turn

LEAST_S = 600.0
"""The shortest part: in less, people say too little for their voices to be told apart reliably."""
_STEP_S = 20.0
"""Parts meet at multiples of this, at which windows begin too.

These are 1 s apart in pyannote's pipelines, 2 s with the speed `fast`, 0.8 s in the embedded one,
and at most 10 s long. So every window that says something of a part is one of the whole's.
"""
_MARGIN_S = 2 * _STEP_S
"""What is heard of each neighbour: by the time that both hear, they know who is who."""


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a recording, in seconds from the start of the file."""

    own: Span
    """The parts' own stretches follow each other; empty if the recording is too short for so many.
    """
    heard: Span
    """The part with its margins."""
    index: int
    """Counts from 0."""
    count: int
    """How many parts there are."""

    @classmethod
    def of(cls, part: Part, duration_s: float, *, least_s: float = LEAST_S) -> Share:
        """Find a part of a recording. There are fewer parts if they would be under `least_s`."""
        count = max(1, min(part.of, int(duration_s // least_s)))
        start, end = (_border(index, count, duration_s) for index in (part.index, part.index + 1))
        own = Span(start, end)
        heard = Span(max(0.0, start - _MARGIN_S), min(duration_s, end + _MARGIN_S))
        return cls(own, heard if own.duration else own, part.index, count)

    @property
    def is_whole(self) -> bool:
        """Tell whether it is all of the recording."""
        return self.count == 1 and not self.index

    def speakers(self, asked: SpeakerCount) -> SpeakerCount:
        """Return the number of speakers in the part, given that of the whole recording."""
        if self.is_whole:
            return asked
        return SpeakerCount(at_most=asked.exact or asked.at_most)

    def trimmed(self, found: Diarization) -> DiarizedPart:
        """Cut the turns of what was heard at the ends of the part.

        Number the speakers anew, and leave out who speaks in the margins alone.
        """
        turns = tuple(_cut(found.turns, self.own))
        exclusive = tuple(_cut(found.exclusive_turns, self.own))
        names = {
            speaker: str(number)
            for number, speaker in enumerate(
                dict.fromkeys(turn.speaker for turn in (*turns, *exclusive)), start=1
            )
        }
        beside = (Span(self.heard.start, self.own.start), Span(self.own.end, self.heard.end))
        margins = (turn for side in beside for turn in _cut(found.exclusive_turns, side))
        return DiarizedPart(
            turns=_renamed(turns, names),
            exclusive_turns=_renamed(exclusive, names),
            warnings=tuple(map(self._about, found.warnings)),
            voices=tuple(
                replace(voice, speaker=names[voice.speaker])
                for voice in sorted(found.voices or (), key=lambda one: _place(names, one.speaker))
                if voice.speaker in names
            ),
            own=self.own,
            heard=self.heard,
            margins=_renamed(margins, names),
        )

    def _about(self, warning: str) -> str:
        return warning if self.is_whole else f"part {self.index + 1} of {self.count}: {warning}"


def _border(index: int, count: int, duration_s: float) -> float:
    if index >= count:
        return duration_s
    return round(index * duration_s / count / _STEP_S) * _STEP_S


def _cut(turns: Iterable[Turn], within: Span) -> Iterator[Turn]:
    for turn in turns:
        start, end = max(turn.start, within.start), min(turn.end, within.end)
        if start < end:
            yield replace(turn, start=start, end=end)


def _renamed(turns: Iterable[Turn], names: dict[str, str]) -> tuple[Turn, ...]:
    return tuple(replace(one, speaker=names[one.speaker]) for one in turns if one.speaker in names)


def _place(names: dict[str, str], speaker: str | None) -> int:
    return int(names.get(str(speaker), "0"))
