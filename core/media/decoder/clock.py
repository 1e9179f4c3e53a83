"""Where the next sample lies: by counting, and by time stamps only if they tell of a real gap."""

from __future__ import annotations

_REAL_S = 0.5
"""A time stamp that is less than this away from the count is a recorder's jitter."""
_EXACT_S = 0.02
"""What remains of that behind damage, where the count is known to be short."""


class Clock:
    """Seconds from the start of the file, counted."""

    def __init__(self, *, obeys_stamps: bool) -> None:
        self.now_s = 0.0
        self.is_short = False
        """Something could not be decoded since the last stamp: the next one is exact."""
        self._obeys_stamps = obeys_stamps
        self._offset_s: float | None = None
        self._from_s = 0.0
        self._samples = 0
        self._rate = 1

    def start_part(self, origin_s: float | None) -> None:
        """Begin to read stamps anew: from an origin, or going on from now if it is None."""
        self._offset_s = None if origin_s is None else -origin_s

    def jump(self, stamp_s: float) -> None:
        """Take a stamp for the time now, as after seeking."""
        self.set(stamp_s + (self._offset_s or 0.0))

    def silence_before(self, stamp_s: float | None, *, is_first: bool) -> float:
        """Return how many seconds of nothing lie between now and a frame with this stamp."""
        if stamp_s is None:
            return 0.0
        if not self._obeys_stamps:
            return 0.0
        if self._offset_s is None:
            self._offset_s = self.now_s - stamp_s
        ahead_s = stamp_s + self._offset_s - self.now_s
        if ahead_s <= -_REAL_S:  # stamps that begin anew
            self._offset_s -= ahead_s
        least_s = 0.0 if is_first else _EXACT_S if self.is_short else _REAL_S
        self.is_short = False
        return ahead_s if ahead_s >= least_s else 0.0

    def set(self, now_s: float) -> None:
        """Move."""
        self.now_s = self._from_s = now_s
        self._samples = 0

    def count(self, samples: int, rate: int) -> None:
        """Count decoded samples."""
        if rate != self._rate:
            self.set(self.now_s)
            self._rate = rate
        self._samples += samples
        self.now_s = self._from_s + self._samples / rate
