"""Who of one part of a recording is who in another.

Speakers are joined from the most alike pair on, as long as they are alike enough: agglomerative
clustering of unit vectors, in which a group's vector is the sum of its members', each weighed by
the seconds of speech that it was made of. Two speakers of one part are two people, so their groups
are never joined. Parts also overlap, so that who speaks there was heard by two: what both say of
the same seconds counts besides the voices.

This runs in the orchestrator, which has no arrays: there are some ten speakers in each part.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from operator import mul

from core.domain.request import SpeakerCount

_NEVER = -math.inf
"""The likeness of two who are not one person, or of whom nothing is known."""
Key = tuple[int, str]
"""The number of a part, and that of a speaker in it."""
RELIABLE_S = 2.0
"""A vector of less speech says little of a voice, and overlaps of less say little of two."""


@dataclass(frozen=True, slots=True)
class Local:
    """A speaker of one part."""

    part: int
    speaker: str
    vector: tuple[float, ...] | None = None
    """None of somebody who is never heard alone."""
    seconds: float = 0.0
    """How much speech the vector was made of."""

    @property
    def key(self) -> Key:
        """What tells them from all others."""
        return self.part, self.speaker

    @property
    def is_reliable(self) -> bool:
        """Tell whether the vector says who it is."""
        return self.vector is not None and self.seconds >= RELIABLE_S


@dataclass(frozen=True, slots=True)
class Common:
    """What two speakers of neighbouring parts say where both parts hear."""

    possible_s: float
    """The speech of the one who says less."""
    same_s: float
    """How much both say at the same time; all of it if they are one person."""


Heard = Mapping[tuple[Key, Key], Common]
"""By the speakers of the earlier and of the later part; pairs that say nothing may be left out."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The people of a recording."""

    people: tuple[tuple[Local, ...], ...]
    overruled: int | None
    """The number of people that were found, if it is not one that was asked for."""


def linked(
    speakers: Sequence[Local], heard: Heard, *, least_alike: float, count: SpeakerCount
) -> Linked:
    """Join the speakers of all parts that are one person, whatever order they come in.

    `least_alike` is the least cosine of one person's two voices. Bounds of `count` are kept as far
    as two speakers of one part remain two.
    """
    links = _Links(sorted(speakers, key=lambda one: one.key), heard, least_alike)
    free = links.people(1, len(speakers))
    least = count.exact or count.at_least or 1
    most = count.exact or count.at_most or len(speakers)
    if not speakers or least <= len(free) <= most:
        return Linked(free, None)
    return Linked(links.people(least, most), len(free))


class _Group:
    """Speakers of several parts who are one person."""

    def __init__(self, members: tuple[Local, ...]) -> None:
        self.members = tuple(sorted(members, key=lambda one: one.key))
        self.parts = {one.part for one in self.members}
        weighed = [(one.vector, max(one.seconds, 1e-3)) for one in self.members if one.vector]
        sums = [
            math.fsum(map(mul, numbers, [weight for _, weight in weighed]))
            for numbers in zip(*(vector for vector, _ in weighed), strict=True)
        ]
        length = math.hypot(*sums)
        self.vector = [number / length for number in sums] if length else None


_Pair = tuple[float, int, _Group, _Group]
"""How alike two groups are, negated, so that the most alike two are the first of a heap."""


class _Links:
    """The groups of one run, and how alike they are."""

    def __init__(self, speakers: Sequence[Local], heard: Heard, least_alike: float) -> None:
        self._speakers = speakers
        self._heard = heard
        self._least_alike = least_alike

    def people(self, least: int, most: int) -> tuple[tuple[Local, ...], ...]:
        """Return the groups, not fewer than `least` and not more than `most` if that can be."""
        sure = [_Group((one,)) for one in self._speakers if one.is_reliable]
        unsure = [one for one in self._speakers if not one.is_reliable]
        groups = self._joined(sure, least, self._least_alike)
        for done, one in enumerate(sorted(unsure, key=lambda one: -one.seconds)):
            count = len(groups) + len(unsure) - done
            self._attach(groups, _Group((one,)), may_join=count > least)
        if len(groups) > most:
            groups = self._joined(groups, max(least, most), _NEVER)
        return tuple(group.members for group in groups)

    def _joined(self, groups: list[_Group], least: int, least_alike: float) -> list[_Group]:
        """Join the most alike groups until there are `least`, or none are alike enough."""
        order = itertools.count()  # of pairs that are equally alike the first is joined
        left = dict.fromkeys(groups)
        alike = list(self._pairs(itertools.combinations(groups, 2), least_alike, order))
        heapify(alike)
        while alike and len(left) > least:
            *_, one, other = heappop(alike)
            if one not in left or other not in left:
                continue
            del left[one], left[other]
            whole = _Group(one.members + other.members)
            for pair in self._pairs(((group, whole) for group in left), least_alike, order):
                heappush(alike, pair)
            left[whole] = None
        return list(left)

    def _pairs(
        self, pairs: Iterable[tuple[_Group, _Group]], least_alike: float, order: Iterator[int]
    ) -> Iterator[_Pair]:
        """Yield the pairs of groups that may be joined."""
        for one, other in pairs:
            alike = self._alike(one, other)
            if alike >= least_alike and alike > _NEVER:
                yield -alike, next(order), one, other

    def _attach(self, groups: list[_Group], single: _Group, *, may_join: bool) -> None:
        """Put somebody of whom little is known to the most alike group that may have them."""
        best = max(groups, key=lambda group: self._alike(group, single), default=None)
        if best is None or not may_join or self._alike(best, single) == _NEVER:
            groups.append(single)
        else:
            groups[groups.index(best)] = _Group(best.members + single.members)

    def _alike(self, one: _Group, other: _Group) -> float:
        """Return the cosine of two voices, raised or lowered by what is heard of both at once."""
        if one.parts & other.parts:
            return _NEVER
        together = self._together(one, other)
        if one.vector is None or other.vector is None:
            return _NEVER if together is None or together <= 0 else together
        cosine = math.fsum(map(mul, one.vector, other.vector))
        return cosine + (together or 0.0) * (1 - self._least_alike)

    def _together(self, one: _Group, other: _Group) -> float | None:
        """Return how far two groups speak at the same times, -1..1; None if too little is heard."""
        common = [
            found
            for a in one.members
            for b in other.members
            if abs(a.part - b.part) == 1
            and (found := self._heard.get((min(a.key, b.key), max(a.key, b.key))))
        ]
        possible_s = sum(found.possible_s for found in common)
        if possible_s < RELIABLE_S:
            return None
        return 2 * sum(found.same_s for found in common) / possible_s - 1
