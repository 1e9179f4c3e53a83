"""The diarization of a recording, from those of its parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import mul

from core.domain import rounding
from core.domain.parts import DiarizedPart
from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Span, Turn, Voice
from core.domain.usage import Usage
from core.errors import EndpointRefused
from core.speakers.clustering import count_warnings
from core.speakers.identify import KnownVoice, Matching, identify, voiceless
from core.speakers.linking import Common, Heard, Key, Local, linked

_SEAM_S = 0.05
"""Two parts may differ by this about when somebody speaks: by less than three frames."""


def join_parts(
    parts: Sequence[DiarizedPart], count: SpeakerCount, *, voices: bool = True
) -> Diarization:
    """Join the parts of one recording, in any order.

    `count` is what the caller knows of the number of people in the whole. The voices of known
    speakers may come with any of the parts, and their names are given over the whole. Without
    `voices` the answer has none.

    Raise EndpointRefused if the parts do not follow each other to the end of the recording, or are
    of several models.
    """
    duration_s = max((part.duration for part in parts), default=0.0)
    parts = sorted((part for part in parts if part.own.duration), key=lambda part: part.own.start)
    _check(parts, duration_s)
    if not parts:
        return Diarization((), (), voices=() if voices else None)
    whole = _joined(parts, count)
    known = [KnownVoice(str(one.speaker), one) for part in parts for one in part.known]
    if known or voices:
        whole = replace(whole, warnings=(*whole.warnings, *voiceless(whole)))
    likeness = parts[0].likeness
    named = identify(whole, known, Matching(likeness.threshold, likeness.margin))
    return named if voices else replace(named, voices=None)


def _check(parts: Sequence[DiarizedPart], duration_s: float) -> None:
    ends = (0.0, *(part.own.end for part in parts))
    starts = (*(part.own.start for part in parts), duration_s)
    if any(abs(end - start) >= _SEAM_S for end, start in zip(ends, starts, strict=True)):
        raise EndpointRefused(
            "the parts that the diarization endpoint answered do not follow each other; give all "
            "its workers one version"
        )
    voices = [voice for part in parts for voice in (*(part.voices or ()), *part.known)]
    if len({(voice.model, len(voice.vector)) for voice in voices}) > 1:
        raise EndpointRefused(
            "the workers of the diarization endpoint have several models; give all of them one"
        )


def _joined(parts: Sequence[DiarizedPart], count: SpeakerCount) -> Diarization:
    locals_ = [one for number, part in enumerate(parts) for one in _speakers(number, part)]
    found = linked(locals_, _heard(parts), least_alike=parts[0].likeness.linking, count=count)
    names = _numbered(parts, found.people)
    turns = _along(parts, names, [part.turns for part in parts])
    alone = [part.exclusive_turns for part in parts]
    exclusive = _along(parts, names, alone, is_exclusive=True)
    whole = Diarization(
        turns,
        exclusive,
        duration=max(part.duration for part in parts),
        voices=tuple(_voices(parts, names)),
        usage=_usage(parts),
    )
    counted = () if len(parts) == 1 else count_warnings(count, whole.num_speakers, found.overruled)
    told = dict.fromkeys(warning for part in parts for warning in part.warnings)
    return replace(whole, warnings=(*told, *counted))


def _speakers(number: int, part: DiarizedPart) -> Iterator[Local]:
    voices = {voice.speaker: voice for voice in part.voices or ()}
    for speaker in dict.fromkeys(turn.speaker for turn in (*part.turns, *part.exclusive_turns)):
        voice = voices.get(speaker)
        if voice is None:
            yield Local(number, speaker)
        else:
            yield Local(number, speaker, voice.vector, voice.seconds)


# What two parts hear.


def _heard(parts: Sequence[DiarizedPart]) -> Heard:
    """Compare what each two neighbours say of the time that both hear."""
    return {
        ((number, a), (number + 1, b)): _common(ours, theirs)
        for number, (one, other) in enumerate(pairwise(parts))
        for both in (Span(other.heard.start, one.heard.end),)
        for a, ours in _alone(one, both).items()
        for b, theirs in _alone(other, both).items()
    }


def _alone(part: DiarizedPart, within: Span) -> dict[str, list[Span]]:
    """Return when each speaker of a part speaks alone in a stretch of the recording."""
    found: dict[str, list[Span]] = {}
    for turn in (*part.exclusive_turns, *part.margins):
        if turn.overlap(within):
            span = Span(max(turn.start, within.start), min(turn.end, within.end))
            found.setdefault(turn.speaker, []).append(span)
    return found


def _common(ours: Sequence[Span], theirs: Sequence[Span]) -> Common:
    same_s = sum(one.overlap(other) for one in ours for other in theirs)
    return Common(min(sum(span.duration for span in side) for side in (ours, theirs)), same_s)


# The whole.

_Names = Mapping[Key, str]
"""The number of each part's speakers in the whole recording."""


def _numbered(parts: Sequence[DiarizedPart], people: Iterable[Sequence[Local]]) -> _Names:
    """Number people in the order in which they are first heard.

    Leave out who has no exclusive turn anywhere, as the whole would.
    """
    person = {local.key: number for number, locals_ in enumerate(people) for local in locals_}
    alone = {
        person[at, turn.speaker] for at, part in enumerate(parts) for turn in part.exclusive_turns
    }
    numbers: dict[int, str] = {}
    for turns in ([part.turns for part in parts], [part.exclusive_turns for part in parts]):
        for number, own in enumerate(turns):
            for one in (person[number, turn.speaker] for turn in own):
                if one in alone or not alone:
                    numbers.setdefault(one, str(len(numbers) + 1))
    return {key: numbers[number] for key, number in person.items() if number in numbers}


def _along(
    parts: Sequence[DiarizedPart],
    names: _Names,
    turns: Sequence[Sequence[Turn]],
    *,
    is_exclusive: bool = False,
) -> tuple[Turn, ...]:
    """Return the turns of all parts; one that goes on across a seam is one turn."""
    along: list[Turn] = []
    for number, own in enumerate(turns):
        renamed = [
            replace(turn, speaker=names[number, turn.speaker])
            for turn in own
            if (number, turn.speaker) in names
        ]
        along = _glued(along, renamed, parts[number].own.start, is_exclusive=is_exclusive)
    return tuple(along)


def _glued(before: list[Turn], after: list[Turn], seam: float, *, is_exclusive: bool) -> list[Turn]:
    """Return sorted turns; of exclusive ones only the last and the first may be one turn."""
    lasts, firsts = (before[-1:], after[:1]) if is_exclusive else (before, after)
    ending = {turn.speaker: turn for turn in lasts if turn.end > seam - _SEAM_S}
    beginning = {turn.speaker: turn for turn in reversed(firsts) if turn.start < seam + _SEAM_S}
    both = ending.keys() & beginning.keys()
    cut = {*(ending[name] for name in both), *(beginning[name] for name in both)}
    whole = [replace(ending[name], end=beginning[name].end) for name in both]
    apart = (turn for turn in (*before, *after) if turn not in cut)
    return sorted((*apart, *whole), key=lambda turn: (turn.start, turn.end))


def _voices(parts: Sequence[DiarizedPart], names: _Names) -> Iterator[Voice]:
    """Return the voice of each person: the mean of those of the parts, weighed by their speech.

    What two parts hear counts in both.
    """
    heard: dict[str, list[Voice]] = {}
    for number, part in enumerate(parts):
        for voice in part.voices or ():
            if name := names.get((number, str(voice.speaker))):
                heard.setdefault(name, []).append(voice)
    for name in sorted(heard, key=int):
        yield _mean(heard[name], name)


def _mean(voices: Sequence[Voice], name: str) -> Voice:
    if len(voices) == 1:
        return replace(voices[0], speaker=name)
    weights = [max(voice.seconds, 1e-3) for voice in voices]
    columns = zip(*(voice.vector for voice in voices), strict=True)
    sums = [math.fsum(map(mul, numbers, weights)) for numbers in columns]
    length = math.hypot(*sums) or 1.0
    return Voice(
        voices[0].model,
        tuple(rounding.component(number / length) for number in sums),
        name,
        rounding.seconds(sum(weights)),
    )


def _usage(parts: Sequence[DiarizedPart]) -> Usage | None:
    """Add up what the parts took."""
    told = [part.usage for part in parts if part.usage is not None]
    if not told:
        return None
    spent_s: dict[str, float] = {}
    for usage in told:
        for work, more_s in usage.spent_s.items():
            spent_s[work] = spent_s.get(work, 0.0) + more_s
    return Usage(sum(usage.audio_s for usage in told), told[0].model, spent_s)
