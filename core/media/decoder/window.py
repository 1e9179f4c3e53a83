"""A part of an open file, as a file that PyAV can read."""

from __future__ import annotations

import os


class Window:
    """The bytes from `begin` to before `end`."""

    def __init__(self, descriptor: int, begin: int, end: int) -> None:
        self._descriptor = descriptor
        self.begin = begin
        self.end = end
        self._at = begin

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.end - self.begin

    def peek(self, offset: int, count: int) -> bytes:
        """Read at an offset from the window's beginning, without moving."""
        at = min(self.begin + offset, self.end)
        return os.pread(self._descriptor, min(count, self.end - at), at)

    def read(self, count: int) -> bytes:
        """Read on."""
        found = self.peek(self._at - self.begin, count)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; return the new place, from the window's beginning."""
        base = {os.SEEK_SET: self.begin, os.SEEK_CUR: self._at, os.SEEK_END: self.end}[whence]
        self._at = max(self.begin, base + offset)
        return self.tell()

    def tell(self) -> int:
        """Return the place, from the window's beginning."""
        return self._at - self.begin

    def part(self, begin: int, end: int) -> Window:
        """Return a part of this part."""
        return Window(self._descriptor, self.begin + begin, self.begin + min(end, self.size))
