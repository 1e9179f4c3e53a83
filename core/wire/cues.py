"""When subtitles come and go: each cue long enough to be read, as far as its neighbours allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from core.domain.timeline import Word

# Netflix's guide for timed text asks for 5/6 to 7 seconds.
SHORTEST_CUE_MS = 833
LONGEST_CUE_MS = 7000

Words = tuple[Word, ...]
"""The words of one cue, which all have the same speaker."""


@dataclass(slots=True)
class Cue:
    """Words and the time in which they are shown."""

    start_ms: int
    end_ms: int
    words: Words

    @property
    def missing_ms(self) -> int:
        """How much longer it must be to be read; 0 if it is long enough."""
        return max(0, SHORTEST_CUE_MS - self._length_ms)

    @property
    def spare_ms(self) -> int:
        """How much shorter it may be and still be read."""
        return max(0, self._length_ms - SHORTEST_CUE_MS)

    @property
    def _length_ms(self) -> int:
        return self.end_ms - self.start_ms


def join_short(
    groups: Sequence[Words], end_ms: int, *, fits: Callable[[Sequence[Word]], bool]
) -> list[Words]:
    """Join groups that cannot be shown long enough to the same speaker's words beside them.

    `end_ms` is the end of the recording; `fits` tells whether words fit one cue.
    """
    joined: list[Words] = []
    is_short = False
    for group, following in zip_longest(groups, groups[1:]):
        is_cramped = _is_cramped(group, _start_ms(following) if following else end_ms)
        is_near = bool(joined) and _go_together(joined[-1], group)
        if is_near and (is_short or is_cramped) and fits((*joined[-1], *group)):
            joined[-1] += group
            is_short = _length_ms(joined[-1]) < SHORTEST_CUE_MS
        else:
            joined.append(group)
            is_short = is_cramped
    return joined


def _is_cramped(words: Words, closes_ms: int) -> bool:
    """Tell whether words are too short for a cue, even with the silence after them."""
    return max(_end_ms(words), closes_ms) - _start_ms(words) < SHORTEST_CUE_MS


def _go_together(words: Words, following: Words) -> bool:
    pause_ms = _start_ms(following) - _end_ms(words)
    return words[0].speaker == following[0].speaker and pause_ms < SHORTEST_CUE_MS


def _start_ms(words: Words) -> int:
    return round(1000 * words[0].start)


def _end_ms(words: Words) -> int:
    return round(1000 * max(word.end for word in words))


def _length_ms(words: Words) -> int:
    return _end_ms(words) - _start_ms(words)


def timed(groups: Sequence[Words], end_ms: int, *, start_ms: int = 0) -> list[Cue]:
    """Return a cue for each group, in order; they do not overlap.

    None begins before `start_ms`, the start of what was asked for, or ends after the recording.
    A cue that is too short takes the silence around it, and then time of cues that have some to
    spare.
    """
    cues = _as_spoken(groups, start_ms, end_ms)
    for before, cue, after in zip([None, *cues], cues, [*cues[1:], None], strict=False):
        _fill_silence(
            cue, before.end_ms if before else start_ms, after.start_ms if after else end_ms
        )
        _take_from_neighbours(before, cue, after)
    return cues


def _as_spoken(groups: Sequence[Words], start_ms: int, end_ms: int) -> list[Cue]:
    cues: list[Cue] = []
    free_ms = start_ms
    for group, following in zip_longest(groups, groups[1:]):
        start = max(free_ms, min(_start_ms(group), end_ms - 1))
        closes_ms = min(end_ms, _start_ms(following)) if following else end_ms
        free_ms = max(start + 1, min(_end_ms(group), closes_ms, start + LONGEST_CUE_MS))
        cues.append(Cue(start, free_ms, group))
    return cues


def _fill_silence(cue: Cue, opens_ms: int, closes_ms: int) -> None:
    cue.end_ms += min(cue.missing_ms, max(0, closes_ms - cue.end_ms))
    cue.start_ms -= min(cue.missing_ms, max(0, cue.start_ms - opens_ms))


def _take_from_neighbours(before: Cue | None, cue: Cue, after: Cue | None) -> None:
    """Take half of what is missing from each side, and more if the other has less."""
    missing = cue.missing_ms
    spare_before = before.spare_ms if before else 0
    spare_after = after.spare_ms if after else 0
    if before and (taken := min(spare_before, max(missing // 2, missing - spare_after))):
        before.end_ms -= taken
        cue.start_ms -= taken
    if after and (taken := min(spare_after, cue.missing_ms)):
        after.start_ms += taken
        cue.end_ms += taken
