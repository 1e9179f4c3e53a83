"""From the voices in a recording to the names of those whom the caller knows.

Voices are compared by the cosine of their vectors. A wrong name does more harm than none, so a
speaker gets a name only if the voice is like that name's, and clearly less like any other's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import mul

from core.domain.timeline import Diarization, Turn, Voice

Likeness = Sequence[Sequence[float]]
"""A row of cosines for each speaker, with one for each name."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How alike two voices must be to be one person's."""

    threshold: float
    """The least cosine."""
    margin: float
    """The least distance to the cosine of the second best name."""


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A voice with its name."""

    name: str
    voice: Voice


def identify(
    diarization: Diarization, known: Sequence[KnownVoice], matching: Matching
) -> Diarization:
    """Put names in place of the numbers of speakers whose voices are known.

    Nobody has two names, and no name is given twice. The other speakers keep their numbers, and
    warnings say how near they were.
    """
    voices = diarization.voices or ()
    if not known or not voices:
        return diarization
    likeness = _likeness(voices, known)
    given = assigned(likeness, matching)
    names = {str(voices[row].speaker): known[column].name for row, column in given.items()}
    told = _nearly(voices, known, likeness, given, matching)
    return replace(
        diarization,
        turns=tuple(_renamed(turn, names) for turn in diarization.turns),
        exclusive_turns=tuple(_renamed(turn, names) for turn in diarization.exclusive_turns),
        voices=tuple(
            replace(voice, speaker=names.get(str(voice.speaker), voice.speaker)) for voice in voices
        ),
        warnings=(*diarization.warnings, *told),
    )


def assigned(likeness: Likeness, matching: Matching) -> dict[int, int]:
    """Return the column of each row that gets one; no column is given twice.

    A row can get its best column only, and only above the threshold, and with the margin over its
    second best. Of several rows that could have one column, the most alike gets it; so the sum of
    all likenesses that are given is as large as it can be.
    """
    given: dict[int, int] = {}
    taken: set[int] = set()
    for row in sorted(range(len(likeness)), key=lambda row: -max(likeness[row], default=-1.0)):
        column = _eligible(likeness[row], matching)
        if column is not None and column not in taken:
            given[row] = column
            taken.add(column)
    return given


def _eligible(row: Sequence[float], matching: Matching) -> int | None:
    (best, alike), *others = _ranked(row)
    is_clear = not others or alike - others[0][1] >= matching.margin
    return best if alike >= matching.threshold and is_clear else None


def _likeness(voices: Sequence[Voice], known: Sequence[KnownVoice]) -> Likeness:
    theirs = [_unit(one.voice.vector) for one in known]
    ours = (_unit(voice.vector) for voice in voices)
    return [[sum(map(mul, one, other)) for other in theirs] for one in ours]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]


def _renamed(turn: Turn, names: dict[str, str]) -> Turn:
    return replace(turn, speaker=names.get(turn.speaker, turn.speaker))


def _nearly(
    voices: Sequence[Voice],
    known: Sequence[KnownVoice],
    likeness: Likeness,
    given: dict[int, int],
    matching: Matching,
) -> Iterator[str]:
    """Say of each speaker without a name how near the best one was."""
    takers = {column: row for row, column in given.items()}
    for row, voice in enumerate(voices):
        if row in given:
            continue
        (best, alike), *others = _ranked(likeness[row])
        name = known[best].name
        told = f"speaker {voice.speaker} has no name: the voice is like {name}'s by {alike:.3f}"
        if alike < matching.threshold:
            yield f"{told}, and {matching.threshold:.3f} is needed"
        elif others and alike - others[0][1] < matching.margin:
            second, less = others[0]
            yield (
                f"{told} and like {known[second].name}'s by {less:.3f}, which must be "
                f"{matching.margin:.3f} apart"
            )
        else:
            more = likeness[takers[best]][best]
            yield f"{told}, but another speaker's is more, by {more:.3f}"


def _ranked(row: Sequence[float]) -> list[tuple[int, float]]:
    """Return the columns with their values, the best first; of equals the first."""
    return sorted(enumerate(row), key=lambda one: -one[1])


def voiceless(diarization: Diarization) -> Iterator[str]:
    """Warn of speakers without a voice, if voices were asked for."""
    if diarization.voices is None:
        return
    known = {voice.speaker for voice in diarization.voices}
    for speaker in dict.fromkeys(turn.speaker for turn in diarization.turns):
        if speaker not in known:
            yield f"speaker {speaker} is never heard alone for long enough to know the voice"
