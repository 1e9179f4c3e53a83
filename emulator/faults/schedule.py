"""Schedules: which exchange and which job is struck, and by which fault."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from emulator.faults.exchange_faults import ExchangeFault
from emulator.faults.job_faults import JobFault, Moment

Fault = ExchangeFault | JobFault
_Kind = TypeVar("_Kind", bound=Fault)


class Schedule(Protocol):
    """Says what is struck."""

    def exchange(self, route: str) -> ExchangeFault | None:
        """Return the fault for the next exchange on a route.

        Routes are `run`, `status`, `cancel`, …, and the workers' `job-take`, `job-done`, ….
        """
        ...

    def job(self, moment: Moment) -> JobFault | None:
        """Return the fault for the next job that comes to a moment."""
        ...


class NoFaults:
    """Nothing goes wrong."""

    def exchange(self, route: str) -> ExchangeFault | None:
        """Return None."""
        del route
        return None

    def job(self, moment: Moment) -> JobFault | None:
        """Return None."""
        del moment
        return None


class Script:
    """These faults in this order, for each route and moment.

    None lets one pass. After the last fault nothing goes wrong.
    """

    def __init__(
        self,
        exchanges: Mapping[str, Sequence[ExchangeFault | None]] | None = None,
        jobs: Sequence[JobFault | None] = (),
    ) -> None:
        self._exchanges = {route: list(faults) for route, faults in (exchanges or {}).items()}
        self._jobs = list(jobs)

    def exchange(self, route: str) -> ExchangeFault | None:
        """Return the route's next fault."""
        waiting = self._exchanges.get(route)
        return waiting.pop(0) if waiting else None

    def job(self, moment: Moment) -> JobFault | None:
        """Return the next fault if it is of this moment. None lets one hand-out pass."""
        if not self._jobs:
            return None
        fault = self._jobs[0]
        if moment == ("hand-out" if fault is None else fault.moment):
            return self._jobs.pop(0)
        return None


class Seeded:
    """Strikes by chance.

    The n-th exchange of a route meets the same fault whenever the seed is the same, whatever else
    happens.
    """

    def __init__(
        self,
        seed: int,
        exchanges: Mapping[str, Sequence[ExchangeFault]] | None = None,
        jobs: Sequence[JobFault] = (),
        *,
        rate: float = 0.25,
        most: int | None = None,
    ) -> None:
        """Strike the share `rate` of everything, but no more than `most` times in all."""
        self.struck: list[tuple[str, int, Fault]] = []
        """Route or moment, its running number from 0, and the fault."""
        self._seed, self._exchanges, self._jobs = seed, exchanges or {}, jobs
        self._rate, self._most = rate, most
        self._numbers: Counter[str] = Counter()

    def exchange(self, route: str) -> ExchangeFault | None:
        """Throw the dice for a route."""
        return self._draw(route, self._exchanges.get(route, ()))

    def job(self, moment: Moment) -> JobFault | None:
        """Throw the dice for a moment."""
        return self._draw(moment, [fault for fault in self._jobs if fault.moment == moment])

    def _draw(self, place: str, menu: Sequence[_Kind]) -> _Kind | None:
        number = self._numbers[place]
        self._numbers[place] += 1
        # Not a secret: the same seed must draw the same faults.
        dice = random.Random(f"{self._seed}/{place}/{number}")  # noqa: S311
        if not menu or dice.random() >= self._rate or self._has_had_enough():
            return None
        fault = dice.choice(menu)
        self.struck.append((place, number, fault))
        return fault

    def _has_had_enough(self) -> bool:
        return self._most is not None and len(self.struck) >= self._most
